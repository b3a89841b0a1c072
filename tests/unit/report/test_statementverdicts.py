# SPDX-License-Identifier: GPL-2.0-only
"""How a statement stands: as the worst of its parts that apply, and nothing is left blank."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.record.events import (
    Event,
    NotBuilt,
    Outcome,
    StatementKnown,
    TestFinished,
    VariantSelected,
)
from harness.report import statementverdicts
from harness.report.verdict import judge
from tests.unit.report.test_verdict import GOOD, STARTED

KNOWN = StatementKnown(
    name="S8",
    origin=("H 4",),
    text="works",
    parts={
        "S8/peek": (("divert",), "peek"),
        "S8/whole": (("defrag",), "whole"),
        "S8/plain": (("no divert",), "plain"),
    },
)
BASE = VariantSelected(variant="base", kernel="k", has=("divert", "patched"))
DEFRAG = VariantSelected(variant="defrag", kernel="k", has=("defrag", "divert", "patched"))


def outcome_of(name: str, outcome: Outcome = "passed", variant: str = "base") -> TestFinished:
    return TestFinished(
        variant=variant,
        test=f"t.py::{name}-{outcome}",
        outcome=outcome,
        statements=(name,),
        seconds=0.5,
        message={"failed": "broke\nmore", "skipped": "not applicable: T1"}.get(outcome, ""),
    )


def cell(*events: Event, variant: VariantSelected = BASE) -> statementverdicts.Cell:
    (found,) = statementverdicts.of([KNOWN, variant, *events])
    return found


def test_proved_by_all_parts_that_apply() -> None:
    found = cell(outcome_of("S8/peek"))
    assert (found.verdict, found.reason, found.seconds) == ("proved", "", 0.5)
    reasons = {part.name: part.reason for part in found.parts}
    assert reasons["S8/whole"] == "needs a kernel with defrag"
    # Where one more part applies it is owed.
    found = cell(outcome_of("S8/peek", variant="defrag"), variant=DEFRAG)
    assert (found.verdict, found.reason) == ("not run", "S8/whole: no test ran")


def test_one_failure_is_a_failure() -> None:
    found = cell(outcome_of("S8/peek"), outcome_of("S8/peek", "failed"))
    assert (found.verdict, found.reason) == ("failed", "S8/peek: broke")
    assert len(found.tests) == 2


def test_failure_where_it_does_not_apply_is_not_hidden() -> None:
    assert cell(outcome_of("S8/peek"), outcome_of("S8/whole", "failed")).verdict == "failed"


def test_skipped_is_not_run() -> None:
    found = cell(outcome_of("S8/peek", "skipped"))
    assert (found.verdict, found.reason) == ("not run", "S8/peek: not applicable: T1")
    assert statementverdicts.blanks([found]) == ["S8/peek on base"]


def test_not_applicable_where_all_its_tests_need_more_than_it_does() -> None:
    unfit = replace(
        outcome_of("S8/peek", "skipped"),
        message="not applicable: it needs a kernel with tunnels",
    )
    found = cell(unfit)
    assert found.verdict == "not applicable"
    assert found.reason.startswith("it needs a kernel with tunnels; ")
    assert statementverdicts.blanks([found]) == []
    # One that ran proves it; one that did not for another reason leaves it blank.
    assert cell(unfit, outcome_of("S8/peek")).verdict == "proved"
    assert cell(unfit, outcome_of("S8/peek", "skipped")).verdict == "not run"


def test_not_applicable_says_why() -> None:
    nothing = VariantSelected(variant="x", kernel="k", has=())
    known = StatementKnown(name="F4", origin=(), text="", parts={"F4": (("defrag",), "")})
    (found,) = statementverdicts.of([known, nothing])
    assert (found.verdict, found.reason) == ("not applicable", "needs a kernel with defrag")
    assert statementverdicts.blanks([found]) == []


@pytest.mark.parametrize(("expression", "passed"), [("", False), ("peek", True)])
def test_whole_run_owes_every_statement(expression: str, passed: bool) -> None:
    started = type(STARTED)(**{**vars(STARTED), "expression": expression})
    verdict = judge([started, KNOWN, BASE, *GOOD[1:]])
    assert verdict.passed == passed
    assert verdict.reasons == (() if passed else ("not proved: S8/peek on base",))
    assert judge([started, KNOWN, BASE, *GOOD[1:-1], outcome_of("S8/peek"), GOOD[-1]]).passed


LACKING = VariantSelected(
    variant="base", kernel="k", has=("divert",), lacks={"ipchains": "ipchains-1.3.9"}
)
R3 = StatementKnown(
    name="R3",
    origin=(),
    text="",
    parts={
        "R3/append": (("divert", "ipchains"), ""),
        "R3/list": (("ipchains", "divert"), ""),
        "R3/errno": (("divert",), ""),
        "R3/whole": (("ipchains", "defrag"), ""),
    },
)


def test_what_a_missing_source_keeps_from_running_is_not_run_for_that_reason() -> None:
    """It is no blank of the tests', but it is not proved either, nor silently not applicable."""
    (found,) = statementverdicts.of([R3, LACKING, outcome_of("R3/errno")])
    assert [part.verdict for part in found.parts] == [
        *("not run", "not run"),
        *("proved", "not applicable"),
    ]
    reason = "needs ipchains, and ipchains-1.3.9 is missing"
    assert (found.verdict, found.reason) == ("not run", f"R3/append, R3/list: {reason}")
    assert found.missing == ("ipchains-1.3.9",)
    assert statementverdicts.blanks([found]) == []
    assert statementverdicts.missed([found]) == {"ipchains-1.3.9": ["2 of the 4 cases of R3"]}
    # What could have run and did not is a blank as ever.
    (found,) = statementverdicts.of([R3, LACKING])
    assert statementverdicts.blanks([found]) == ["R3/errno on base"]


def test_what_was_not_built_says_so() -> None:
    broken = NotBuilt(name="base", variants=("base",), reason="x")
    assert cell(broken).reason == "S8/peek: base could not be built"
