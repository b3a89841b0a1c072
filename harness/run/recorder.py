# SPDX-License-Identifier: GPL-2.0-only
"""The one stream of a run, as it is written and as a person follows it."""

from __future__ import annotations

from pathlib import Path

from harness.base import runfolder, terminal
from harness.base.errors import NoRoomError
from harness.record import runfolders
from harness.record.events import (
    Event,
    GuestLost,
    HarnessBroken,
    NoRoom,
    NotBuilt,
    SessionFinished,
    SessionTrouble,
    TestFinished,
)
from harness.record.repeat import repeat
from harness.record.stream import Writer
from harness.run.progress import Progress
from harness.run.worker import WorkerSpec


class Recorder:
    """Writes the one stream of a run, and tells the person at the terminal what matters of it.

    All of it is in `events` too, also what the disk does not take. That raises NoRoomError, once,
    for the run to end by; what comes after that is kept as far as can be.
    """

    def __init__(self, folder: Path, progress: Progress) -> None:
        """Begin the stream. Raises NoRoomError if there is no room for it."""
        self.events: list[Event] = []
        self._folder = folder
        self._writer = Writer(folder / runfolders.EVENTS)
        self._progress = progress
        self._full = False

    def record(self, event: Event) -> None:
        """Write one event. Raises NoRoomError, once."""
        self.events.append(event)
        self._progress.record(event)
        self._show(event)
        try:
            self._writer.write(event)
            if isinstance(event, NoRoom):
                raise NoRoomError(*event.message.split("\n", 1))
            if _may_be_for_want_of_room(event):
                runfolder.probe(self._folder)
        except NoRoomError as error:
            self._end(error)

    def _show(self, event: Event) -> None:
        match event:
            case TestFinished(outcome="failed"):
                first = event.message.partition("\n")[0]
                terminal.say(
                    f"{event.variant}: FAILED {event.test}\n  {first}\n  again: {repeat(event)}"
                )
            case GuestLost():
                first = event.message.partition("\n")[0]
                terminal.say(f"{event.variant}: guest lost in {event.test}: {first}")
            case HarnessBroken():
                terminal.say(f"{event.variant or 'run'}: {event.message}")
            case NotBuilt():
                first = event.reason.partition("\n")[0]
                terminal.say(f"{event.name}: NOT BUILT: {first}")
            case SessionTrouble():
                terminal.say(f"{event.variant}: the session {event.message}")
            case SessionFinished():
                failed = self._progress.failed(event.variant)
                how = {0: "passed", 1: f"{failed} failed"}.get(event.status, "cut short")
                terminal.say(f"{event.variant}: {how} in {event.seconds:.1f} s")

    def trouble(self, spec: WorkerSpec, what: str) -> None:
        """A session did not end as it should.

        Raises NoRoomError, once, if that may be because it could not write.
        """
        self.record(SessionTrouble(variant=spec.variant, message=what))

    def _end(self, error: NoRoomError) -> None:
        if not any(isinstance(event, NoRoom) for event in self.events):
            self.events.append(NoRoom(message=str(error)))
        if not self._full:
            self._full = True
            raise error

    def close(self) -> None:
        """Close the stream."""
        self._writer.close()


def _may_be_for_want_of_room(event: Event) -> bool:
    """Whether something else is told of what may be a full disk."""
    match event:
        case TestFinished(outcome="failed") | GuestLost() | SessionTrouble():
            return True
        case SessionFinished():
            return event.status not in (0, 1)
    return False
