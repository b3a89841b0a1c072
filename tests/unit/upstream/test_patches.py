# SPDX-License-Identifier: GPL-2.0-only
"""A series goes exactly where it says, or names the patch, the file and the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base import paths
from harness.base.errors import InfrastructureError
from harness.upstream import patches
from tests.unit.support.toy import FILES, NAME, PATCH, Release, release, write_tree

__all__ = ["release"]


@pytest.fixture
def tree(release: Release) -> Path:
    """The toy release, unpacked, to be patched."""
    return write_tree(release.root / "tree", FILES)


def _apply(release: Release, tree: Path) -> None:
    patches.apply(patches.load_all(NAME), tree, release.root / "log")


def test_applies(release: Release, tree: Path) -> None:
    _apply(release, tree)
    assert "long core10;" in (tree / "net/core.c").read_text()
    assert not list(tree.rglob("*.orig"))
    assert "0001-tenth-line.patch" in (release.root / "log").read_text()


def test_in_the_order_of_names(release: Release, tree: Path) -> None:
    second = PATCH.replace("+long", "+char").replace("-int core10", "-long core10")
    (release.patches / "0002-again.patch").write_text(second)
    _apply(release, tree)
    assert "char core10;" in (tree / "net/core.c").read_text()


def test_an_offset_is_refused(release: Release, tree: Path) -> None:
    (tree / "net/core.c").write_text("/* One line more. */\n" + FILES["net/core.c"])
    with pytest.raises(InfrastructureError) as caught:
        _apply(release, tree)
    assert "0001-tenth-line.patch does not apply: net/core.c line 10" in caught.value.message
    assert "(hunk 1)" in caught.value.message


def test_fuzz_is_refused(release: Release, tree: Path) -> None:
    changed = FILES["net/core.c"].replace("core9;", "core9[2];")
    (tree / "net/core.c").write_text(changed)
    with pytest.raises(InfrastructureError, match=r"0001-.*: net/core\.c line 9 \(hunk 1\)"):
        _apply(release, tree)
    assert (tree / "net/core.c").read_text() == changed


def test_the_failing_hunk_is_named(release: Release, tree: Path) -> None:
    more = PATCH + "@@ -17,3 +17,3 @@\n int core17;\n-int other18;\n+long core18;\n int core19;\n"
    (release.patches / "0001-tenth-line.patch").write_text(more)
    with pytest.raises(InfrastructureError, match=r"net/core\.c line 17 \(hunk 2\)"):
        _apply(release, tree)


def test_a_file_that_is_not_there(release: Release, tree: Path) -> None:
    (tree / "net/core.c").unlink()
    with pytest.raises(InfrastructureError, match=r"0001-tenth-line\.patch does not apply"):
        _apply(release, tree)


def test_applied_twice_is_refused(release: Release, tree: Path) -> None:
    _apply(release, tree)
    with pytest.raises(InfrastructureError, match="does not apply"):
        _apply(release, tree)


def test_what_was_loaded_is_applied(release: Release, tree: Path) -> None:
    write_tree(release.patches / "overlay", {"net/raw.c": "int ours;\n"})
    series = patches.load_all(NAME)
    before = [part.fingerprint for part in series]
    (release.patches / "0001-tenth-line.patch").unlink()
    (release.patches / "overlay/net/raw.c").write_text("int later;\n")
    patches.apply(series, tree, release.root / "log")
    assert "long core10;" in (tree / "net/core.c").read_text()
    assert (tree / "net/raw.c").read_text() == "int ours;\n"
    assert [part.fingerprint for part in series] == before


def test_overlay_first(release: Release, tree: Path) -> None:
    write_tree(release.patches / "overlay", {"net/raw.c": "int ours;\n", "net/new.c": "int new;\n"})
    _apply(release, tree)
    assert (tree / "net/raw.c").read_text() == "int ours;\n"
    assert (tree / "net/new.c").read_text() == "int new;\n"


def test_a_patch_to_the_own_overlay_is_refused(release: Release, tree: Path) -> None:
    write_tree(release.patches / "overlay", {"net/core.c": FILES["net/core.c"]})
    with pytest.raises(InfrastructureError, match=r"changes net/core\.c, which .*overlay replaces"):
        _apply(release, tree)


def test_parts(release: Release, tree: Path) -> None:
    write_tree(release.patches / "one", {"0001-one.patch": PATCH})
    write_tree(release.patches / "two" / "overlay", {"two.c": ""})
    (release.patches / "0001-tenth-line.patch").unlink()
    patches.apply(patches.load_parts(NAME, ["two"]), tree, release.root / "log")
    assert (tree / "two.c").exists()
    assert "int core10;" in (tree / "net/core.c").read_text()
    assert patches.touched(NAME) == {"net/core.c", "two.c"}
    with pytest.raises(InfrastructureError, match=r"no folder .*three"):
        patches.load_parts(NAME, ["three"])


def test_the_fingerprint_knows_names_and_content(release: Release) -> None:
    seen = {patches.load(release.patches).fingerprint}
    (release.patches / "0001-tenth-line.patch").rename(release.patches / "0002-tenth-line.patch")
    seen.add(patches.load(release.patches).fingerprint)
    (release.patches / "0002-tenth-line.patch").write_text(PATCH.replace("long", "char"))
    seen.add(patches.load(release.patches).fingerprint)
    write_tree(release.patches / "overlay", {"new.c": ""})
    seen.add(patches.load(release.patches).fingerprint)
    (release.patches / "overlay/new.c").write_text("int new;\n")
    seen.add(patches.load(release.patches).fingerprint)
    assert len(seen) == 5


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        ("patching file a.c\n", None),
        ("patching file a.c\nHunk #1 succeeded at 5.\n", None),
        (
            "patching file a.c\nHunk #2 succeeded at 45 (offset -2 lines).\n",
            "a.c line 45 (hunk 2) is not where the patch says: "
            "Hunk #2 succeeded at 45 (offset -2 lines).",
        ),
        (
            "patching file a.c\npatching file 'b c'\nHunk #1 succeeded at 9 with fuzz 1.\n",
            "b c line 9 (hunk 1) is not where the patch says: Hunk #1 succeeded at 9 with fuzz 1.",
        ),
        ("patching file a.c\nHunk #3 FAILED at 12.\n", "a.c line 12 (hunk 3) differs"),
        (
            "can't find file to patch at input line 3\n",
            "the file that it changes is not there",
        ),
    ],
)
def test_what_patch_says(output: str, problem: str | None) -> None:
    assert patches.misapplied(output) == problem


def test_the_repositorys_series_are_there() -> None:
    names = {path.name for path in paths.PATCHES.iterdir()}
    assert {"linux-2.2.12", "ipchains-1.3.9"} <= names
