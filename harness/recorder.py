# SPDX-License-Identifier: GPL-2.0-only
"""The one stream of a run, as it is written and as a person follows it."""

from __future__ import annotations

from pathlib import Path

from harness import report, terminal
from harness.events import Event, GuestLost, NotBuilt, SessionFinished, TestFinished, Writer
from harness.progress import Progress
from harness.repeat import repeat
from harness.worker import WorkerSpec


class Recorder:
    """Writes the one stream of a run, and tells the person at the terminal what matters of it."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._writer = Writer(folder / report.EVENTS)
        self._progress = progress

    def record(self, event: Event) -> None:
        """Write one event."""
        self._writer.write(event)
        self._progress.record(event)
        match event:
            case TestFinished(outcome="failed"):
                first = event.message.partition("\n")[0]
                terminal.say(
                    f"{event.variant}: FAILED {event.test}\n  {first}\n  again: {repeat(event)}"
                )
            case GuestLost():
                first = event.message.partition("\n")[0]
                terminal.say(f"{event.variant}: guest lost in {event.test}: {first}")
            case NotBuilt():
                first = event.reason.partition("\n")[0]
                terminal.say(f"{event.name}: NOT BUILT: {first}")
            case SessionFinished():
                failed = self._progress.failed(event.variant)
                how = {0: "passed", 1: f"{failed} failed"}.get(event.status, "cut short")
                terminal.say(f"{event.variant}: {how} in {event.seconds:.1f} s")

    def trouble(self, spec: WorkerSpec, what: str) -> None:
        """A session did not end as it should; the verdict misses its events by itself."""
        terminal.say(f"{spec.variant}: the session {what}")

    def close(self) -> None:
        """Close the stream."""
        self._writer.close()
