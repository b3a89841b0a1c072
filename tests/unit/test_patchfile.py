# SPDX-License-Identifier: GPL-2.0-only
"""Patch files are parsed strictly; those of this repository keep its rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import patchfile, paths
from harness.errors import InfrastructureError
from tests.unit.toy import PATCH


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


def test_a_good_patch_has_no_faults(tmp_path: Path) -> None:
    assert patchfile.faults(_parse(tmp_path, PATCH)) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("The tenth line is wrong; here it is mended.\n", "", "does not say why"),
        (
            "The tenth line is wrong; here it is mended.",
            "SPDX-License-Identifier: GPL-2.0-only\n\ndiff --git a/net/core.c b/net/core.c",
            "does not say why",
        ),
        ("@@ -9,3 +9,3 @@\n", "@@ -8,4 +8,4 @@\n int core8;\n", "more than one line of context"),
        ("@@ -9,3 +9,3 @@", "@@ -9,3 +9,3 @@ int core(void)", "context behind its @@"),
        (
            "@@ -9,3 +9,3 @@\n int core9;\n-int core10;\n+long core10;\n int core11;\n",
            "@@ -9,6 +9,6 @@\n int core9;\n-int core10;\n+long core10;\n int core11;\n"
            " int core12;\n int core13;\n-int core14;\n+long core14;\n",
            "more than one line of context",
        ),
    ],
)
def test_faults(tmp_path: Path, old: str, new: str, fault: str) -> None:
    assert old in PATCH
    (found,) = patchfile.faults(_parse(tmp_path, PATCH.replace(old, new)))
    assert fault in found


def test_the_repositorys_patches_keep_the_rules() -> None:
    found = sorted(paths.PATCHES.rglob("*.patch"))
    assert found
    assert [fault for path in found for fault in patchfile.faults(patchfile.parse(path))] == []
