# SPDX-License-Identifier: GPL-2.0-only
"""Results: which are somebody's work, which are remembered, and how they are reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base import terminal
from harness.base.errors import InfrastructureError
from harness.mutate import report
from harness.mutate.edit import Edit
from harness.mutate.mutants import LeftOut, Mutant
from harness.mutate.result import Memory, Result, Verdict

EDIT = Edit("part", "file.c", 1, ("old",), ("new",))
PLAIN = Mutant("plain", "source", EDIT, breaks=("S4",))
EXPLAINED = Mutant("explained", "source", EDIT, breaks=("S4",), survives="nothing shows it")
TEST = "tests/guest/test_s.py::test_one[a]"


def result(mutant: Mutant, verdict: Verdict, message: str = "") -> Result:
    killed = verdict in (Verdict.KILLED, Verdict.VOID)
    return Result(
        mutant.name,
        verdict,
        1.5,
        "print",
        TEST if killed else "",
        "base" if killed else "",
        message,
    )


@pytest.mark.parametrize(
    ("mutant", "verdict", "fault"),
    [
        (PLAIN, Verdict.KILLED, False),
        (PLAIN, Verdict.SURVIVED, True),
        (PLAIN, Verdict.UNSEEN, True),
        (PLAIN, Verdict.UNBUILT, True),
        (PLAIN, Verdict.VOID, True),
        (EXPLAINED, Verdict.SURVIVED, False),
        (EXPLAINED, Verdict.UNSEEN, False),
        (EXPLAINED, Verdict.KILLED, False),
        (EXPLAINED, Verdict.UNBUILT, True),
    ],
)
def test_what_is_a_fault(mutant: Mutant, verdict: Verdict, fault: bool) -> None:
    assert result(mutant, verdict).is_fault(mutant) == fault


def test_remembered_from_run_to_run(tmp_path: Path) -> None:
    path = tmp_path / "below" / "known.json"
    memory = Memory(path)
    killed, survived = result(PLAIN, Verdict.KILLED), result(EXPLAINED, Verdict.SURVIVED)
    memory.remember(killed)
    memory.remember(survived)
    later = Memory(path)
    assert later.known("plain", "print") == killed
    assert later.known("plain", "another") is None
    assert later.known("new", "print") is None
    assert later.killer("plain") == ("base", TEST)
    assert later.killer("explained") == later.killer("new") == ("", "")


def test_file_that_is_something_else(tmp_path: Path) -> None:
    path = tmp_path / "known.json"
    path.write_text('{"plain": {"verdict": "maybe"}}')
    with pytest.raises(InfrastructureError, match="cannot read"):
        Memory(path)


def test_summary_says_what_is_to_be_done() -> None:
    def lines(*results: Result) -> list[str]:
        rows = {row.name: row for row in results}
        said = report.summary([PLAIN, EXPLAINED], rows, [LeftOut("h", "r")])
        # The rates are test_report's.
        return [line for line in said if not line.startswith("series: ")]

    head = "2 mutants: 1 SURVIVED, 1 killed; 1 hunks make none"
    good = [result(PLAIN, Verdict.KILLED), result(EXPLAINED, Verdict.SURVIVED)]
    assert lines(*good) == [head]
    bad = [result(PLAIN, Verdict.SURVIVED), result(EXPLAINED, Verdict.KILLED)]
    assert lines(*bad) == [
        head,
        "plain: no test sees it (S4): write one",
        "explained: killed, though the list says why it would survive",
    ]
    assert lines(result(PLAIN, Verdict.UNSEEN))[1:] == ["plain: no test of S4 sees it"]
    assert lines(result(PLAIN, Verdict.UNSEEN))[0].endswith(
        "1 not seen, 1 not run; 1 hunks make none"
    )
    assert lines(result(PLAIN, Verdict.UNBUILT, "error"))[1:] == ["plain: mend the list: error"]
    assert lines(result(PLAIN, Verdict.VOID))[1:] == [f"plain: {TEST} fails on base without it too"]


def test_table_has_each_mutant_and_what_killed_it(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {"plain": result(PLAIN, Verdict.KILLED)}
    terminal.show(report.render([PLAIN, EXPLAINED], rows, []))
    out = capsys.readouterr().out.splitlines()
    assert out[1].split() == ["plain", "killed", "base", "test_s.py::test_one[a]", "1.5"]
    assert out[2].split() == ["explained", "not", "run"]
