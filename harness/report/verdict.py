# SPDX-License-Identifier: GPL-2.0-only
"""What a stream of events amounts to: counts, times, and whether everything asked for passed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from harness.record.events import (
    Event,
    EventsLost,
    GuestBooted,
    GuestKept,
    GuestLost,
    HarnessBroken,
    ImageBuilt,
    KernelBuilt,
    MergeFault,
    NoRoom,
    NotBuilt,
    NotRun,
    RunFinished,
    RunStarted,
    SessionFinished,
    SessionTrouble,
    ShardStarted,
    SourceMissing,
    TestFinished,
    TestsCollected,
    TestsOwed,
    TestStarted,
    VariantSelected,
)
from harness.report import statementverdicts

E = TypeVar("E", bound=Event)

# pytest's exit statuses: 0 all passed, 1 some failed; with any other the session was cut short.
ORDERLY = (0, 1)


@dataclass(frozen=True)
class VariantSummary:
    """One variant of a run. Seconds are None for what did not take place.

    `reasons` says why the variant did not pass; it passed when there is none. `lost` are the guests
    that crashed, hung or did not boot; `broken` is set if the session did not do all that it had
    to, and `blamed` if its tests are at fault.
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
    lost: int
    broken: bool
    blamed: bool


@dataclass(frozen=True)
class Verdict:
    """A whole run; `reasons` are of the run, or of a variant, whose name they begin with.

    `not_built` has once each what broke, `missing` the upstream sources that were done without,
    each with the statements that were not run for it. `ran` are the kernels of which a test ran.
    `broken` is set if the run or a session in it did not do all that it had to, `untrusted` if a
    part of the harness itself broke, so that nothing is known for certain. `shard` says which part
    of a run this is; "" if it is the whole.
    """

    started: RunStarted | None
    variants: tuple[VariantSummary, ...]
    image: ImageBuilt | None
    failures: tuple[TestFinished, ...]
    not_run: tuple[NotRun, ...]
    not_built: tuple[NotBuilt, ...]
    missing: tuple[tuple[SourceMissing, tuple[str, ...]], ...]
    ran: frozenset[str]
    kept: tuple[GuestKept, ...]
    interrupted: bool
    signal: int
    broken: bool
    untrusted: bool
    seconds: float | None
    reasons: tuple[str, ...]
    shard: str = ""

    @property
    def passed(self) -> bool:
        """True when everything that could be had was built, ran and passed."""
        return not self.reasons and not self.not_built

    @property
    def word(self) -> str:
        """PASS; FAIL; or, where nothing that ran has failed, NOT BUILT or NOT RUN."""
        if self.passed:
            return "PASS"
        if self.reasons and (self.variants or not (self.not_built or self.not_run)):
            return "FAIL"
        return "NOT BUILT" if self.not_built else "NOT RUN"

    @property
    def unbuilt(self) -> dict[str, list[str]]:
        """What could not be built, by the reason: several variants may have one."""
        found: dict[str, list[str]] = {}
        for row in self.not_built:
            found.setdefault(row.reason, []).append(row.name)
        return found

    @property
    def done_without(self) -> list[str]:
        """A line for each upstream source that is missing: what that means, where to put it."""
        lines = []
        for row, statements in self.missing:
            words = [f"{row.title} is missing, so {row.instead}"]
            if statements:
                words.append(f"not run for it: {', '.join(statements)}")
            # A kernel that was not run for it says where to put it.
            if not any(row.hint in absent.reason for absent in self.not_run):
                words.append(row.hint)
            lines.append("; ".join(words))
        return lines

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
    not_run, not_built = tuple(_of(events, NotRun)), tuple(_of(events, NotBuilt))
    kernel_of = {event.variant: event.kernel for event in _of(events, VariantSelected)}
    names = _to_be_run(started, not_run, not_built, kernel_of)
    shard = _last(events, ShardStarted)
    part = bool(shard or (started and started.expression))
    rows = tuple(_summary(name, events, part) for name in names)
    finished = _last(events, RunFinished)
    interrupted = finished is not None and finished.interrupted
    reasons = [f"{row.variant}: {reason}" for row in rows for reason in row.reasons]
    if not_run and not rows and not not_built:
        reasons = [f"{row.kernel}: NOT RUN" for row in not_run]
    if started is None:
        reasons.append("the run did not start")
    elif rows and not any(row.passed for row in rows) and _due(events, shard):
        reasons.append("no test passed")
    harness = _of(events, HarnessBroken)
    told = [event.message.partition("\n")[0] for event in _of(events, NoRoom)]
    told += [event.message.partition("\n")[0] for event in harness]
    cut = [f"line {lost.line} of the events is lost" for lost in _of(events, EventsLost)]
    cells = statementverdicts.of(events)
    unlike = [event.message.partition("\n")[0] for event in _of(events, MergeFault)]
    if not (part or interrupted or reasons or unlike):
        reasons += _blanks(cells, names)
    if interrupted:
        reasons.append("interrupted")
    elif finished is None:
        reasons.append("the run did not finish")
    reasons += [*dict.fromkeys(told), *cut, *unlike]
    whole = started is not None and finished is not None and not (told or cut or unlike)
    return Verdict(
        started=started,
        variants=rows,
        image=_last(events, ImageBuilt),
        failures=tuple(e for e in _of(events, TestFinished) if e.outcome == "failed"),
        not_run=not_run,
        not_built=not_built,
        missing=_missing(events, cells),
        ran=frozenset(kernel_of.get(row.variant, "") for row in rows if row.passed + row.failed),
        kept=tuple(_of(events, GuestKept)),
        interrupted=interrupted,
        signal=finished.signal if finished else 0,
        broken=not whole or any(row.broken for row in rows),
        untrusted=bool(harness),
        seconds=finished.at - started.at if finished and started else None,
        reasons=tuple(reasons),
        shard=f"shard {shard.number} of {shard.of}" if shard else "",
    )


def _due(events: Sequence[Event], shard: ShardStarted | None) -> bool:
    """Whether a test has to run: not on a shard whose tests all lack an archive that is missing."""
    return shard is None or any(event.tests for event in _of(events, TestsOwed))


def _to_be_run(
    started: RunStarted | None,
    not_run: Sequence[NotRun],
    not_built: Sequence[NotBuilt],
    kernel_of: Mapping[str, str],
) -> tuple[str, ...]:
    """The variants of kernels that could be had, and were built.

    Of the others no session was owed, and saying of each that it did not finish would hide why.
    """
    names = started.variants if started else ()
    unbuilt = {name for row in not_built for name in row.variants}
    absent = {row.kernel for row in not_run}
    return tuple(
        name
        for name in names
        if name not in unbuilt and not (absent and kernel_of.get(name, not_run[0].kernel) in absent)
    )


def _missing(
    events: Sequence[Event], cells: Sequence[statementverdicts.Cell]
) -> tuple[tuple[SourceMissing, tuple[str, ...]], ...]:
    missed = statementverdicts.missed(cells)
    return tuple((event, tuple(missed.get(event.name, ()))) for event in _of(events, SourceMissing))


def _blanks(cells: Sequence[statementverdicts.Cell], variants: Sequence[str]) -> list[str]:
    """A whole run owes every statement where it applies."""
    names = statementverdicts.blanks(cell for cell in cells if cell.variant in variants)
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
    why = f": {session.message}" if session and session.message else ""
    troubles = [event.message.partition("\n")[0] for event in _of(events, SessionTrouble, variant)]
    if troubles:
        # Seen from outside, and so more than the session itself can tell.
        told = dict.fromkeys(trouble.removesuffix(":") for trouble in troubles)
        reasons += [f"the session {trouble}{during}{why}" for trouble in told]
    elif collected is None:
        reasons.append("the session did not start")
    elif session is None:
        reasons.append(f"the session did not finish{during}")
    elif session.status not in ORDERLY:
        reasons.append(f"the session ended with status {session.status}{during}{why}")
    if collected is not None:
        missing = Counter(collected.tests) - Counter(event.test for event in finished)
        if missing:
            reasons.append(f"{missing.total()} tests did not run, {next(iter(missing))} the first")
    broken = bool(reasons)
    vanished = _vanished(variant, events, finished, collected)
    reasons += vanished
    blamed = count["failed"] > 0 or bool(vanished)
    if count["failed"]:
        reasons.append(f"{count['failed']} failed")
    elif session is not None and session.status == 1:
        reasons.append("pytest reports a failure that belongs to no test")
        blamed = True
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
        lost=lost.total(),
        broken=broken,
        blamed=blamed,
    )


def _vanished(
    variant: str,
    events: Sequence[Event],
    finished: Sequence[TestFinished],
    collected: TestsCollected | None,
) -> list[str]:
    """What the inventory has for a variant, and its session has not, or has skipped."""
    owed = _last(events, TestsOwed, variant)
    if owed is None or collected is None:
        return []
    there = set(collected.tests)
    shard = _last(events, ShardStarted)
    lost = [test for test in shard.share.get(variant, ()) if test not in there] if shard else []
    skipped = {event.test for event in finished if event.outcome == "skipped"}
    told = {
        "not among those of the session": [test for test in owed.tests if test not in there],
        "skipped, and have to run here": [test for test in owed.tests if test in skipped],
    }
    lines = [
        f"{len(tests)} tests of the inventory are {what}, {tests[0]} the first: see ./inv inventory"
        for what, tests in told.items()
        if tests
    ]
    if lost:
        what = "of its share are not among those of the session"
        lines.append(f"{len(lost)} tests {what}, {lost[0]} the first")
    return lines


def _of(events: Iterable[Event], kind: type[E], variant: str | None = None) -> list[E]:
    return [
        event
        for event in events
        if isinstance(event, kind) and variant in (None, getattr(event, "variant", None))
    ]


def _last(events: Sequence[Event], kind: type[E], variant: str | None = None) -> E | None:
    found = _of(events, kind, variant)
    return found[-1] if found else None
