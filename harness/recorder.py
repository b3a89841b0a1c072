# SPDX-License-Identifier: GPL-2.0-only
"""The one stream of a run, as it is written and as a person follows it."""

from __future__ import annotations

from pathlib import Path

from harness import report, terminal
from harness.events import Event, GuestLost, NotBuilt, SessionFinished, TestFinished, Writer
from harness.worker import WorkerSpec


class Recorder:
    """Writes the one stream of a run, and tells the person at the terminal what matters of it."""

    def __init__(self, folder: Path) -> None:
        self._writer = Writer(folder / report.EVENTS)
        self._failed: dict[str, int] = {}

    def record(self, event: Event) -> None:
        """Write one event."""
        self._writer.write(event)
        match event:
            case TestFinished(outcome="failed"):
                self._failed[event.variant] = self._failed.get(event.variant, 0) + 1
                terminal.say(f"{event.variant}: FAILED {event.test}")
            case GuestLost():
                first = event.message.partition("\n")[0]
                terminal.say(f"{event.variant}: guest lost in {event.test}: {first}")
            case NotBuilt():
                first = event.reason.partition("\n")[0]
                terminal.say(f"{event.name}: NOT BUILT: {first}")
            case SessionFinished():
                failed = self._failed.get(event.variant, 0)
                how = {0: "passed", 1: f"{failed} failed"}.get(event.status, "cut short")
                terminal.say(f"{event.variant}: {how} in {event.seconds:.1f} s")

    def trouble(self, spec: WorkerSpec, what: str) -> None:
        """A session did not end as it should; the verdict misses its events by itself."""
        terminal.say(f"{spec.variant}: the session {what}")

    def close(self) -> None:
        """Close the stream."""
        self._writer.close()
