# SPDX-License-Identifier: GPL-2.0-only
"""What differs between two trees is a patch that patch takes, and that says where each hunk is."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base import difference
from harness.base.errors import InfrastructureError
from harness.upstream import patches
from tests.unit.support.toy import FILES, write_tree

FUNCTION = "int first(void)\n{\n" + "".join(f"\tstep({number});\n" for number in range(9)) + "}\n"
OLD = {**FILES, "net/function.c": FUNCTION, "net/gone.c": "int gone;\n"}
NEW = {
    **FILES,
    "net/function.c": FUNCTION.replace("step(8)", "leap(8)"),
    "net/new.c": "int new;\n",
}


@pytest.fixture(name="text")
def _text(tmp_path: Path) -> str:
    old, new = write_tree(tmp_path / "old", OLD), write_tree(tmp_path / "new", NEW)
    names = ["README", "net/function.c", "net/gone.c", "net/new.c"]
    return difference.of_files(old, new, names).decode()


def test_a_hunk_has_its_function_and_three_lines_around(text: str) -> None:
    assert "@@ -8,5 +8,5 @@ int first(void)\n \tstep(5);\n \tstep(6);\n \tstep(7);\n" in text


def test_a_file_that_is_the_same_leaves_nothing_and_no_time_is_told(text: str) -> None:
    assert "README" not in text
    heads = [line for line in text.splitlines() if line.startswith(("--- ", "+++ "))]
    assert heads == [
        *("--- a/net/function.c", "+++ b/net/function.c"),
        *("--- a/net/gone.c", "+++ /dev/null"),
        *("--- /dev/null", "+++ b/net/new.c"),
    ]


def test_applied_to_the_one_tree_it_makes_the_other(text: str, tmp_path: Path) -> None:
    (tmp_path / "series").mkdir()
    (tmp_path / "series/0001-all.patch").write_text(f"Why.\n\n{text}")
    patches.apply([patches.load(tmp_path / "series")], tmp_path / "old", tmp_path / "log")
    for path in (tmp_path / "new").rglob("*.c"):
        made = tmp_path / "old" / path.relative_to(tmp_path / "new")
        assert made.read_text() == path.read_text()
    assert not (tmp_path / "old/net/gone.c").exists()


def test_a_diff_that_fails_is_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "diff").write_text("#!/bin/sh\necho broken >&2\nexit 2\n")
    (tmp_path / "diff").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(InfrastructureError, match=r"diff of x failed: broken"):
        difference.of_files(tmp_path, tmp_path, ["x"])
    (tmp_path / "diff").unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InfrastructureError, match="cannot start diff"):
        difference.of_files(tmp_path, tmp_path, ["x"])
