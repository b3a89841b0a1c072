# SPDX-License-Identifier: GPL-2.0-only
"""How long a run is going to take: from earlier ones on this machine, else by recorded figures."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from harness.base import datafile, paths
from harness.base.datafile import Fault, Schema, Table
from harness.matrix import kernels
from harness.matrix import variants as matrix
from harness.matrix.variants import Variant
from harness.record.events import (
    Event,
    ImageBuilt,
    KernelBuilt,
    SessionFinished,
    TestFinished,
    VariantSelected,
)
from harness.upstream import releases


class Recorded(Table, frozen=True, kw_only=True):
    """What the data file has; `tests` are by kernel, `builds` and `megabytes` by more than that."""

    where: str
    processors: int
    begin: float
    tests: dict[str, float]
    builds: dict[str, float]
    megabytes: dict[str, float]


RECORDED = Schema(Recorded, "harness/run/durations.toml")
# In the cache, which checkouts share.
REMEMBERED = "durations.json"

T = TypeVar("T")

IMAGE, PACKING = "image", "packing"
# Of fewer tests, the guest's boot is most of what they took.
_TESTS_THAT_TELL = 100
# Of what a build takes as a rule, and of one on a much faster machine.
_WHOLE = 0.25
# A session waits a third of its time, which is no work of a processor.
_ALONE = 1.4


@dataclass(frozen=True)
class Figures:
    """What things take here. `tests` and `builds` are by variant, `where` says whose they are.

    `tests` are seconds of one processor for a test that applies; `builds` are seconds.
    """

    processors: int
    begin: float
    tests: Mapping[str, float]
    builds: Mapping[str, float]
    megabytes: Mapping[str, float]
    where: str = ""


def load() -> Recorded:
    """What was recorded. Raises UserError if the file is not as it says."""
    said = RECORDED.read()
    RECORDED.refuse(_wrong(said))
    return said


def _wrong(said: Recorded) -> Iterator[Fault]:
    """Kernels that there are not, or of which nothing is known."""
    known = kernels.load()
    others: dict[str, tuple[str, ...]] = {
        "tests": (),
        "builds": (IMAGE, PACKING),
        "megabytes": (IMAGE, *releases.load()),
    }
    for key, more in others.items():
        figures: Mapping[str, float] = getattr(said, key)
        for name in figures:
            yield from datafile.among((key, name), name, [*known, *more])
        for name, row in known.items():
            if not row.like and name not in figures:
                yield Fault((key,), f"lacks {name}, which is like no other")
    for name in (IMAGE, PACKING):
        if name not in said.builds:
            yield Fault(("builds",), f"lacks {name}")


def figures(variants: Iterable[Variant], folder: Path | None = None) -> Figures:
    """What is known of these variants; `folder` is the cache's, if not this machine's."""
    recorded = load()
    here = processors()
    own = _read(_file(folder))
    scale = recorded.processors / here
    tests, builds = {}, {name: recorded.builds[name] * scale for name in (IMAGE, PACKING)}
    megabytes = dict(recorded.megabytes)
    foreign, known = False, kernels.load()
    for variant in variants:
        name, kernel = variant.name, variant.kernel
        foreign |= name not in own["tests"]
        tests[name] = own["tests"].get(name, of_kernel(recorded.tests, kernel, known))
        builds[name] = of_kernel(recorded.builds, kernel, known) * scale
        megabytes[kernel] = of_kernel(megabytes, kernel, known)
    return Figures(
        processors=here,
        begin=recorded.begin,
        tests=tests,
        builds={**builds, **own["builds"]},
        megabytes=megabytes,
        where=f"by what it took elsewhere: {recorded.where}" if foreign else "as before here",
    )


def of_kernel(recorded: Mapping[str, T], name: str, known: Mapping[str, kernels.Kernel]) -> T:
    """What is recorded of a kernel, or else of that which it is like."""
    while name not in recorded:
        name = known[name].like
    return recorded[name]


def sessions(known: Figures, tests: Mapping[str, int], jobs: int) -> dict[str, float]:
    """How long each variant's session takes, with so many tests that apply, `jobs` at once."""
    at_once = max(1, min(jobs, len(tests)))
    slower = max(_ALONE, at_once / known.processors)
    return {name: known.begin + known.tests[name] * count * slower for name, count in tests.items()}


def whole(known: Figures, tests: Mapping[str, int], builds: Iterable[str], jobs: int) -> float:
    """How long all of it takes: first the builds, then the sessions."""
    took = sessions(known, tests, jobs)
    at_once = max(1, min(jobs, len(tests)))
    return sum(known.builds[name] for name in builds) + max(
        max(took.values(), default=0.0), sum(took.values()) / at_once
    )


def learned(
    events: Sequence[Event], here: int, expected: Mapping[str, float]
) -> dict[str, dict[str, float]]:
    """What a run's events tell of how long things take on `here` processors (pure).

    A build that took far less than is `expected` was none from the beginning, and tells nothing.
    """
    ran: dict[str, int] = {}
    for event in events:
        if isinstance(event, TestFinished) and event.outcome != "skipped":
            ran[event.variant] = ran.get(event.variant, 0) + 1
    ended = [event for event in events if isinstance(event, SessionFinished)]
    tests: dict[str, float] = {}
    builds: dict[str, float] = {}
    for session in ended:
        count = ran.get(session.variant, 0)
        if session.status == 0 and count >= _TESTS_THAT_TELL:
            slower = max(_ALONE, _at_once(session, ended) / here)
            tests[session.variant] = session.seconds / slower / count
    for event in events:
        if isinstance(event, KernelBuilt | ImageBuilt) and not event.cached:
            name = event.variant if isinstance(event, KernelBuilt) else IMAGE
            if event.seconds >= expected.get(name, 0.0) * _WHOLE:
                builds[name] = event.seconds
    return {"tests": tests, "builds": builds}


def _at_once(session: SessionFinished, ended: Iterable[SessionFinished]) -> float:
    """How many sessions ran, on the average, while this one did."""
    begin = session.at - session.seconds
    shared = sum(
        max(0.0, min(session.at, each.at) - max(begin, each.at - each.seconds)) for each in ended
    )
    return shared / session.seconds if session.seconds else 1.0


def remember(events: Sequence[Event], folder: Path | None = None) -> None:
    """Keep what a run's events tell for the next one. That it cannot be kept is no error."""
    known_variants = matrix.load()
    selected = {event.variant for event in events if isinstance(event, VariantSelected)}
    rows = [known_variants[name] for name in selected if name in known_variants]
    new = learned(events, processors(), figures(rows, folder).builds)
    if not any(new.values()):
        return
    path = _file(folder)
    known = _read(path)
    merged = {kind: known[kind] | new[kind] for kind in known}
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps({"processors": processors(), **merged}, indent=1) + "\n")
        partial.replace(path)


def _file(folder: Path | None) -> Path:
    return (folder or paths.cache_dir()) / REMEMBERED


def _read(path: Path) -> dict[str, dict[str, float]]:
    """What is in the file; nothing of what is damaged, or of a machine of another size."""
    found: dict[str, dict[str, float]] = {"tests": {}, "builds": {}}
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return found
    if not isinstance(data, dict) or data.get("processors") != processors():
        return found
    for kind, rows in found.items():
        row = data.get(kind)
        if isinstance(row, dict):
            rows.update({name: float(value) for name, value in row.items() if _sane(value)})
    return found


def _sane(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and 0 < value < 1e6


def processors() -> int:
    """How many there are for this process."""
    return len(os.sched_getaffinity(0))


def about(seconds: float) -> str:
    """A time as one says it who does not know it exactly: `about 12 minutes`."""
    if seconds < 45:
        return "less than a minute"
    minutes = round(seconds / 60) or 1
    if minutes == 1:
        return "about a minute"
    if minutes > 20:
        minutes = 5 * round(minutes / 5)
    if minutes < 60:
        return f"about {minutes} minutes"
    hours, rest = divmod(10 * round(minutes / 10), 60)
    return f"about {hours} h" + (f" {rest} min" if rest else "")
