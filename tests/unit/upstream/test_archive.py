# SPDX-License-Identifier: GPL-2.0-only
"""Archives are unpacked inside their folder, or refused."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from harness.upstream import archive
from tests.unit.support.toy import pack


def _tar(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            member.size = 4 if member.isreg() else 0
            tar.addfile(member, io.BytesIO(b"data") if member.isreg() else None)
    return path


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


@pytest.mark.parametrize(
    "member",
    [
        _member("../outside"),
        _member("top/../../outside"),
        _member("/absolute"),
        _member("top/link", tarfile.SYMTYPE, "/etc/passwd"),
        _member("top/link", tarfile.SYMTYPE, "../../outside"),
        _member("top/link", tarfile.LNKTYPE, "top/absent"),
        _member("top/device", tarfile.CHRTYPE),
        _member("top/pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda member: f"{member.name}:{member.linkname}",
)
def test_unsafe_is_refused(tmp_path: Path, member: tarfile.TarInfo) -> None:
    path = _tar(tmp_path / "bad.tar.gz", _member("top/file"), member)
    with pytest.raises(archive.BadArchiveError):
        archive.unpack(path, tmp_path / "a" / "b")
    assert not (tmp_path / "outside").exists()
    assert not (tmp_path / "a" / "outside").exists()


def test_a_link_cannot_be_written_through(tmp_path: Path) -> None:
    path = _tar(
        tmp_path / "bad.tar.gz",
        _member("top/other"),
        _member("top/dir", tarfile.SYMTYPE, "sub"),
        _member("top/dir/file"),
    )
    with pytest.raises((archive.BadArchiveError, OSError)):
        archive.unpack(path, tmp_path / "out")


def test_links_inside(tmp_path: Path) -> None:
    path = _tar(
        tmp_path / "good.tar.gz",
        _member("top/file"),
        _member("top/sub/same", tarfile.LNKTYPE, "top/file"),
        _member("top/sub/soft", tarfile.SYMTYPE, "../file"),
    )
    content = archive.unpack(path, tmp_path / "out")
    assert content["sub/same"] == content["file"]
    assert content["sub/soft"] == "link:../file"
    assert (tmp_path / "out/sub/soft").read_bytes() == b"data"


def test_two_tops_are_kept(tmp_path: Path) -> None:
    path = pack(tmp_path / "two.tar.gz", {"a/file": "1", "b/file": "2"}, top="")
    assert sorted(archive.unpack(path, tmp_path / "out")) == ["a/file", "b/file"]


def test_a_top_that_holds_its_own_name(tmp_path: Path) -> None:
    path = pack(tmp_path / "own.tar.gz", {"top/file": "1", "other": "2"}, top="top/")
    assert sorted(archive.unpack(path, tmp_path / "out")) == ["other", "top/file"]
    assert (tmp_path / "out/top/file").read_text() == "1"


def test_a_single_file_has_no_top(tmp_path: Path) -> None:
    path = pack(tmp_path / "one.tar.gz", {"file": "1"}, top="")
    assert list(archive.unpack(path, tmp_path / "out")) == ["file"]


def test_what_is_packed_comes_out_as_it_was(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "folder").mkdir(parents=True)
    (tree / "folder/file").write_text("text")
    (tree / "script").write_text("#!/bin/sh\n")
    (tree / "link").symlink_to("folder/file")
    archive.pack(tree, "top", tmp_path / "packed.tar.gz")
    with tarfile.open(tmp_path / "packed.tar.gz") as tar:
        assert {member.name: member.mode for member in tar} == {
            **{"top": 0o755, "top/folder": 0o755, "top/folder/file": 0o644},
            **{"top/link": 0o777, "top/script": 0o755},
        }
    content = archive.unpack(tmp_path / "packed.tar.gz", tmp_path / "again")
    assert sorted(content) == ["folder/file", "link", "script"]
    assert content["link"] == "link:folder/file"


def test_what_is_packed_is_of_the_files_alone(tmp_path: Path) -> None:
    for name, umask_like in (("one", 0o600), ("other", 0o777)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("text")
        (tmp_path / name / "file").chmod(umask_like)
        archive.pack(tmp_path / name, "top", tmp_path / f"{name}.tar.gz")
    one, other = (tmp_path / f"{name}.tar.gz" for name in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()
