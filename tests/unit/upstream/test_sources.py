# SPDX-License-Identifier: GPL-2.0-only
"""Upstream releases: recognised by content in any packing, else refused with the reason."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

import pytest

from harness.base import paths
from harness.base.errors import InfrastructureError, MissingSourceError, UserError
from harness.upstream import archive, manifest, patches, releases, sources
from tests.unit.support import toy
from tests.unit.support.toy import FILES, NAME, Release, pack, release, write_tree

__all__ = ["release"]


@pytest.mark.parametrize("ending", [".tar.gz", ".tar.bz2", ".tar.xz"])
@pytest.mark.parametrize("top", ["", "./", "linux/", "toy-1.2.3/", "./linux/"])
def test_any_compression_and_any_top_folder(release: Release, ending: str, top: str) -> None:
    pack(release.downloads / (NAME + ending), top=top)
    verified = sources.obtain(NAME)
    assert not verified.differences
    assert (verified.tree / "net/core.c").read_text() == FILES["net/core.c"]
    assert (verified.tree / "toy-1.2.3/nested.c").read_text() == FILES["toy-1.2.3/nested.c"]


def test_packing_does_not_count(release: Release) -> None:
    one = sources.obtain(NAME, [f"{NAME}={pack(release.root / 'one.tar.gz')}"])
    other_archive = pack(release.root / "other.tar.xz", top="x/", mode=0o777)
    other = sources.obtain(NAME, [f"{NAME}={other_archive}"])
    tree = sources.obtain(NAME, [f"{NAME}={release.root / 'pristine'}"])
    assert one.content == other.content == tree.content
    path = Path("net/core.c")
    status = {(v.tree / path).stat().st_mode & 0o777 for v in (one, other, tree)}
    assert status == {0o644}
    times = {(v.tree / path).stat().st_mtime for v in (one, other, tree)}
    assert times == {archive.FILE_TIME}


def test_unpacked_once(release: Release, capsys: pytest.CaptureFixture[str]) -> None:
    pack(release.downloads / f"{NAME}.tar.gz")
    first = sources.obtain(NAME)
    assert "unpacking" in capsys.readouterr().err
    assert sources.obtain(NAME) == first
    assert capsys.readouterr().err == ""


def test_a_tree_that_was_built_in(release: Release) -> None:
    tree = write_tree(release.root / "tree", {**FILES, "net/raw.o": "object", ".git/HEAD": "ref"})
    (tree / "include").mkdir()
    (tree / "include/asm").symlink_to("asm-i386")
    verified = sources.obtain(NAME, [f"{NAME}={tree}"])
    assert not verified.differences
    assert not (verified.tree / "net/raw.o").exists()
    assert not (verified.tree / ".git").exists()


def test_a_difference_elsewhere_is_accepted_and_said(
    release: Release, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {**FILES, "README": "Another toy.\n", ".gitignore": "*.o\n"}
    del files["net/raw.c"]
    pack(release.downloads / f"{NAME}.tar.gz", files)
    verified = sources.obtain(NAME)
    assert verified.differences.different == ("README",)
    assert verified.differences.missing == ("net/raw.c",)
    assert verified.differences.extra == (".gitignore",)
    said = [line for line in capsys.readouterr().err.splitlines() if "1 differ" in line]
    assert len(said) == 1
    assert "1 differ: README; 1 missing: net/raw.c; 1 added: .gitignore" in said[0]


def test_content_counts_differences(release: Release) -> None:
    pristine = sources.obtain(NAME, [f"{NAME}={release.root / 'pristine'}"])
    tree = write_tree(release.root / "tree", {**FILES, "README": "Another toy.\n"})
    assert sources.obtain(NAME, [f"{NAME}={tree}"]).content != pristine.content


@pytest.mark.parametrize("change", ["different", "missing"])
def test_a_file_that_the_series_touches_must_match(release: Release, change: str) -> None:
    files = {**FILES, "net/core.c": FILES["net/core.c"] + "\n"}
    if change == "missing":
        del files["net/core.c"]
    path = pack(release.downloads / f"{NAME}.tar.gz", files)
    with pytest.raises(InfrastructureError) as caught:
        sources.obtain(NAME)
    assert str(path) in caught.value.message
    assert "net/core.c" in caught.value.message
    assert "Toy 1.2.3" in caught.value.message
    assert "remove it" in caught.value.hint
    assert not list((paths.cache_dir() / "source").glob("*/tree"))


def test_an_overlaid_file_must_match(release: Release) -> None:
    write_tree(release.patches / "overlay", {"net/raw.c": "int ours;\n"})
    pack(release.downloads / f"{NAME}.tar.gz", {**FILES, "net/raw.c": "int theirs;\n"})
    with pytest.raises(InfrastructureError, match=r"1 differ: net/raw\.c"):
        sources.obtain(NAME)


def test_a_patch_added_later_is_heeded(release: Release) -> None:
    pack(release.downloads / f"{NAME}.tar.gz", {**FILES, "README": "Another toy.\n"})
    sources.obtain(NAME)
    (release.patches / "0002-readme.patch").write_text(
        "Why.\n--- a/README\n+++ b/README\n@@ -1 +1 @@\n-A toy.\n+The toy.\n"
    )
    with pytest.raises(InfrastructureError, match="README"):
        sources.obtain(NAME)


def test_another_version_is_named(release: Release) -> None:
    text = FILES["Makefile"].replace("SUBLEVEL = 3", "SUBLEVEL = 4")
    pack(release.downloads / f"{NAME}.tar.gz", {**FILES, "Makefile": text})
    with pytest.raises(InfrastructureError, match=r"is version 1\.2\.4; expected was Toy 1\.2\.3"):
        sources.obtain(NAME)


def test_something_else_altogether(release: Release) -> None:
    path = pack(release.root / "cat.tar.gz", {"cat.txt": "miaow"})
    with pytest.raises(UserError, match="is something else; expected was Toy"):
        sources.obtain(NAME, [f"{NAME}={path}"])


@pytest.mark.parametrize("ending", [".tar.gz", ".tar.bz2", ".tar.xz"])
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_truncated(release: Release, ending: str, kept: float) -> None:
    path = pack(release.downloads / (NAME + ending))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(InfrastructureError) as caught:
        sources.obtain(NAME)
    assert str(path) in caught.value.message
    assert "Toy 1.2.3" in caught.value.message
    assert "run this again to download" in caught.value.hint


@pytest.mark.parametrize("ending", [".tar.gz", ".tar.bz2", ".tar.xz"])
def test_corrupt(release: Release, ending: str) -> None:
    path = pack(release.downloads / (NAME + ending))
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 2, len(data) // 2 + 8):
        data[at] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(InfrastructureError, match=f"{NAME}.*(corrupt|truncated)"):
        sources.obtain(NAME)


def test_no_archive_at_all(release: Release) -> None:
    release.downloads.mkdir()
    (release.downloads / f"{NAME}.tar.gz").write_text("<html>log in first</html>")
    with pytest.raises(InfrastructureError, match=r"is not a \.tar\.gz, \.tar\.bz2 or \.tar\.xz"):
        sources.obtain(NAME)


def test_nothing_to_be_had(release: Release) -> None:
    begin = time.monotonic()
    # Nothing listens on port 1: refused at once.
    release.describe(places=["http://127.0.0.1:1/"])
    with pytest.raises(MissingSourceError) as caught:
        sources.obtain(NAME)
    assert time.monotonic() - begin < 5
    assert f"{NAME}.tar.xz or {NAME}.tar.gz or {NAME}.tar.bz2" in caught.value.hint
    assert str(release.downloads) in caught.value.hint
    assert f"--source {NAME}=PATH" in caught.value.hint
    assert release.downloads.is_dir()
    assert list(release.downloads.iterdir()) == []


def test_given_is_taken_first(release: Release) -> None:
    pack(release.downloads / f"{NAME}.tar.gz")
    tree = release.root / "pristine"
    assert sources.obtain(NAME, [f"{NAME}={tree}"]).origin == tree


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("toy-1.2.4=/tmp", "did you mean toy-1.2.3"),
        ("zebra=/tmp", "known: toy-1.2.3"),
        (NAME, "not NAME=PATH"),
        (f"{NAME}=", "not NAME=PATH"),
        (f"{NAME}=/nowhere/at/all", "there is no /nowhere/at/all"),
    ],
)
def test_bad_given(release: Release, given: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        sources.obtain(NAME, [given])


@pytest.mark.parametrize(
    ("name", "target", "words"),
    [
        ("na\udcffme", "", "a name is not UTF-8"),
        ("out", "../..", "out is a link that leads out of it"),
        ("out", "/etc/passwd", "out is a link that leads out of it"),
    ],
)
def test_a_given_tree_of_bad_names(release: Release, name: str, target: str, words: str) -> None:
    tree = release.downloads / "tree"
    for path, text in FILES.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    if target:
        (tree / name).symlink_to(target)
    else:
        (tree / name).touch()
    with pytest.raises(UserError, match=words):
        sources.obtain(NAME, [f"{NAME}={tree}"])


def test_unknown_source(release: Release) -> None:
    with pytest.raises(UserError, match=f"known: {NAME}"):
        sources.obtain("zebra")


def test_the_published_digest_is_told(release: Release) -> None:
    path = pack(release.downloads / f"{NAME}.tar.gz")
    digest = hashlib.md5(path.read_bytes()).hexdigest()
    for value, says in ((digest, "the published archive"), ("0" * 32, "packed anew")):
        release.describe(digests={path.name: f"md5:{value}"})
        source = releases.load()[NAME]
        assert says in sources.verdict(source, sources.obtain(NAME))


def test_report(release: Release, capsys: pytest.CaptureFixture[str]) -> None:
    pack(release.downloads / f"{NAME}.tar.gz")
    sources.report()
    assert "content verified" in capsys.readouterr().out


def test_report_as_json(release: Release, capsys: pytest.CaptureFixture[str]) -> None:
    archive = pack(release.downloads / f"{NAME}.tar.gz")
    sources.report(as_json=True)
    told = json.loads(capsys.readouterr().out)
    (row,) = told["sources"]
    assert set(row) == {"source", "title", "verified", "origin", "message", "hint"}
    assert (told["schema"], row["verified"], row["origin"]) == (1, True, str(archive))
    archive.unlink()
    with pytest.raises(MissingSourceError):
        sources.report(as_json=True)
    (row,) = json.loads(capsys.readouterr().out)["sources"]
    assert (row["verified"], row["origin"]) == (False, None)
    assert "put " in row["hint"]


def test_report_of_what_is_missing(release: Release, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(MissingSourceError):
        sources.report()
    assert NAME in capsys.readouterr().out


def test_the_repositorys_own_data(tmp_path: Path) -> None:
    for name, source in releases.load().items():
        assert source.archives
        # The project's own is asked first; mirrors are what their documents say, since the content
        # decides what is used.
        assert source.places[0].startswith("https://")
        assert all(place.startswith(("https://", "http://")) for place in source.places)
        assert all(place.endswith("/") for place in source.places)
        assert len({place.split("/")[2] for place in source.places}) > 2
        expected = manifest.load(source.manifest)
        assert source.version_file in expected
        assert patches.touched(name)
    assert toy.NAME not in releases.load()
