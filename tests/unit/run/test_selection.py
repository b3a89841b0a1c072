# SPDX-License-Identifier: GPL-2.0-only
"""What -k, --statement and files select: of the suite, or of somebody's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base import paths
from harness.base.errors import UserError
from harness.run import selection
from harness.run.selection import Selection

SUITE = paths.GUEST_TESTS


@pytest.mark.parametrize(
    ("asked", "name", "proved"),
    [
        ("S", "S8/peek", True),
        ("S8", "S8/peek", True),
        ("S8/peek", "S8/peek", True),
        ("S8", "S8", True),
        ("S8/peek", "S8/recv", False),
        ("S1", "S10", False),
        ("S", "T4", False),
    ],
)
def test_what_proves_something_of_what_is_asked_for(asked: str, name: str, proved: bool) -> None:
    assert selection.proves(asked, name) is proved


def test_nothing_is_all_of_the_suite() -> None:
    found = selection.of()
    assert (found, found.whole, found.own, found.words) == (Selection(), True, False, ())
    assert selection.of(files=[str(SUITE)]).modules == ()


def test_statements_are_named_as_spec_has_them() -> None:
    found = selection.of(named="s1/opens, T4,S")
    assert found.statements == ("S1/opens", "T4", "S")
    assert not found.whole
    assert str(found) == "--statement S1/opens,T4,S"
    with pytest.raises(UserError, match="no such statement") as error:
        selection.of(named="Z9")
    assert "S1" in error.value.hint
    with pytest.raises(UserError, match="S1/closes") as error:
        selection.of(named="S1/closes")
    assert "S1/opens" in error.value.hint


def test_files_of_the_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SUITE)
    file = next(SUITE.glob("s_socket/test_*.py")).relative_to(SUITE)
    found = selection.of("peek", files=[str(file), f"{file}::test_x[a]", "t_twice"])
    assert found.modules == (str(file), f"{file}::test_x[a]", "t_twice")
    assert (found.root, found.own, found.whole) == (SUITE, False, False)
    assert found.words == (str(file), f"{file}::test_x[a]", "t_twice", "-k", "peek")


def test_own_files_are_read_from_the_folder_that_they_share(tmp_path: Path) -> None:
    for name in ("a/test_one.py", "b/test_two.py"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    one, two = f"{tmp_path}/a/test_one.py::test_x", f"{tmp_path}/b/test_two.py"
    found = selection.of(files=[one, two])
    assert (found.root, found.own) == (tmp_path, True)
    assert found.modules == ("a/test_one.py::test_x", "b/test_two.py")
    assert selection.of(files=[one]).modules == ("test_one.py::test_x",)
    assert selection.of(files=[f"{tmp_path}/a"]).modules == ()


def test_what_is_not_there_or_does_not_go_together(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file or folder"):
        selection.of(files=[f"{tmp_path}/test_none.py"])
    with pytest.raises(UserError, match="is of the suite, and other tests are not"):
        selection.of(files=[str(tmp_path), str(SUITE / "s_socket")])
