# SPDX-License-Identifier: GPL-2.0-only
"""One stream of what several machines said of parts of a run (pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from harness.record.events import (
    CanariesEnded,
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
    ShardMerged,
    ShardStarted,
    SourceMissing,
    StatementKnown,
    TestFinished,
    TestsCollected,
    TestsOwed,
    TestStarted,
    VariantSelected,
)
from harness.report.verdict import ORDERLY

E = TypeVar("E", bound=Event)

# What all machines say alike is there once: by what it is of.
ONCE: Mapping[type[Event], Callable[[Any], object]] = {
    StatementKnown: lambda event: event.name,
    CanariesEnded: lambda _: None,
    NotRun: lambda event: event.kernel,
    NotBuilt: lambda event: (event.name, event.reason),
    SourceMissing: lambda event: event.name,
}
# Of each variant, or of the run, one is made of all.
TOGETHER: tuple[type[Event], ...] = (
    *(VariantSelected, ImageBuilt, KernelBuilt, TestsOwed, TestsCollected, SessionFinished),
)
# What happened, happened.
AS_IT_IS: tuple[type[Event], ...] = (
    *(GuestBooted, GuestLost, GuestKept, TestStarted, TestFinished),
    *(NoRoom, HarnessBroken, SessionTrouble),
)
# What is of the shard: the merge says it of the whole.
OF_THE_SHARD: tuple[type[Event], ...] = (
    *(RunStarted, RunFinished, ShardStarted, ShardMerged, MergeFault, EventsLost),
)


def ran(events: Iterable[Event]) -> frozenset[str]:
    """The variants of which a session began."""
    return frozenset(event.variant for event in events if isinstance(event, TestsCollected))


def kernels(events: Iterable[Event]) -> dict[str, str]:
    """The kernel of each variant."""
    return {event.variant: event.kernel for event in events if isinstance(event, VariantSelected)}


def join(streams: Sequence[Sequence[Event]]) -> Iterator[Event]:
    """The events of all, as one run would have said them, but for its begin and its end."""
    every = [event for events in streams for event in events]
    tested = ran(every)
    with_tests = {kernel for name, kernel in kernels(every).items() if name in tested}
    said: set[object] = set()
    for event in every:
        kind = type(event)
        if kind not in ONCE:
            continue
        # Where others had it, those who had it not owe their tests all the same.
        if isinstance(event, NotRun) and event.kernel in with_tests:
            continue
        if isinstance(event, NotBuilt) and tested & set(event.variants):
            continue
        key = (kind, ONCE[kind](event))
        if key not in said:
            said.add(key)
            yield event
    yield from _images(every)
    for variant in kernels(every):
        yield from _of_variant(variant, streams)
    finished = {(event.variant, event.test) for event in every if isinstance(event, TestFinished)}
    for event in every:
        if isinstance(event, AS_IT_IS) and not (
            isinstance(event, TestStarted) and (event.variant, event.test) in finished
        ):
            yield event


def _images(every: Sequence[Event]) -> Iterator[ImageBuilt]:
    if found := [event for event in every if isinstance(event, ImageBuilt)]:
        yield ImageBuilt(
            at=found[0].at,
            seconds=max(event.seconds for event in found),
            cached=all(event.cached for event in found),
        )


def _of_variant(variant: str, streams: Sequence[Sequence[Event]]) -> Iterator[Event]:
    """What there is of a variant, together: what was built longest, all tests, all seconds."""
    every = [event for events in streams for event in events]
    yield max(_of(every, VariantSelected, variant), key=lambda event: len(event.lacks))
    if built := _of(every, KernelBuilt, variant):
        yield replace(
            max(built, key=lambda event: event.seconds), cached=all(each.cached for each in built)
        )
    for found in (_of(every, TestsOwed, variant), _of(every, TestsCollected, variant)):
        if found:
            yield replace(found[0], tests=tuple(test for event in found for test in event.tests))
    began = [events for events in streams if _of(events, VariantSelected, variant)]
    ended = [_of(events, SessionFinished, variant)[-1:] for events in began]
    sessions = [event for found in ended for event in found]
    # Where one of them did not end, the whole did not.
    if sessions and len(sessions) == len(began):
        worst = max(sessions, key=lambda event: (event.status not in ORDERLY, event.status))
        yield replace(worst, seconds=sum(event.seconds for event in sessions))


def _of(events: Iterable[Event], kind: type[E], variant: str) -> list[E]:
    return [
        event
        for event in events
        if isinstance(event, kind) and getattr(event, "variant", None) == variant
    ]
