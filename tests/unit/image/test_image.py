# SPDX-License-Identifier: GPL-2.0-only
"""The guest's RAM disk: whole, the same from the same parts, with this checkout's keys in it."""

from __future__ import annotations

import gzip
import os
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.base import command, paths, store
from harness.base.deadline import Deadline
from harness.base.errors import InfrastructureError
from harness.image import guestprograms, image, keys, rootfs, sysroot
from harness.kernel import kernel, parts
from harness.kernel.parts import Layout

LAYOUT = Layout(size=1024, inodes=256)

# An ext2 file system's magic number, at its place in the superblock.
EXT2_MAGIC = (1024 + 56, b"\x53\xef")


@pytest.fixture(name="here", autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DIVERT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    monkeypatch.setattr(paths, "KEYS", tmp_path / "build" / "keys")
    return tmp_path


def _part(folder: Path, name: str, files: dict[str, bytes]) -> parts.Built:
    for path, data in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return parts.Built(name, folder, name, 0.0, True)


def _assemble(folder: Path, built: Sequence[parts.Built]) -> bytes:
    folder.mkdir(parents=True)
    image._assemble(folder, LAYOUT, built, keys.obtain())
    return gzip.decompress((folder / "initrd.gz").read_bytes())


def test_same_parts_same_bytes_and_the_keys_are_in_it(here: Path) -> None:
    toy = _part(here / "toy", "toy", {"usr/bin/toy": b"toy program"})
    libc = _part(here / "libc", "libc", {"lib/libc.a": b"not for the guest"})
    first = _assemble(here / "one", [libc, toy])
    (here / "toy/usr/bin/toy").touch()
    umask = os.umask(0o077)
    try:
        second = _assemble(here / "two", [libc, toy])
    finally:
        os.umask(umask)
    assert first == second
    assert (here / "one/initrd.gz").read_bytes() == (here / "two/initrd.gz").read_bytes()
    place, magic = EXT2_MAGIC
    assert first[place : place + 2] == magic
    assert len(first) == LAYOUT.size * 1024
    secrets = keys.obtain()
    for inside in (
        b"toy program",
        secrets.public_key.read_bytes(),
        secrets.host_private_key.read_bytes(),
        b"DIVERT-GUEST-READY",
    ):
        assert inside in first
    for outside in (b"not for the guest", secrets.private_key.read_bytes()):
        assert outside not in first


def test_modes_do_not_depend_on_the_umask(here: Path) -> None:
    root = here / "root"
    for name in ("bin/program", "etc/passwd", "etc/dropbear/host_key", "root/.ssh/x"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch(mode=0o600)
    (root / "bin/link").symlink_to("program")
    rootfs.settle(root)
    modes = {
        path.relative_to(root).as_posix(): path.stat().st_mode & 0o777 for path in root.rglob("*")
    }
    assert modes["bin/program"] == 0o755
    assert modes["etc/passwd"] == 0o644
    assert modes["etc/dropbear/host_key"] == 0o600
    assert modes["root/.ssh"] == 0o700
    assert {path.lstat().st_mtime for path in root.rglob("*")} == {rootfs.FILE_TIME}


def test_parts_that_do_not_fit_are_an_error(here: Path) -> None:
    big = _part(here / "big", "big", {"usr/bin/big": os.urandom(LAYOUT.size * 1024)})
    with pytest.raises(InfrastructureError, match="making the guest's file system") as caught:
        _assemble(here / "one", [big])
    assert not list((here / "one").iterdir())
    # What genext2fs said is not in a folder that goes away.
    assert "build/logs" in str(caught.value)


@pytest.fixture(name="toy_parts")
def _toy_parts(monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    """A libc, one more part and one program, none of which needs anything of the host."""
    wanted = {name: parts.Part(name, 10.0) for name in ("libc", "toy", "queued", "later")}
    root = sysroot.Sysroot(here, "f", 0.0, cached=True)
    monkeypatch.setattr(parts, "load", lambda: dict(wanted))
    monkeypatch.setattr(kernel, "headers", lambda _given: here)
    monkeypatch.setattr(sysroot, "combine", lambda _libc, _headers: root)
    monkeypatch.setattr(
        guestprograms, "build", lambda _root, _present: [_part(here / "p", "p", {"bin/p": b""})]
    )


@pytest.mark.usefixtures("toy_parts")
def test_built_once_then_found(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(part: parts.Part, _needs: object, **_: object) -> parts.Built:
        return _part(here / part.name, part.name, {"bin/" + part.name: b""})

    monkeypatch.setattr(parts, "build", build)
    first = image.build(jobs=2)
    again = image.build(jobs=2)
    assert (first.cached, again.cached) == (False, True)
    assert again.initrd == first.initrd
    assert again.seconds == 0.0 < first.seconds
    assert first.initrd.is_relative_to(paths.BUILD)
    assert first.host_key.read_text().startswith("ssh-ed25519 ")


@pytest.mark.usefixtures("toy_parts")
@pytest.mark.parametrize("damage", ["a flipped bit", "gone"])
def test_a_damaged_image_is_made_anew(
    damage: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(part: parts.Part, _needs: object, **_: object) -> parts.Built:
        return _part(here / part.name, part.name, {"bin/" + part.name: b""})

    monkeypatch.setattr(parts, "build", build)
    first = image.build(jobs=2)
    whole = first.initrd.read_bytes()
    if damage == "gone":
        first.initrd.unlink()
    else:
        first.initrd.write_bytes(whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:])
    monkeypatch.setattr(store, "_whole", {})
    again = image.build(jobs=2)
    assert not again.cached
    assert again.initrd == first.initrd
    assert again.initrd.read_bytes() == whole


@pytest.mark.usefixtures("toy_parts")
def test_an_interrupt_ends_the_programs_of_other_threads(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = time.monotonic()
    finished = threading.Event()

    def build(part: parts.Part, _needs: object, **_: object) -> parts.Built:
        if part.name != "libc":
            command.run(["sleep", "60"], what="a long build", log=here / "log", seconds=90)
        return _part(here / part.name, part.name, {})

    def interrupt() -> None:
        deadline = Deadline(10, "long build")
        while not command._running:
            deadline.check()
        os.kill(os.getpid(), signal.SIGINT)
        if not finished.wait(20):
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(parts, "build", build)
    # Two parts are being built, another and the programs wait for their turn.
    with pytest.raises(KeyboardInterrupt):
        threading.Thread(target=interrupt).start()
        image.userland(jobs=2)
    finished.set()
    assert time.monotonic() - begin < 20
    assert not command._running


@pytest.mark.usefixtures("toy_parts")
def test_a_part_that_fails_is_named_and_the_others_are_kept(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(part: parts.Part, _needs: object, **_: object) -> parts.Built:
        if part.name == "toy":
            raise InfrastructureError("building toy for the guest: it broke")
        return _part(here / part.name, part.name, {})

    monkeypatch.setattr(parts, "build", build)
    with pytest.raises(InfrastructureError, match="it broke"):
        image.build(jobs=2)
    assert not list(paths.BUILD.rglob("initrd.gz"))
