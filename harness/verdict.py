# SPDX-License-Identifier: GPL-2.0-only
"""What a stream of events amounts to: counts, times, and whether everything asked for passed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from harness import standing
from harness.events import (
    Event,
    GuestBooted,
    GuestKept,
    GuestLost,
    ImageBuilt,
    KernelBuilt,
    NotRun,
    RunFinished,
    RunStarted,
    SessionFinished,
    TestFinished,
    TestsCollected,
    TestStarted,
    VariantSelected,
)

E = TypeVar("E", bound=Event)

# pytest's exit statuses: 0 all passed, 1 some failed; with any other the session was cut short.
ORDERLY = (0, 1)


@dataclass(frozen=True)
class VariantSummary:
    """One variant of a run. Seconds are None for what did not take place.

    `reasons` says why the variant did not pass; it passed when there is none.
    """

    variant: str
    passed: int
    failed: int
    skipped: int
    build_seconds: float | None
    build_cached: bool
    boot_seconds: float | None
    test_seconds: float | None
    accelerator: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """A whole run; `reasons` are of the run, or of a variant, whose name they begin with."""

    started: RunStarted | None
    variants: tuple[VariantSummary, ...]
    image: ImageBuilt | None
    failures: tuple[TestFinished, ...]
    not_run: tuple[NotRun, ...]
    kept: tuple[GuestKept, ...]
    interrupted: bool
    booted: bool
    seconds: float | None
    reasons: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """True when everything that was asked for ran and passed."""
        return not self.reasons

    @property
    def counts(self) -> tuple[int, int, int]:
        """Tests passed, failed, skipped, over all variants."""
        rows = self.variants
        return (
            sum(r.passed for r in rows),
            sum(r.failed for r in rows),
            sum(r.skipped for r in rows),
        )


def judge(events: Sequence[Event]) -> Verdict:
    """The verdict on a stream. What the stream does not show did not happen."""
    started = _last(events, RunStarted)
    not_run = tuple(_of(events, NotRun))
    names = _to_be_run(started, not_run, events)
    expression = started.expression if started else ""
    rows = tuple(_summary(name, events, bool(expression)) for name in names)
    finished = _last(events, RunFinished)
    interrupted = finished is not None and finished.interrupted
    reasons = [f"{row.variant}: {reason}" for row in rows for reason in row.reasons]
    if not_run and not rows:
        reasons = [f"{row.kernel}: NOT RUN" for row in not_run]
    if started is None:
        reasons.append("the run did not start")
    elif rows and not any(row.passed for row in rows):
        reasons.append("no test passed")
    if not (expression or interrupted or reasons):
        reasons += _blanks(events, names)
    if interrupted:
        reasons.append("interrupted")
    elif finished is None:
        reasons.append("the run did not finish")
    return Verdict(
        started=started,
        variants=rows,
        image=_last(events, ImageBuilt),
        failures=tuple(e for e in _of(events, TestFinished) if e.outcome == "failed"),
        not_run=not_run,
        kept=tuple(_of(events, GuestKept)),
        interrupted=interrupted,
        booted=_last(events, GuestBooted) is not None,
        seconds=finished.at - started.at if finished and started else None,
        reasons=tuple(reasons),
    )


def _to_be_run(
    started: RunStarted | None, not_run: Sequence[NotRun], events: Sequence[Event]
) -> tuple[str, ...]:
    """The variants of kernels that could be had.

    Of the others no session was owed, and saying of each that it did not finish would hide why.
    """
    names = started.variants if started else ()
    if not not_run:
        return names
    kernel_of = {event.variant: event.kernel for event in _of(events, VariantSelected)}
    absent = {row.kernel for row in not_run}
    return tuple(name for name in names if kernel_of.get(name, not_run[0].kernel) not in absent)


def _blanks(events: Sequence[Event], variants: Sequence[str]) -> list[str]:
    """A whole run owes every statement where it applies."""
    names = standing.blanks(cell for cell in standing.of(events) if cell.variant in variants)
    if not names:
        return []
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return [f"not proved: {', '.join(names[:3])}{more}"]


def _summary(variant: str, events: Sequence[Event], narrowed: bool) -> VariantSummary:
    finished = _of(events, TestFinished, variant)
    count = Counter(event.outcome for event in finished)
    collected = _last(events, TestsCollected, variant)
    session = _last(events, SessionFinished, variant)
    reasons = []
    started = _last(events, TestStarted, variant)
    during = ""
    if started is not None and started.test not in {event.test for event in finished}:
        during = f" in {started.test}"
    if collected is None:
        reasons.append("the session did not start")
    elif session is None:
        reasons.append(f"the session did not finish{during}")
    elif session.status not in ORDERLY:
        why = f": {session.message}" if session.message else ""
        reasons.append(f"the session ended with status {session.status}{during}{why}")
    if collected is not None:
        missing = Counter(collected.tests) - Counter(event.test for event in finished)
        if missing:
            reasons.append(f"{missing.total()} tests did not run, {next(iter(missing))} the first")
    if count["failed"]:
        reasons.append(f"{count['failed']} failed")
    elif session is not None and session.status == 1:
        reasons.append("pytest reports a failure that belongs to no test")
    lost = Counter(
        event.message.splitlines()[0] if event.message else "?"
        for event in _of(events, GuestLost, variant)
    )
    for why, times in lost.items():
        reasons.append(f"{'guest' if times == 1 else f'{times} guests'} lost: {why}")
    # An expression may leave a variant nothing but tests that do not apply to it.
    if not count["passed"] and not (narrowed and count["skipped"]) and not reasons:
        reasons.append("no test ran")
    kernel = _last(events, KernelBuilt, variant)
    boot = next(iter(_of(events, GuestBooted, variant)), None)
    return VariantSummary(
        variant=variant,
        passed=count["passed"],
        failed=count["failed"],
        skipped=count["skipped"],
        build_seconds=kernel.seconds if kernel else None,
        build_cached=kernel.cached if kernel else False,
        boot_seconds=boot.seconds if boot else None,
        test_seconds=session.seconds if session else None,
        accelerator=boot.accelerator if boot else "",
        reasons=tuple(reasons),
    )


def _of(events: Iterable[Event], kind: type[E], variant: str | None = None) -> list[E]:
    return [
        event
        for event in events
        if isinstance(event, kind) and variant in (None, getattr(event, "variant", None))
    ]


def _last(events: Sequence[Event], kind: type[E], variant: str | None = None) -> E | None:
    found = _of(events, kind, variant)
    return found[-1] if found else None
