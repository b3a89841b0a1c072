# SPDX-License-Identifier: GPL-2.0-only
"""The verdict on each statement of SPEC.md on each variant, by the events of a run (pure)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from harness.matrix import statements
from harness.record.events import Event, NotBuilt, StatementKnown, TestFinished, VariantSelected

# The worst first: a statement stands as the worst of its parts that apply.
StatementVerdict = Literal["failed", "not run", "proved", "not applicable"]
FAILED: StatementVerdict = "failed"
NOT_RUN: StatementVerdict = "not run"
PROVED: StatementVerdict = "proved"
NOT_APPLICABLE: StatementVerdict = "not applicable"
ORDER: tuple[StatementVerdict, ...] = (FAILED, NOT_RUN, PROVED, NOT_APPLICABLE)

NO_TEST = "no test ran"


@dataclass(frozen=True)
class PartVerdict:
    """One part (`S1`, or its case `S1/eperm`) on one variant; `reason` for what is not proved.

    `missing` is the upstream source for want of which it was not run, and could not be.
    """

    name: str
    text: str
    verdict: StatementVerdict
    reason: str
    tests: tuple[TestFinished, ...]
    missing: str = ""

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
    parts: tuple[PartVerdict, ...]

    @property
    def verdict(self) -> StatementVerdict:
        """That of its worst part."""
        return min((part.verdict for part in self.parts), key=ORDER.index, default=NOT_RUN)

    @property
    def reason(self) -> str:
        """Why it is not proved; empty if it is."""
        if self.verdict == PROVED:
            return ""
        names: dict[str, list[str]] = defaultdict(list)
        for part in self.parts:
            if part.verdict == self.verdict:
                names[part.reason].append(part.name)
        if self.verdict == NOT_APPLICABLE:
            return "; ".join(names)
        return "; ".join(f"{', '.join(each)}: {reason}" for reason, each in names.items())

    @property
    def missing(self) -> tuple[str, ...]:
        """The upstream sources for want of which parts of it were not run."""
        return tuple(dict.fromkeys(part.missing for part in self.parts if part.missing))

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
    unbuilt = {
        name: f"{event.name} could not be built"
        for event in events
        if isinstance(event, NotBuilt)
        for name in event.variants
    }
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
                _part(
                    PartVerdict(name, text, NOT_RUN, unbuilt.get(variant.variant, NO_TEST), ()),
                    needs,
                    variant,
                    finished[variant.variant, name],
                )
                for name, (needs, text) in statement.parts.items()
            ),
        )
        for statement in known(events)
        for variant in variants
    ]


def _part(
    blank: PartVerdict,
    needs: tuple[str, ...],
    variant: VariantSelected,
    finished: Sequence[TestFinished],
) -> PartVerdict:
    """How a part stands that would be `blank` if nothing had come of it."""
    has = frozenset(variant.has)
    failed = [test for test in finished if test.outcome == "failed"]
    passed = [test for test in finished if test.outcome == "passed"]
    if failed:
        # Also where it does not apply: what ran and failed is never hidden.
        first = failed[0].message.partition("\n")[0]
        return replace(blank, verdict=FAILED, reason=first, tests=(*failed, *passed))
    if (lacking := statements.missing(needs, has, variant.lacks)) is not None:
        need, source = lacking
        return replace(blank, reason=f"needs {need}, and {source} is missing", missing=source)
    if (unmet := statements.unmet(needs, has)) is not None:
        return replace(blank, verdict=NOT_APPLICABLE, reason=f"needs a kernel with {unmet}")
    if passed:
        return replace(blank, verdict=PROVED, reason="", tests=tuple(passed))
    if finished and all(_unfit(test) for test in finished):
        reason = finished[0].message.removeprefix(statements.NOT_APPLICABLE)
        return replace(blank, verdict=NOT_APPLICABLE, reason=reason)
    return replace(blank, reason=finished[0].message) if finished else blank


def _unfit(test: TestFinished) -> bool:
    """Whether a test had nothing to say about the kernel, which its statement had not told."""
    return test.outcome == "skipped" and test.message.startswith(statements.UNFIT)


def blanks(cells: Iterable[Cell]) -> list[str]:
    """`S9/killed on base` for each part that applies and was not run, though it could have been."""
    return [
        f"{part.name} on {cell.variant}"
        for cell in cells
        for part in cell.parts
        if part.verdict == NOT_RUN and not part.missing
    ]


def missed(cells: Iterable[Cell]) -> dict[str, list[str]]:
    """The upstream sources that are missing, each with what was not run for it: `R3`, or `2 of the
    15 cases of R3`.
    """
    every: dict[str, set[str]] = defaultdict(set)
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for cell in cells:
        every[cell.statement] |= {part.name for part in cell.parts}
        for part in cell.parts:
            if part.missing:
                found[part.missing, cell.statement].add(part.name)
    told: dict[str, list[str]] = defaultdict(list)
    for (source, name), lost in found.items():
        some = f"{len(lost)} of the {len(every[name])} cases of {name}"
        told[source].append(name if lost == every[name] else some)
    return told
