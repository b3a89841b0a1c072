# SPDX-License-Identifier: GPL-2.0-only
"""The typed events of a run, one JSON object a line: all that any report shows comes from them.

A stream that breaks off is readable up to where it does; what is missing from it was not proved.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import IO, Any, Literal, get_args

from harness.errors import InfrastructureError

Outcome = Literal["passed", "failed", "skipped"]
OUTCOMES: tuple[str, ...] = get_args(Outcome)


@dataclass(frozen=True, kw_only=True)
class Event:
    """Base of all events; `at` is the time of writing, in seconds of the epoch."""

    at: float = field(default_factory=time.time)


@dataclass(frozen=True, kw_only=True)
class RunStarted(Event):
    """A run of the guest tests began; `variants` are those whose verdict it owes."""

    command: str
    variants: tuple[str, ...]
    expression: str
    seed: int
    jobs: int
    host: str
    qemu: str


@dataclass(frozen=True, kw_only=True)
class KernelBuilt(Event):
    """A variant's kernel is there; `seconds` is 0 when it was `cached`."""

    variant: str
    seconds: float
    cached: bool


@dataclass(frozen=True, kw_only=True)
class ImageBuilt(Event):
    """The guest's RAM disk is there; `seconds` is 0 when it was `cached`."""

    seconds: float
    cached: bool


@dataclass(frozen=True, kw_only=True)
class NotRun(Event):
    """Guest tests of `kernel` could not run, and `reason` says which file is missing."""

    kernel: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class SourceMissing(Event):
    """The upstream source `name` is not at hand: `instead` is what guests have where it would be,
    and `hint` says where to put it. VariantSelected tells who lacks something for it.
    """

    name: str
    title: str
    instead: str
    hint: str


@dataclass(frozen=True, kw_only=True)
class NotBuilt(Event):
    """`name`, a kernel or a variant, could not be built, so no test of `variants` could run."""

    name: str
    variants: tuple[str, ...]
    reason: str


@dataclass(frozen=True, kw_only=True)
class StatementKnown(Event):
    """A statement of SPEC.md as it was when the run began: where it comes from, and its parts.

    `parts` has, by the name that tests use (`S1` or `S1/case`), what a kernel needs for it, and its
    words in short.
    """

    name: str
    origin: tuple[str, ...]
    text: str
    parts: dict[str, tuple[tuple[str, ...], str]]


@dataclass(frozen=True, kw_only=True)
class VariantSelected(Event):
    """A variant of the kernel `kernel` is to be tested; `has` in the words of data/statements.

    `lacks` is what it would have, in the same words, with the upstream source that is missing.
    """

    variant: str
    kernel: str
    has: tuple[str, ...]
    lacks: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TestsCollected(Event):
    """The tests that a variant's session is going to run, in this order."""

    __test__ = False  # not a test class, whatever its name begins with
    variant: str
    tests: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class GuestBooted(Event):
    """A guest went from launch to a logged-in SSH session in `seconds`."""

    variant: str
    seconds: float
    accelerator: str


@dataclass(frozen=True, kw_only=True)
class GuestLost(Event):
    """The guest crashed, hung, or did not boot, while `test` was running; see `message`."""

    variant: str
    test: str
    message: str


@dataclass(frozen=True, kw_only=True)
class GuestKept(Event):
    """The guest was left running; `login` is the command line that logs in to it."""

    variant: str
    login: str


@dataclass(frozen=True, kw_only=True)
class TestStarted(Event):
    """A test begins; without its TestFinished, it is the one during which the session ended."""

    __test__ = False  # not a test class, whatever its name begins with
    variant: str
    test: str


@dataclass(frozen=True, kw_only=True)
class TestFinished(Event):
    """One test ended. `message` says why it failed or was skipped; `artifacts` is its folder.

    `measures` are figures that it recorded by pytest's `record_property`, as text with their unit.
    """

    __test__ = False  # not a test class, whatever its name begins with
    variant: str
    test: str
    outcome: Outcome
    statements: tuple[str, ...]
    seconds: float
    message: str = ""
    artifacts: str = ""
    measures: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SessionFinished(Event):
    """A variant's session came to its own end, with pytest's exit `status` after `seconds`."""

    variant: str
    status: int
    seconds: float
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class RunFinished(Event):
    """The run came to its end, or the user ended it."""

    interrupted: bool = False


_TYPES: dict[str, type[Event]] = {
    kind.__name__: kind
    for kind in (
        RunStarted,
        KernelBuilt,
        ImageBuilt,
        NotRun,
        SourceMissing,
        NotBuilt,
        StatementKnown,
        VariantSelected,
        TestsCollected,
        GuestBooted,
        GuestLost,
        GuestKept,
        TestStarted,
        TestFinished,
        SessionFinished,
        RunFinished,
    )
}


def to_line(event: Event) -> str:
    """The event as one line of JSON, with its newline."""
    return json.dumps({"event": type(event).__name__, **asdict(event)}) + "\n"


def from_line(line: str) -> Event:
    """The event of a line. Raises ValueError for a line that is none."""
    row: Any = json.loads(line)
    if not isinstance(row, dict) or row.get("event") not in _TYPES:
        raise ValueError(f"no such event: {line[:80]!r}")
    kind = _TYPES[row.pop("event")]
    known = {item.name for item in fields(kind)}
    if unknown := row.keys() - known:
        raise ValueError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
    values: dict[str, Any] = {key: _frozen(value) for key, value in row.items()}
    try:
        event = kind(**values)
    except TypeError as error:
        raise ValueError(f"{kind.__name__}: {error}") from error
    if isinstance(event, TestFinished) and event.outcome not in OUTCOMES:
        raise ValueError(f"no such outcome: {event.outcome!r}")
    return event


def _frozen(value: Any) -> Any:
    """JSON has no tuples; events have no lists."""
    if isinstance(value, list):
        return tuple(map(_frozen, value))
    if isinstance(value, dict):
        return {key: _frozen(each) for key, each in value.items()}
    return value


class Writer:
    """Appends events to a file or a pipe, each line whole and at once."""

    def __init__(self, path: Path) -> None:
        # Unbuffered, so that one event is one write: it is there whole, or the process died.
        self._stream: IO[bytes] = path.open("ab", buffering=0)

    def write(self, event: Event) -> None:
        """Append one event."""
        self._stream.write(to_line(event).encode())

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def parse(lines: Iterable[str]) -> list[Event]:
    """The events of a stream. A last line without its newline was cut off, and does not count.

    Raises ValueError for any other line that is no event; the message has its number.
    """
    events = []
    for number, line in enumerate(lines, 1):
        if not line.endswith("\n"):
            break
        try:
            events.append(from_line(line))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
    return events


def read(path: Path) -> list[Event]:
    """The events of a file. Raises InfrastructureError if it is not there or not a stream."""
    try:
        with path.open(encoding="utf-8") as stream:
            return parse(stream)
    except OSError as error:
        raise InfrastructureError(
            f"cannot read {path}: {error.strerror}", "name the folder of a run"
        ) from error
    except ValueError as error:
        raise InfrastructureError(
            f"{path} is not a stream of events: {error}", "run the tests again"
        ) from error
