# SPDX-License-Identifier: GPL-2.0-only
"""Patch files are parsed strictly; those of this repository keep its rules."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from harness.base import paths
from harness.base.errors import InfrastructureError
from harness.upstream import patchfile
from tests.unit.support.toy import PATCH


def _parse(tmp_path: Path, text: str) -> patchfile.Patch:
    path = tmp_path / "0001-toy.patch"
    path.write_text(text)
    return patchfile.parse(path)


def test_parsed(tmp_path: Path) -> None:
    patch = _parse(tmp_path, PATCH)
    assert patch.head == "The tenth line is wrong; here it is mended."
    (change,) = patch.changes
    assert (change.old, change.new) == ("net/core.c", "net/core.c")
    (hunk,) = change.hunks
    assert hunk.old_start == 9
    assert hunk.lines == (" int core9;", "-int core10;", "+long core10;", " int core11;")


def test_new_and_removed_files(tmp_path: Path) -> None:
    patch = _parse(
        tmp_path,
        "Why.\n--- /dev/null\n+++ b/new.c\n@@ -0,0 +1 @@\n+int new;\n"
        "--- a/old.c\t2000-01-01\n+++ /dev/null\n@@ -1 +0,0 @@\n-int old;\n"
        "\\ No newline at end of file\n",
    )
    assert [(c.old, c.new) for c in patch.changes] == [(None, "new.c"), ("old.c", None)]


def test_a_removed_line_that_looks_like_a_header(tmp_path: Path) -> None:
    text = "Why.\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n--- a\n+++ b\n-c\n+d\n"
    patch = _parse(tmp_path, text)
    assert [len(change.hunks[0].lines) for change in patch.changes] == [4]


@pytest.mark.parametrize("text", ["", "Only words.\n", "--- a/x\n"])
def test_no_patch(tmp_path: Path, text: str) -> None:
    with pytest.raises(InfrastructureError, match="changes no file"):
        _parse(tmp_path, text)


def test_a_hunk_cut_short(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match=r"0001-toy\.patch:9: the hunk ends too early"):
        _parse(tmp_path, "\n".join(PATCH.splitlines()[:-1]))


# A patch in the form of this project: three lines around, and the function.
GOOD = """\
The tenth line is mended

Was: a line that is wrong.

Now: one that is right.

Here: it is the tenth.

--- a/net/core.c
+++ b/net/core.c
@@ -7,7 +7,7 @@ int core(void)
 int core7;
 int core8;
 int core9;
-int core10;
+long core10;
 int core11;
 int core12;
 int core13;
"""
HEAD = GOOD.partition("--- a/")[0]


def test_a_good_patch_has_no_faults(tmp_path: Path) -> None:
    assert patchfile.faults(_parse(tmp_path, GOOD)) == []


def test_at_the_ends_of_a_file_there_is_less_around(tmp_path: Path) -> None:
    first = "--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n one\n-two\n+deux\n three\n"
    assert patchfile.faults(_parse(tmp_path, HEAD + first)) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (HEAD, "", "does not say why"),
        (
            HEAD,
            "SPDX-License-Identifier: GPL-2.0-only\n\ndiff --git a/net/core.c b/net/core.c\n",
            "does not say why",
        ),
        ("Here: it is", "It is", "no paragraph Here:"),
        ("-7,7 +7,7", "-6,8 +6,8", "more than 3 lines of context"),
        ("-7,7 +7,7 @@ int core(void)\n int core7;\n", "-8,6 +8,6 @@\n", "fewer than 3 lines"),
        (" int core13;\n", " int core13;\n int core14;\n", "more than 3 lines of context"),
    ],
)
def test_faults(tmp_path: Path, old: str, new: str, fault: str) -> None:
    assert old in GOOD
    text = GOOD.replace(old, new)
    if "-6,8" in text:
        text = text.replace(" int core7;", " int core6;\n int core7;")
    if "core14" in text:
        text = text.replace("-7,7 +7,7", "-7,8 +7,8")
    (found,) = patchfile.faults(_parse(tmp_path, text))
    assert fault in found


def test_much_between_two_changes_is_two_hunks(tmp_path: Path) -> None:
    between = "".join(f" int core{number};\n" for number in range(11, 18))
    text = GOOD.replace("-7,7 +7,7", "-7,15 +7,15").replace(
        " int core11;\n int core12;\n int core13;\n",
        f"{between}-int core18;\n+long core18;\n int core19;\n int core20;\n int core21;\n",
    )
    (found,) = patchfile.faults(_parse(tmp_path, text))
    assert "more than 3 lines of context" in found


@pytest.mark.parametrize("around", [1, 2, 3])
def test_changes_are_the_same_whatever_is_around_them(tmp_path: Path, around: int) -> None:
    """Three changes: the second close to the first, the third apart."""
    old = [f"line {number}\n" for number in range(1, 31)]
    new = list(old)
    new[9], new[11], new[19:20] = "ten\n", "twelve\n", ["twenty\n", "and more\n"]
    text = "".join(difflib.unified_diff(old, new, "a/x", "b/x", n=around))
    (change,) = _parse(tmp_path, f"Why.\n{text}").changes
    pieces = [piece for hunk in change.hunks for piece in hunk.changes]
    assert [piece.old_start for piece in pieces] == [9, 19]
    assert pieces[1].lines == (*(" line 19", "-line 20", "+twenty", "+and more", " line 21"),)
    assert len(pieces[0].lines) == 7


def test_the_repositorys_patches_keep_the_rules() -> None:
    found = sorted(paths.PATCHES.rglob("*.patch"))
    assert found
    assert [fault for path in found for fault in patchfile.faults(patchfile.parse(path))] == []
