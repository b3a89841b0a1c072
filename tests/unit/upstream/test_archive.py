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


FILE, LINK = tarfile.REGTYPE, tarfile.SYMTYPE


@pytest.mark.parametrize(
    ("members", "words"),
    [
        # Each of these links stays inside by its own words; one after the other leads out.
        (
            [("top/in/up", LINK, ".."), ("top/out", LINK, "in/up/../..")],
            "out is a link that leads out of it",
        ),
        (
            [("top/a", LINK, "b"), ("top/b", LINK, "in/c"), ("top/in/c", LINK, "../../..")],
            "unsafe path",
        ),
        ([("top/a", LINK, "b"), ("top/b", LINK, "a")], "a is a link that leads to itself"),
        ([("top/other", FILE, ""), ("top/dir", LINK, "sub"), ("top/dir/file", FILE, "")], "dir"),
        ([("top/f", FILE, ""), ("top/f/g", FILE, "")], "top/f is a file, and has files in it"),
        ([("top/f/g", FILE, ""), ("top/f", FILE, "")], "top/f is a file, and has files in it"),
        ([("top/l", LINK, "x"), ("top/l", FILE, "")], "top/l is in it twice"),
        ([("top/f", FILE, ""), ("top/f", LINK, "x")], "top/f is in it twice"),
        ([("top/" + "n" * 300, FILE, "")], "a name is too long: top/nnn"),
        ([("top/" + "/".join(["n" * 200] * 30), FILE, "")], "a name is too long: top/nnn"),
        ([("top/na\udcffme", FILE, "")], r"a name is not UTF-8: top/na\xffme"),
        ([("top/link", LINK, "na\udcffme")], r"a name is not UTF-8: na\xffme"),
        ([("top/new\nline", FILE, "")], r"a name has a control character: top/new\nline"),
    ],
)
def test_names_that_cannot_be(
    members: list[tuple[str, bytes, str]], words: str, tmp_path: Path
) -> None:
    """The archive is to be blamed, not the disk; and nothing is written outside, or through."""
    rows = [_member(*row) for row in (("top/file", FILE, ""), *members)]
    path = tmp_path / "bad.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.GNU_FORMAT, errors="surrogateescape") as tar:
        for row in rows:
            row.size = 4 if row.isreg() else 0
            tar.addfile(row, io.BytesIO(b"data") if row.isreg() else None)
    with pytest.raises(archive.BadArchiveError) as caught:
        archive.unpack(path, tmp_path / "a" / "b")
    assert words in caught.value.message
    assert len(caught.value.message) < 160
    assert {each.name for each in tmp_path.iterdir()} <= {"bad.tar.gz", "a"}


def test_a_file_that_is_in_it_twice_is_the_last(tmp_path: Path) -> None:
    """As tar itself has it."""
    path = _tar(tmp_path / "two.tar.gz", _member("top/f"), _member("top/f"), _member("top/g"))
    assert sorted(archive.unpack(path, tmp_path / "out")) == ["f", "g"]


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
