# SPDX-License-Identifier: GPL-2.0-only
"""The packages as files: what dpkg-deb reads in them, and that they are the same each time."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from harness.base import diskroom
from harness.base.errors import InfrastructureError, UserError
from harness.release import deb, deb_recipe, deb_tree
from harness.release.deb import Packed
from harness.release.deb_recipe import Recipe, Release

pytestmark = pytest.mark.slow


def read(*words: str | Path) -> str:
    return subprocess.run(["dpkg-deb", *words], capture_output=True, text=True, check=True).stdout


@pytest.fixture(name="made", scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Packed]:
    folder = tmp_path_factory.mktemp("packages") / "new" / "folder"
    return {each.recipe.name: each for each in deb.build(folder)}


def test_dpkg_reads_what_was_meant(made: dict[str, Packed]) -> None:
    version = deb_recipe.release().version
    for name, each in made.items():
        architecture = each.recipe.architecture
        assert each.path.name == f"{name}_{version}_{architecture}.deb"
        assert each.path.stat().st_mode & 0o7777 == 0o644
        assert read("-f", each.path, "Package", "Version", "Architecture").splitlines() == [
            f"Package: {name}",
            f"Version: {version}",
            f"Architecture: {architecture}",
        ]
    assert read("-f", made["divert-dkms"].path, "Depends").strip() == "dkms"
    assert read("-f", made["divert-tools"].path, "Depends").startswith("libc6 (>= ")


def test_all_of_it_is_root_s_and_of_the_release_s_day(made: dict[str, Packed]) -> None:
    day = deb_recipe.release().day
    for each in made.values():
        lines = read("-c", each.path).splitlines()
        assert lines
        for line in lines:
            words = line.split()
            assert (words[1], words[3]) == ("root/root", day)


def test_no_file_is_in_two_of_them(made: dict[str, Packed]) -> None:
    names = [
        line.split()[5]
        for each in made.values()
        for line in read("-c", each.path).splitlines()
        if not line.startswith("d")
    ]
    assert len(names) == len(set(names))


def test_the_same_bytes_each_time(
    made: dict[str, Packed], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    monkeypatch.setenv("DPKG_DEB_COMPRESSOR_TYPE", "gzip")
    settle = deb_tree.settle

    def owned_by_somebody(root: Path, release: Release) -> None:
        settle(root, release)
        if os.geteuid() == 0:
            for path in [root, *root.rglob("*")]:
                os.chown(path, 4711, 4711)

    monkeypatch.setattr(deb_tree, "settle", owned_by_somebody)
    before = os.umask(0o077)
    try:
        again = deb.build(tmp_path)
    finally:
        os.umask(before)
    for each in again:
        assert each.path.read_bytes() == made[each.recipe.name].path.read_bytes()
        assert each.path.stat().st_mode & 0o7777 == 0o644
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        each.path.name for each in again
    ), "and nothing else is left there"


def test_control_file() -> None:
    recipe = Recipe(
        "one",
        "Me <me@example.org>",
        "all",
        "net",
        "what it is",
        ("many words " * 12, "another\n   paragraph"),
        {"Depends": ("{libc}", "x"), "Suggests": ("y",)},
    )
    text = deb.control(recipe, Release("2", 0), 7, {"libc": "libc6 (>= 3)"})
    lines = text.splitlines()
    assert lines[:10] == [
        "Package: one",
        "Version: 2",
        "Architecture: all",
        "Maintainer: Me <me@example.org>",
        "Installed-Size: 7",
        "Depends: libc6 (>= 3), x",
        "Suggests: y",
        "Section: net",
        "Priority: optional",
        "Description: what it is",
    ]
    assert lines[-2:] == [" .", " another paragraph"]
    assert all(line.startswith(" ") and len(line) < 80 for line in lines[10:])
    assert text.endswith("\n")


def test_what_cannot_be_packed_leaves_the_old_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = deb.build(tmp_path)[0]
    before = first.path.read_bytes()
    monkeypatch.setattr(deb, "control", lambda *_: "Package: not A NAME\n")
    with pytest.raises(InfrastructureError, match="the package divert-dkms: dpkg-deb ended with"):
        deb.build(tmp_path)
    assert first.path.read_bytes() == before
    assert not list(tmp_path.glob(".*"))


def test_output_that_is_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UserError, match="is no folder"):
        deb.package(str(file))


def test_output_that_cannot_be_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(InfrastructureError, match=r"(?s)cannot write .*: --output DIR$"):
        deb.build(file / "below")


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "x"))

    monkeypatch.setattr(deb_tree, "lay_out", full)
    with pytest.raises(diskroom.FullError):
        deb.build(tmp_path)
    assert not list(tmp_path.iterdir())


def test_table_of_what_was_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deb.package(str(tmp_path))
    said = capsys.readouterr().out
    for path in tmp_path.iterdir():
        assert path.name in said
