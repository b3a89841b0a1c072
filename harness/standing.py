# SPDX-License-Identifier: GPL-2.0-only
"""How each statement of SPEC.md stands on each variant, by the events of a run (pure)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from harness import statements
from harness.events import Event, StatementKnown, TestFinished, VariantSelected

# The worst first: a statement stands as the worst of its parts that apply.
Standing = Literal["failed", "not run", "proved", "not applicable"]
FAILED: Standing = "failed"
NOT_RUN: Standing = "not run"
PROVED: Standing = "proved"
NOT_APPLICABLE: Standing = "not applicable"
ORDER: tuple[Standing, ...] = (FAILED, NOT_RUN, PROVED, NOT_APPLICABLE)


@dataclass(frozen=True)
class PartStanding:
    """One part (`S1`, or its case `S1/eperm`) on one variant; `reason` for what is not proved."""

    name: str
    text: str
    standing: Standing
    reason: str
    tests: tuple[TestFinished, ...]

    @property
    def seconds(self) -> float:
        """What its tests took together."""
        return sum(test.seconds for test in self.tests)


@dataclass(frozen=True)
class Cell:
    """One statement on one variant of a kernel."""

    statement: str
    kernel: str
    variant: str
    parts: tuple[PartStanding, ...]

    @property
    def standing(self) -> Standing:
        """That of its worst part."""
        return min((part.standing for part in self.parts), key=ORDER.index, default=NOT_RUN)

    @property
    def reason(self) -> str:
        """Why it is not proved; empty if it is."""
        if self.standing == PROVED:
            return ""
        parts = [part for part in self.parts if part.standing == self.standing]
        reasons = dict.fromkeys(part.reason for part in parts)
        if self.standing == NOT_APPLICABLE:
            return "; ".join(reasons)
        return "; ".join(f"{part.name}: {part.reason}" for part in parts)

    @property
    def tests(self) -> tuple[TestFinished, ...]:
        """The tests of all its parts, each once."""
        return tuple({test.test: test for part in self.parts for test in part.tests}.values())

    @property
    def seconds(self) -> float:
        """What its tests took together."""
        return sum(test.seconds for test in self.tests)


def known(events: Iterable[Event]) -> list[StatementKnown]:
    """The statements of a run, in the order of SPEC.md."""
    return [event for event in events if isinstance(event, StatementKnown)]


def of(events: Sequence[Event]) -> list[Cell]:
    """Every statement on every variant that was selected: statements outside, variants inside."""
    variants = [event for event in events if isinstance(event, VariantSelected)]
    finished: dict[tuple[str, str], list[TestFinished]] = defaultdict(list)
    for event in events:
        if isinstance(event, TestFinished):
            for name in event.statements:
                finished[event.variant, name].append(event)
    return [
        Cell(
            statement.name,
            variant.kernel,
            variant.variant,
            tuple(
                _part(name, needs, text, frozenset(variant.has), finished[variant.variant, name])
                for name, (needs, text) in statement.parts.items()
            ),
        )
        for statement in known(events)
        for variant in variants
    ]


def _part(
    name: str,
    needs: tuple[str, ...],
    text: str,
    has: frozenset[str],
    finished: Sequence[TestFinished],
) -> PartStanding:
    need = statements.unmet(needs, has)
    failed = [test for test in finished if test.outcome == "failed"]
    passed = [test for test in finished if test.outcome == "passed"]
    if failed:
        # Also where it does not apply: what ran and failed is never hidden.
        first = failed[0].message.partition("\n")[0]
        return PartStanding(name, text, FAILED, first, (*failed, *passed))
    if need is not None:
        return PartStanding(name, text, NOT_APPLICABLE, f"needs a kernel with {need}", ())
    if passed:
        return PartStanding(name, text, PROVED, "", tuple(passed))
    reason = finished[0].message if finished else "no test ran"
    return PartStanding(name, text, NOT_RUN, reason, ())


def blanks(cells: Iterable[Cell]) -> list[str]:
    """`S9/killed on base` for each part that applies and was not run."""
    return [
        f"{part.name} on {cell.variant}"
        for cell in cells
        for part in cell.parts
        if part.standing == NOT_RUN
    ]
