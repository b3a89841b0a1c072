# SPDX-License-Identifier: GPL-2.0-only
"""What is exported is whole, the same each time, and as much of it as the archives allow."""

from __future__ import annotations

import errno
import hashlib
import tarfile
from pathlib import Path

import pytest

from harness.base import paths
from harness.base.diskroom import FullError
from harness.base.errors import InfrastructureError, MissingSourceError, UserError
from harness.kernel import kernel
from harness.release import export
from harness.upstream import archive, sources
from tests.unit.support.toy import FILES, NAME, PATCH, Release, pack, release

__all__ = ["release"]

INSTALL = paths.HARNESS / "release" / export.INSTALL

THIRD = PATCH.replace("-9,3 +9,3", "-2,3 +2,3")
for number in (9, 10, 11):
    THIRD = THIRD.replace(f"core{number};", f"core{number - 7};")


@pytest.fixture(autouse=True)
def _kernel(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy release is the kernel; there is no ipchains, unless a test makes it one too."""
    for part in ("toolchain", "divert"):
        (release.patches / part).mkdir()
    (release.patches / "0001-tenth-line.patch").rename(release.patches / "toolchain/0001.patch")
    (release.patches / "divert/0001.patch").write_text(THIRD)
    (release.root / "harness" / "release").mkdir()
    (release.root / "harness" / "release" / export.INSTALL).write_bytes(INSTALL.read_bytes())
    monkeypatch.setattr(kernel, "SOURCE", NAME)
    monkeypatch.setattr(export, "IPCHAINS", "absent-1")


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of sources that are missing; the others are the toy release."""
    names = ["absent-1"]
    real = sources.obtain

    def obtain(name: str, given: object = ()) -> object:
        if name in names:
            raise MissingSourceError(f"{name} is not on this machine", "put it there")
        return real(NAME)

    monkeypatch.setattr(sources, "obtain", obtain)
    return names


def names_of(made: export.Exported) -> list[str]:
    return [path.name for path in made.files]


def test_what_can_be_made_is_made_and_the_rest_is_told(
    release: Release, absent: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    pack(release.downloads / f"{NAME}.tar.gz")
    folder = release.root / "new" / "folder"
    with pytest.raises(MissingSourceError, match="absent-1 is not on this machine"):
        export.export(str(folder))
    kept = {path.name for path in folder.iterdir()}
    assert kept == export.WHAT.keys() - {f"{export.IPCHAINS_TREE}{export.PACKED}"}
    shown = capsys.readouterr().out
    assert all(name in shown for name in kept)
    for line in (folder / export.DIGESTS).read_text().splitlines():
        digest, name = line.split()
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    absent.append(NAME)
    with pytest.raises(MissingSourceError, match=NAME):
        export.write(release.root / "nothing")
    assert not (release.root / "nothing").exists()


def test_each_patch_is_of_its_parts(release: Release, absent: list[str], tmp_path: Path) -> None:
    pack(release.downloads / f"{NAME}.tar.gz")
    made = export.write(tmp_path / "export")
    for name, expected in ((export.PATCH, {"3"}), (export.PATCH_OF_TODAY, {"3", "10"})):
        text = (made.folder / name).read_text()
        assert text.startswith("SPDX-License-Identifier: GPL-2.0-only\n")
        assert f"patch -p1 <../{name}" in text
        changed = {
            line.rstrip(";").rpartition("core")[2]
            for line in text.splitlines()
            if line.startswith("+long")
        }
        assert changed == expected


def test_the_tree_has_one_folder_of_one_time_and_owner(
    release: Release, absent: list[str], tmp_path: Path
) -> None:
    pack(release.downloads / f"{NAME}.tar.gz")
    made = export.write(tmp_path / "export")
    with tarfile.open(made.folder / f"{export.KERNEL_TREE}{export.PACKED}") as tar:
        members = tar.getmembers()
        assert {member.name.partition("/")[0] for member in members} == {export.KERNEL_TREE}
        assert {member.mtime for member in members} == {archive.FILE_TIME}
        assert {(member.uname, member.uid) for member in members} == {("root", 0)}
        files = {member.name for member in members if member.isreg()}
        assert files == {f"{export.KERNEL_TREE}/{name}" for name in FILES}
        core = tar.extractfile(f"{export.KERNEL_TREE}/net/core.c")
        assert core is not None
        assert core.read().decode().count("long core") == 2


def test_the_same_bytes_each_time(release: Release, absent: list[str], tmp_path: Path) -> None:
    absent.clear()
    pack(release.downloads / f"{NAME}.tar.gz")
    (release.root / "patches" / "absent-1").mkdir()
    first, second = (export.write(tmp_path / name) for name in ("first", "second"))
    assert names_of(first) == names_of(second)
    assert set(names_of(first)) == export.WHAT.keys()
    for one, other in zip(first.files, second.files, strict=True):
        assert one.read_bytes() == other.read_bytes()
    # A second time over the first, nothing is left beside.
    export.write(tmp_path / "first")
    assert {path.name for path in (tmp_path / "first").iterdir()} == export.WHAT.keys()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is no folder"):
        export.export(str(tmp_path / "file"))


def test_a_folder_that_takes_nothing(
    release: Release, absent: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack(release.downloads / f"{NAME}.tar.gz")
    (tmp_path / "file").touch()
    with pytest.raises(InfrastructureError, match=r"cannot write .*file") as caught:
        export.write(tmp_path / "file" / "below")
    assert "--output" in caught.value.hint

    def full(_tree: Path, _top: str, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr(archive, "pack", full)
    with pytest.raises(FullError):
        export.write(tmp_path / "export")
    assert list((tmp_path / "export").iterdir()) == []


def test_install_names_what_is_there() -> None:
    text = INSTALL.read_text()
    for name in export.WHAT.keys() - {export.INSTALL}:
        assert name in text
    for tree in (export.KERNEL_TREE, export.IPCHAINS_TREE):
        assert f"cd {tree}\n" in text
    assert len(text.splitlines()) <= 90, "it is one page"
