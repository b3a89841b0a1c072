# SPDX-License-Identifier: GPL-2.0-only
"""A run as suites of cases: what every format for machines is made of, so that all say the same.

Besides each test there is a case for whatever else keeps the run from passing. So a format has no
case that is red exactly where the verdict is PASS.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.base import paths
from harness.record.events import Event, TestFinished
from harness.report.verdict import VariantSummary, Verdict

CaseOutcome = Literal["passed", "failed", "skipped", "error"]
RED: frozenset[CaseOutcome] = frozenset(["failed", "error"])
# The suite of what is of no variant.
RUN = "run"


@dataclass(frozen=True)
class Case:
    """A test, or what keeps a run from passing (`error`); `message` says why it is not passed.

    `file` is from the checkout on, "" if it is of none; `line`, from 1 on, 0 if it is not known.
    """

    name: str
    outcome: CaseOutcome
    message: str = ""
    module: str = ""
    file: str = ""
    line: int = 0
    seconds: float = 0.0
    test: TestFinished | None = None

    @property
    def first(self) -> str:
        """The first line of its message."""
        return self.message.partition("\n")[0]


@dataclass(frozen=True)
class Suite:
    """The cases of a variant, of what was not built or not run, or of the run."""

    name: str
    cases: tuple[Case, ...]
    seconds: float = 0.0

    @property
    def red(self) -> bool:
        return any(case.outcome in RED for case in self.cases)


def of(events: Sequence[Event], verdict: Verdict) -> list[Suite]:
    """The suites of a run (pure)."""
    suites = [
        Suite(row.variant, tuple(_of_variant(row, events)), row.test_seconds or 0.0)
        for row in verdict.variants
    ]
    for unbuilt in verdict.not_built:
        suites.append(Suite(unbuilt.name, (Case("build", "error", unbuilt.reason),)))
    for absent in verdict.not_run:
        # It is an error where it leaves nothing that was tested, and that is one of the run.
        suites.append(Suite(absent.kernel, (Case("NOT RUN", "skipped", absent.reason),)))
    if rest := _of_run(verdict):
        suites.append(Suite(RUN, tuple(Case("verdict", "error", reason) for reason in rest)))
    return suites


def _of_variant(row: VariantSummary, events: Sequence[Event]) -> Iterator[Case]:
    for event in events:
        if isinstance(event, TestFinished) and event.variant == row.variant:
            yield _case(event)
    for reason in row.reasons:
        if reason != f"{row.failed} failed":
            yield Case("session", "error", reason)


def _of_run(verdict: Verdict) -> list[str]:
    """Why a run did not pass that is of none of its variants."""
    of_variants = {f"{row.variant}: {reason}" for row in verdict.variants for reason in row.reasons}
    return [reason for reason in verdict.reasons if reason not in of_variants]


def _case(test: TestFinished) -> Case:
    module, _, name = test.test.partition("::")
    suite = paths.GUEST_TESTS.relative_to(paths.ROOT) if _inside() else paths.GUEST_TESTS
    return Case(
        name,
        test.outcome,
        test.message,
        Path(module).stem,
        test.own or (suite / module).as_posix(),
        test.line,
        test.seconds,
        test,
    )


def _inside() -> bool:
    return paths.GUEST_TESTS.is_relative_to(paths.ROOT)
