# SPDX-License-Identifier: GPL-2.0-only
"""The guest's files in a folder: what is there, and a fingerprint that changes whenever they do."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.base import paths
from harness.image import keys, rootfs
from harness.image.keys import Keys
from harness.kernel import parts
from harness.kernel.parts import Built


@pytest.fixture(name="here", autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A skeleton, a device table and keys of the test's own."""
    monkeypatch.setattr(paths, "KEYS", tmp_path / "build" / "keys")
    skeleton, devices = tmp_path / "skeleton", tmp_path / "devices"
    monkeypatch.setattr(rootfs, "SKELETON", skeleton)
    monkeypatch.setattr(rootfs, "DEVICES", devices)
    (skeleton / "etc").mkdir(parents=True)
    (skeleton / "etc/rc").write_text("echo ready\n")
    (skeleton / "etc/hosts").write_text("127.0.0.1 localhost\n")
    devices.write_text("/dev/null c 666 0 0 1 3 - - -\n")
    return tmp_path


def part(here: Path, name: str, files: dict[str, str]) -> Built:
    folder = here / "parts" / name
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return Built(name, folder, f"print of {name}", 0.0, True)


@pytest.fixture(name="built")
def _built(here: Path) -> list[Built]:
    libc = part(here, "libc", {"lib/libc.a": "not for the guest"})
    shell = part(here, "shell", {"bin/sh": "shell", "etc/shells": "/bin/sh\n"})
    toy = part(here, "toy", {"usr/bin/toy": "toy", "sbin/toyd": "toyd"})
    (shell.folder / "bin/ash").symlink_to("sh")
    (toy.folder / "usr/bin/dangling").symlink_to("/nowhere")
    return [libc, shell, toy]


def files(root: Path) -> dict[str, str]:
    """The content of each file, and where each link points to, by its path."""
    return {
        path.relative_to(root).as_posix(): (
            f"-> {path.readlink()}" if path.is_symlink() else path.read_bytes().decode("latin-1")
        )
        for path in root.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def test_skeleton_parts_and_keys_are_laid_out(here: Path, built: list[Built]) -> None:
    secrets = keys.obtain()
    rootfs.lay_out(here / "root", built, secrets)
    assert files(here / "root") == {
        "etc/rc": "echo ready\n",
        "etc/hosts": "127.0.0.1 localhost\n",
        "etc/shells": "/bin/sh\n",
        "bin/sh": "shell",
        "bin/ash": "-> sh",
        "sbin/toyd": "toyd",
        "usr/bin/toy": "toy",
        "usr/bin/dangling": "-> /nowhere",
        "etc/dropbear/host_key": secrets.host_private_key.read_bytes().decode("latin-1"),
        "root/.ssh/authorized_keys": secrets.public_key.read_text(),
    }
    for folder in ("dev/pts", "proc", "tmp", "var/log", "var/run"):
        assert (here / "root" / folder).is_dir()


def test_later_part_may_replace_a_file(here: Path, built: list[Built]) -> None:
    own = part(here, "own", {"bin/sh": "another shell", "etc/hosts": "192.0.2.1 divert\n"})
    rootfs.lay_out(here / "root", [*built, own], keys.obtain())
    assert files(here / "root")["bin/sh"] == "another shell"
    assert files(here / "root")["etc/hosts"] == "192.0.2.1 divert\n"
    # What it was copied from is as it was: it is in a cache that others share.
    assert (built[1].folder / "bin/sh").read_text() == "shell"


def test_file_in_the_place_of_a_link_is_not_written_through_it(
    here: Path, built: list[Built]
) -> None:
    outside = here / "outside"
    outside.write_text("the host's")
    (built[1].folder / "etc/resolv.conf").symlink_to(outside)
    own = part(here, "own", {"etc/resolv.conf": "# none\n", "bin/ash": "another shell"})
    rootfs.lay_out(here / "root", [*built, own], keys.obtain())
    assert outside.read_text() == "the host's"
    laid_out = files(here / "root")
    assert laid_out["etc/resolv.conf"] == "# none\n"
    assert (laid_out["bin/ash"], laid_out["bin/sh"]) == ("another shell", "shell")


def test_every_program_may_be_run_and_every_secret_is_one(here: Path, built: list[Built]) -> None:
    root = here / "root"
    rootfs.lay_out(root, built, keys.obtain())
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(0o604)
    rootfs.settle(root)
    modes = {
        name: stat.S_IMODE((root / name).lstat().st_mode)
        for name in files(root)
        if not (root / name).is_symlink()
    }
    assert modes == {
        **dict.fromkeys(("bin/sh", "sbin/toyd", "usr/bin/toy"), 0o755),
        **dict.fromkeys(("etc/rc", "etc/hosts", "etc/shells"), 0o644),
        **dict.fromkeys(("etc/dropbear/host_key", "root/.ssh/authorized_keys"), 0o600),
    }
    assert stat.S_IMODE((root / "root/.ssh").stat().st_mode) == 0o700
    assert stat.S_IMODE(root.stat().st_mode) == 0o755


def test_nothing_outside_is_touched_through_a_link(here: Path) -> None:
    outside = here / "outside"
    outside.write_text("the host's")
    outside.chmod(0o640)
    os.utime(outside, (1, 1))
    root = here / "root"
    (root / "bin").mkdir(parents=True)
    (root / "bin/link").symlink_to(outside)
    rootfs.settle(root)
    assert (stat.S_IMODE(outside.stat().st_mode), outside.stat().st_mtime) == (0o640, 1)
    times = {path.lstat().st_mtime for path in (root, root / "bin", root / "bin/link")}
    assert times == {rootfs.FILE_TIME}


def rewritten(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


def changed_rc(_: list[Built], __: Keys) -> None:
    rewritten(rootfs.SKELETON / "etc/rc")


def renamed_file(_: list[Built], __: Keys) -> None:
    (rootfs.SKELETON / "etc/hosts").rename(rootfs.SKELETON / "etc/host")


def file_more(_: list[Built], __: Keys) -> None:
    (rootfs.SKELETON / "etc/motd").touch()


def changed_devices(_: list[Built], __: Keys) -> None:
    rewritten(rootfs.DEVICES)


def other_login(_: list[Built], secrets: Keys) -> None:
    rewritten(secrets.public_key)


def other_host_key(_: list[Built], secrets: Keys) -> None:
    rewritten(secrets.host_private_key)


def changed_part(built: list[Built], _: Keys) -> None:
    built[2] = replace(built[2], fingerprint="another")


def changed_libc(built: list[Built], _: Keys) -> None:
    built[0] = replace(built[0], fingerprint="another")


def part_less(built: list[Built], _: Keys) -> None:
    del built[2]


def part_more(built: list[Built], _: Keys) -> None:
    built.append(replace(built[2], name="more", fingerprint="more"))


def other_order(built: list[Built], _: Keys) -> None:
    # The later of two parts with the same file has it.
    built[1], built[2] = built[2], built[1]


@pytest.mark.parametrize(
    "change",
    [
        changed_rc,
        renamed_file,
        file_more,
        changed_devices,
        other_login,
        other_host_key,
        changed_part,
        changed_libc,
        part_less,
        part_more,
        other_order,
    ],
)
def test_identity_changes_with_all_that_is_laid_out(
    change: Callable[[list[Built], Keys], None], built: list[Built]
) -> None:
    secrets = keys.obtain()
    before = rootfs.identity(built, secrets)
    assert rootfs.identity(tuple(built), secrets) == before
    change(built, secrets)
    assert rootfs.identity(built, secrets) != before


def test_identity_changes_with_the_recipe(
    built: list[Built], monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = keys.obtain()
    before = rootfs.identity(built, secrets)
    monkeypatch.setattr(rootfs, "RECIPE", f"{rootfs.RECIPE}.1")
    assert rootfs.identity(built, secrets) != before


def test_identity_is_of_content_alone(here: Path, built: list[Built]) -> None:
    """Not of times, places or durations, nor of keys that stay on the host."""
    secrets = keys.obtain()
    before = rootfs.identity(built, secrets)
    os.utime(rootfs.SKELETON / "etc/rc", (1, 1))
    rewritten(secrets.private_key)
    rewritten(secrets.host_key)
    moved = [replace(each, folder=here / "moved", seconds=9.0, cached=False) for each in built]
    assert rootfs.identity(moved, secrets) == before


def test_skeleton_of_this_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert (rootfs.SKELETON / "etc/rc").is_file()
    assert rootfs.DEVICES.is_file()
    names = {name for name, each in parts.load().items() if not each.upstream}
    assert "libc" in names, "lay_out leaves that part out by its name"
