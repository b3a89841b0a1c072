# SPDX-License-Identifier: GPL-2.0-only
"""A mutant's edit is found in the series, and it does to a tree what the mutated series does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.base import paths
from harness.base.errors import InfrastructureError, UserError
from harness.mutate import edit as mutate_edit
from harness.mutate.edit import Edit
from harness.upstream import patches
from tests.unit.support.toy import FILES, NAME, Release, release, write_tree

__all__ = ["release"]

# Two hunks of one patch, and a later patch that moves the second.
FIRST = """\
Why.

--- a/net/core.c
+++ b/net/core.c
@@ -2,2 +2,3 @@
 int core2;
+int more;
 int core3;
@@ -15,2 +16,3 @@
 int core15;
+int more;
 int core16;
"""
SECOND = """\
Why.

--- a/net/core.c
+++ b/net/core.c
@@ -9,3 +9,5 @@
 int core8;
-int core9;
+long core9;
+long long core9b;
+int twice, twice2;
 int core10;
"""
OVERLAY = "int one;\nint two;\nint two;\n"


@pytest.fixture
def series(release: Release) -> patches.Series:
    """The part `divert` of a toy series."""
    part = release.patches / "divert"
    write_tree(part, {"0001-a.patch": FIRST, "0002-b.patch": SECOND})
    write_tree(part / "overlay", {"net/new.c": OVERLAY})
    return patches.load(part)


def patched(release: Release, root: Path, name: str) -> dict[str, str]:
    """The toy release with the series below `root`: what its files hold."""
    tree = write_tree(release.root / name, FILES)
    patches.apply([patches.load(root / NAME / "divert")], tree, release.root / "log")
    return {file: (tree / file).read_text() for file in ("net/core.c", "net/new.c")}


def both_ways(release: Release, edit: Edit) -> str:
    """The file with the edit made; the mutated series has to make the same of it."""
    plain = patched(release, paths.PATCHES, "plain")
    mutate_edit.write(edit, paths.PATCHES, release.root / "mutated")
    mutated = patched(release, release.root / "mutated", "tree")
    expected = edit.apply(plain[edit.file])
    assert mutated == {**plain, edit.file: expected}
    assert expected != plain[edit.file]
    return expected


@pytest.mark.parametrize(
    ("number", "line", "left"), [(0, 2, "core15;\nint more;"), (1, 18, "core2;\nint more;")]
)
def test_one_hunk_goes_and_the_others_stay(
    release: Release, series: patches.Series, number: int, line: int, left: str
) -> None:
    edit = mutate_edit.removal(list(mutate_edit.hunks(series))[number])
    assert edit.line == line
    text = both_ways(release, edit)
    assert text.count("int more;") == 1
    assert left in text
    assert "long core9;" in text


def test_text_that_a_patch_adds_is_replaced(release: Release, series: patches.Series) -> None:
    edit = mutate_edit.replacement([series], "net/core.c", "core9;\nlong long", "zero;\nchar")
    assert "long zero;\nchar core9b;" in both_ways(release, edit)


def test_text_of_the_overlay_is_replaced(release: Release, series: patches.Series) -> None:
    edit = mutate_edit.replacement([series], "net/new.c", "int one;\n", "")
    assert both_ways(release, edit) == "int two;\nint two;\n"


@pytest.mark.parametrize(
    ("file", "old", "times"),
    [
        ("net/new.c", "int two;", 2),
        ("net/core.c", "int more;", 2),
        ("net/core.c", "twice", 2),
        ("net/core.c", "int core8;", 0),
        ("net/raw.c", "int raw;", 0),
    ],
    ids=["overlay", "two-hunks", "one-hunk", "context", "not-ours"],
)
def test_place_has_to_be_one_of_ours(
    series: patches.Series, file: str, old: str, times: int
) -> None:
    with pytest.raises(UserError, match=f"{file} has {times} times what is to be replaced"):
        mutate_edit.replacement([series], file, old, "")


def test_lines_that_differ_are_refused(release: Release, series: patches.Series) -> None:
    edit = mutate_edit.removal(next(mutate_edit.hunks(series)))
    with pytest.raises(InfrastructureError, match=r"net/core\.c:2 is not what the patches say"):
        edit.apply(FILES["net/core.c"])
    shutil.rmtree(release.root / "mutated", ignore_errors=True)
