# SPDX-License-Identifier: GPL-2.0-only
"""The events of a run as a stream: one JSON object a line, in a file or through a pipe.

A stream that breaks off is readable up to where it does; what is missing from it was not proved.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import IO, Any

from harness.base import runfolder
from harness.base.errors import InfrastructureError
from harness.record.events import OUTCOMES, TYPES, Event, EventsLost, TestFinished


def to_line(event: Event) -> str:
    """The event as one line of JSON, with its newline.

    What cannot be encoded in its texts, as a lone surrogate, is spelled out: `\\udc80`.
    """
    return json.dumps(_encodable({"event": type(event).__name__, **asdict(event)})) + "\n"


def _encodable(value: Any) -> Any:
    """The same with texts that every file and terminal takes."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, list | tuple):
        return [_encodable(each) for each in value]
    if isinstance(value, dict):
        return {_encodable(key): _encodable(each) for key, each in value.items()}
    return value


def from_line(line: str) -> Event:
    """The event of a line. Raises ValueError for a line that is none."""
    row: Any = json.loads(line)
    if not isinstance(row, dict) or row.get("event") not in TYPES:
        raise ValueError(f"no such event: {line[:80]!r}")
    kind = TYPES[row.pop("event")]
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
    """Appends events to a file or a pipe, each line whole and at once.

    Where the disk is full a line may be cut. Then the next event begins a new one, so that only
    what was cut is lost; and that is seen.
    """

    def __init__(self, path: Path) -> None:
        """Begin to append. Raises NoRoomError if the file cannot be opened."""
        self._path = path
        self._cut = False
        with runfolder.of_run(path):
            # Unbuffered, so that one event is one write: it is there whole, or the process died.
            self._stream: IO[bytes] = path.open("ab", buffering=0)

    def write(self, event: Event) -> None:
        """Append one event. Raises NoRoomError if not all of it can be written."""
        data = (b"\n" if self._cut else b"") + to_line(event).encode()
        with runfolder.of_run(self._path):
            try:
                while data:
                    data = data[self._stream.write(data) :]
            except OSError:
                self._cut = True
                raise
        self._cut = False

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def parse(lines: Iterable[str]) -> list[Event]:
    """The events of a stream, with an EventsLost for each line that is none.

    A last line without its newline was cut off when the run was, and does not count. Raises
    ValueError if none of the lines is an event.
    """
    events: list[Event] = []
    for number, line in enumerate(lines, 1):
        if not line.endswith("\n"):
            break
        try:
            events.append(from_line(line))
        except ValueError as error:
            events.append(EventsLost(line=number, why=str(error)))
    lost = [event for event in events if isinstance(event, EventsLost)]
    if lost and len(lost) == len(events):
        raise ValueError(f"line 1: {lost[0].why}")
    return events


def read(path: Path) -> list[Event]:
    """The events of a file. Raises InfrastructureError if it is not there or not a stream."""
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            return parse(stream)
    except OSError as error:
        raise InfrastructureError(
            f"cannot read {path}: {error.strerror}", "name the folder of a run"
        ) from error
    except ValueError as error:
        raise InfrastructureError(
            f"{path} is not a stream of events: {error}", "run the tests again"
        ) from error
