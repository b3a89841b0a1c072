# SPDX-License-Identifier: GPL-2.0-only
"""The shards of a run put together: one stream of events, which is judged as that of one run is.

What cannot belong together (another checkout, other arguments) is a mistake in the command. What is
missing, or is not what it should be, is a reason of the verdict, which then is no pass.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.base.errors import UserError
from harness.record import shares
from harness.record.events import (
    Event,
    EventsLost,
    MergeFault,
    NotBuilt,
    NotRun,
    RunFinished,
    RunStarted,
    ShardMerged,
    ShardStarted,
    TestFinished,
    VariantSelected,
)
from harness.report import joined
from harness.report.verdict import Verdict, judge


@dataclass(frozen=True)
class Shard:
    """What one machine has left: the folder that it is in here, and its events."""

    folder: Path
    started: RunStarted
    own: ShardStarted
    events: tuple[Event, ...]

    @property
    def number(self) -> int:
        return self.own.number

    @property
    def name(self) -> str:
        return f"shard {self.own.number} of {self.own.of}"

    def __str__(self) -> str:
        return f"{self.name} ({self.folder})"


# What each machine may have of its own.
_OWN = frozenset(["--shard", "--jobs", "--source"])


def _options(command: str) -> tuple[str, ...]:
    """The command line, but for what is a machine's own."""
    words, kept = iter(shlex.split(command)), []
    for word in words:
        if word in _OWN:
            next(words, None)
        else:
            kept.append(word)
    return tuple(kept)


# What all shards of a run have alike, and how to say that one has not.
_ALIKE: tuple[tuple[str, Callable[[Shard], Any]], ...] = (
    ("another checkout", lambda shard: shard.own.checkout),
    ("a run of another number of shards", lambda shard: shard.own.of),
    ("a run of other variants", lambda shard: shard.own.variants),
    ("a run with another -k", lambda shard: shard.started.expression),
    ("a run with another seed", lambda shard: shard.started.seed),
    ("a run with another --require", lambda shard: shard.own.require),
    ("a run with other options", lambda shard: _options(shard.started.command)),
    ("a run that was divided otherwise", lambda shard: shard.own.division),
)


def merge(runs: Mapping[Path, Sequence[Event]]) -> list[Event]:
    """The events of the whole run, of those in each folder (pure).

    Raises UserError, which names the folder, for what is no shard, for one that is not of the same
    run as the others, and for one that is there twice and not the same.
    """
    found, faults = _shards(runs)
    if not found:
        raise UserError(
            f"none of these is a shard of a run: {', '.join(map(str, runs))}",
            "name folders that ./inv test --shard has left",
        )
    _require_alike(found)
    there = _once(found)
    of = there[0].own.of
    numbers = {shard.number for shard in there}
    faults += [
        f"shard {number} of {of} is missing" for number in range(1, of + 1) if number not in numbers
    ]
    if len(there) == of and shares.digest(shard.own.share for shard in there) != (
        there[0].own.division
    ):
        faults.append("the shares of the shards are not those that the run was divided into")
    for shard in there:
        faults += [f"{shard.name}: {fault}" for fault in _faults(shard)]
    verdicts = {shard.number: judge(shard.events) for shard in there}
    faults += _unlike(there)
    events: list[Event] = [_started(there)]
    events += [_merged(shard, verdicts[shard.number]) for shard in there]
    events += joined.join([shard.events for shard in there])
    events += [MergeFault(message=fault) for fault in faults]
    events += _finished(there)
    if judge(events).passed:
        # What is NOT RUN on all of them is so in the whole. Whatever else of a shard's own verdict
        # does not show in that of the whole, does not go with it.
        events += [
            MergeFault(message=f"shard {number} of {of} did not pass: {_word(verdict)}")
            for number, verdict in verdicts.items()
            if not verdict.passed and verdict.word == "FAIL"
        ]
    return events


def _shards(runs: Mapping[Path, Sequence[Event]]) -> tuple[list[Shard], list[str]]:
    """The shards, by their numbers, and what broke off before it could say that it is one."""
    found, faults = [], []
    for folder, events in runs.items():
        started, own = _first(events, RunStarted), _first(events, ShardStarted)
        if started is not None and own is not None:
            found.append(Shard(folder, started, own, tuple(events)))
        elif own is None and any(isinstance(event, VariantSelected) for event in events):
            raise UserError(
                f"{folder} is a run of its own, and no shard of one",
                "name folders that ./inv test --shard has left",
            )
        else:
            faults.append(f"{folder} broke off before it said which shard it is")
    return sorted(found, key=lambda shard: shard.number), faults


def _first(events: Iterable[Event], kind: type[Any]) -> Any:
    return next((event for event in events if isinstance(event, kind)), None)


def _require_alike(found: Sequence[Shard]) -> None:
    """Raise UserError for a shard that is of another run than most are."""
    for what, of in _ALIKE:
        ((usual, _),) = Counter(map(of, found)).most_common(1)
        for shard in found:
            if of(shard) != usual:
                other = next(each for each in found if of(each) == usual)
                raise UserError(
                    f"{shard} is of {what} than {other}",
                    "all of them have to be of one checkout and one command: run that one again",
                )


def _once(found: Sequence[Shard]) -> list[Shard]:
    """Each shard once. Raises UserError for one that is there twice and not the same."""
    there: dict[int, Shard] = {}
    for shard in found:
        other = there.setdefault(shard.number, shard)
        if _content(other) != _content(shard):
            raise UserError(
                f"shard {shard.number} of {shard.own.of} is there twice, and not the same: "
                f"{other.folder} and {shard.folder}",
                "one that failed stays failed: name that which counts, and say so to who reads it",
            )
    return list(there.values())


def _content(shard: Shard) -> tuple[Event, ...]:
    """Its events, wherever its files are."""
    return tuple(
        replace(event, artifacts=Path(event.artifacts).name)
        if isinstance(event, TestFinished)
        else event
        for event in shard.events
    )


def _faults(shard: Shard) -> Iterator[str]:
    """Why a shard did not do its share, and nothing else, once."""
    own = {(name, test) for name, tests in shard.own.share.items() for test in tests}
    ran = Counter(
        (event.variant, event.test) for event in shard.events if isinstance(event, TestFinished)
    )
    for (variant, test), times in ran.items():
        if (variant, test) not in own:
            yield f"{test} on {variant} is not of its share"
        elif times > 1:
            yield f"{test} on {variant} was run {times} times"
    # Of a kernel that it had not, or that did not build, the run tells.
    tested = joined.ran(shard.events)
    if lost := sorted(test for test in own - ran.keys() if test[0] in tested):
        yield f"{len(lost)} tests of its share did not run, {lost[0][1]} on {lost[0][0]} the first"
    if not any(isinstance(event, RunFinished) for event in shard.events):
        yield "it broke off"
    for event in shard.events:
        if isinstance(event, EventsLost):
            yield f"line {event.line} of its events is lost"


def _unlike(there: Sequence[Shard]) -> Iterator[str]:
    """What machines had that others of them had not."""
    every = [event for shard in there for event in shard.events]
    ran = joined.ran(every)
    tested = {kernel for name, kernel in joined.kernels(every).items() if name in ran}
    for shard in there:
        for event in shard.events:
            if isinstance(event, NotRun) and event.kernel in tested:
                yield f"{event.kernel}: NOT RUN on {shard.name}, though others had it"
            elif isinstance(event, NotBuilt) and ran & set(event.variants):
                yield f"{event.name}: NOT BUILT on {shard.name}, though others built it"
    lacked: dict[str, set[str]] = {}
    for event in every:
        if isinstance(event, VariantSelected):
            lacks = set(event.lacks.values())
            if lacked.setdefault(event.variant, lacks) != lacks:
                names = ", ".join(sorted(lacked[event.variant] ^ lacks))
                yield f"{event.variant}: {names} was missing on some of its shards only"


def _started(there: Sequence[Shard]) -> RunStarted:
    """The whole run, as one machine would have begun it."""
    first = there[0]
    words = shlex.split(first.started.command)
    if "--shard" in words:
        at = words.index("--shard")
        words = [*words[:at], *words[at + 2 :]]
    return replace(
        first.started,
        at=min(shard.started.at for shard in there),
        command=shlex.join(words),
        variants=first.own.variants,
        jobs=max(shard.started.jobs for shard in there),
        host=_each(shard.started.host for shard in there),
        qemu=_each(shard.started.qemu for shard in there),
        machine=_each(shard.started.machine for shard in there),
        require=first.own.require,
    )


def _each(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(texts))


def _finished(there: Sequence[Shard]) -> Iterator[RunFinished]:
    """That it came to its end, or was ended; nothing, if nobody knows of one of the shards."""
    ended = [_first(shard.events, RunFinished) for shard in there]
    over = [event for event in ended if event is not None]
    if over and len(over) == len(ended):
        cut = next((event for event in over if event.interrupted), over[0])
        yield replace(cut, at=max(event.at for event in over))


def _merged(shard: Shard, verdict: Verdict) -> ShardMerged:
    return ShardMerged(
        number=shard.own.number,
        of=shard.own.of,
        run=shard.folder.name,
        host=shard.started.host,
        verdict=_word(verdict),
        seconds=verdict.seconds or 0.0,
    )


def _word(verdict: Verdict) -> str:
    return f"{verdict.word}: {'; '.join(verdict.reasons)}" if verdict.reasons else verdict.word
