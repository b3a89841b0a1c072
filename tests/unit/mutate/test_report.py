# SPDX-License-Identifier: GPL-2.0-only
"""What counts for the rate of the killed, and what there is to do."""

from __future__ import annotations

import pytest

from harness.base import terminal
from harness.mutate import report, syntax
from harness.mutate.edit import Edit
from harness.mutate.mutants import MODULE, Mutant
from harness.mutate.result import Result, Verdict

C = b"void f(int x)\n{\n\tif (x)\n\t\tg();\n\tx = 1;\n\tkfree(p);\n\th(x + 1);\n}\n"
VERDICTS = {
    "negate": Verdict.KILLED,
    "call": Verdict.SURVIVED,
    "assign": Verdict.SAME,
    "constant": Verdict.UNBUILT,
    "put": Verdict.SURVIVED,
    "arithmetic": Verdict.UNCOVERED,
}


def rows() -> tuple[list[Mutant], dict[str, Result]]:
    mutants, results = [], {}
    for fault in syntax.faults("module/x.c", C):
        why = "why" if fault.operator == "put" else ""
        edit = Edit(MODULE, "module/x.c", 1, ("a",), ("b",))
        mutants.append(Mutant(fault.name, MODULE, edit, survives=why, fault=fault))
        verdict = VERDICTS[fault.operator]
        results[fault.name] = Result(fault.name, verdict, 1.0, "")
    return mutants, results


def test_rate_counts_what_a_test_could_have_seen() -> None:
    mutants, results = rows()
    # Killed 1; survive 2, one not covered; excused, of no other code, and no program: neither way.
    assert report.rate(mutants, results) == "25.0 %"
    assert report.rate([each for each in mutants if each.kind == "negate"], results) == "100.0 %"
    assert report.rate([each for each in mutants if each.kind == "assign"], results) == "-"


def test_report_has_files_operators_and_what_there_is_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    mutants, results = rows()
    terminal.show(report.render(mutants, results, ()))
    said = capsys.readouterr().out
    assert "module: 25.0 % killed" in said
    assert "module/x.c:f:call:g(): no test sees it: write one" in said
    assert "module/x.c:f:arithmetic:x + 1: no test runs it: write one" in said
    assert "kfree" not in said
    row = next(line.split() for line in said.splitlines() if line.startswith("module/x.c  "))
    assert row == ["module/x.c", "1", "2", "0", "1", "1", "3", "25.0", "%"]


def test_listed_one_has_to_be_a_program_and_another() -> None:
    mutants, results = rows()
    made = next(each for each in mutants if each.kind == "assign")
    listed = Mutant("listed", MODULE, made.edit)
    assert not results[made.name].is_fault(made)
    assert Result("listed", Verdict.SAME, 1.0, "").is_fault(listed)
    assert Result("listed", Verdict.UNBUILT, 1.0, "").is_fault(listed)
