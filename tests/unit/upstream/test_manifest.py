# SPDX-License-Identifier: GPL-2.0-only
"""Manifests: read, written and compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base.errors import InfrastructureError
from harness.upstream import manifest

A, B = "a" * 64, "b" * 64


def test_there_and_back() -> None:
    content = {"z": A, "a/b c": B, "unknown": manifest.UNKNOWN, "link": "link:../z"}
    text = manifest.dump(content)
    assert text.splitlines()[0] == f"{B}  a/b c"
    assert manifest.parse(text) == content


@pytest.mark.parametrize("line", ["", "word", f"{A} one-space", f"{A[1:]}  short", f"{A}  "])
def test_a_bad_line(line: str) -> None:
    with pytest.raises(InfrastructureError, match="toy:2:"):
        manifest.parse(f"{A}  good\n{line}\n", "toy")


def test_compare() -> None:
    expected = {"same": A, "other": A, "gone": A, "any": manifest.UNKNOWN}
    found = manifest.compare(expected, {"same": A, "other": B, "new": B, "any": B})
    assert found == manifest.Comparison(("other",), ("gone",), ("new",))
    assert found.summary() == "1 differ: other; 1 missing: gone; 1 added: new"
    assert found.within(["gone", "same"]) == manifest.Comparison((), ("gone",), ())


def test_equal_is_false() -> None:
    assert not manifest.compare({"a": A}, {"a": A})


def test_the_summary_is_short() -> None:
    names = tuple(f"file{number}" for number in range(100))
    assert manifest.Comparison(names, (), ()).summary() == "100 differ: file0, file1, file2, ..."


def test_of_tree(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("")
    (tmp_path / "a.o").write_text("")
    (tmp_path / "keep.o").write_text("")
    (tmp_path / "sub" / ".git").mkdir(parents=True)
    (tmp_path / "sub" / ".git" / "HEAD").write_text("")
    (tmp_path / "sub" / "link").symlink_to("../a.c")
    found = manifest.of_tree(tmp_path, ["*.o", ".git"], {"keep.o"})
    assert sorted(found) == ["a.c", "keep.o", "sub/link"]
    assert found["sub/link"] == "link:../a.c"
