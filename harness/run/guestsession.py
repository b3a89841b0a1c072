# SPDX-License-Identifier: GPL-2.0-only
"""The session of one variant: what its tests have said so far, and its events."""

from __future__ import annotations

import re
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.base.errors import GuestError
from harness.guest.lender import Guest, Lender
from harness.record.events import (
    GuestBooted,
    GuestKept,
    GuestLost,
    NoRoom,
    Outcome,
    SessionFinished,
    TestFinished,
    TestStarted,
)
from harness.record.stream import Writer
from harness.run.worker import WorkerSpec


@dataclass
class Record:
    """What the phases of one test (setup, call, teardown) have said so far."""

    statements: tuple[str, ...] = ()
    outcome: Outcome = "passed"
    seconds: float = 0.0
    messages: list[str] = field(default_factory=list)
    measures: dict[str, str] = field(default_factory=dict)
    no_room: str = ""


class GuestSession:
    """The session of one variant: its events, and the tests' folders."""

    def __init__(self, spec: WorkerSpec) -> None:
        self.spec = spec
        self.has = frozenset(spec.has)
        self.folder = Path(spec.folder)
        self.events = Writer(Path(spec.events))
        self.lender: Lender[Any] | None = None
        self.stop_reason = ""
        self._begin = time.monotonic()
        self._records: dict[str, Record] = {}

    # What the lender observes.

    def booted(self, guest: Guest) -> None:
        """A guest is there."""
        self.events.write(
            GuestBooted(
                variant=self.spec.variant,
                seconds=guest.boot_seconds,
                accelerator=guest.accelerator,
            )
        )

    def lost(self, test: str, error: GuestError) -> None:
        """A guest is no more."""
        self.events.write(GuestLost(variant=self.spec.variant, test=test, message=error.message))

    # What pytest tells.

    def start(self, test: str) -> None:
        """A test begins."""
        self.events.write(TestStarted(variant=self.spec.variant, test=test))

    def record(self, test: str) -> Record:
        """The record of a test that is running."""
        return self._records.setdefault(test, Record())

    def artifacts(self, test: str) -> Path:
        """The folder for what a test leaves behind; it is removed when the test passed."""
        return self.folder / "tests" / re.sub(r"[^\w.+-]+", "_", test.rpartition("/")[2]).strip("_")

    def finish(self, test: str) -> None:
        """All phases of a test are over, or it came to an end for want of room on the disk."""
        record = self._records.pop(test)
        if record.no_room:
            self.events.write(NoRoom(variant=self.spec.variant, test=test, message=record.no_room))
            return
        artifacts = self.artifacts(test)
        if record.outcome != "failed":
            shutil.rmtree(artifacts, ignore_errors=True)
        self.events.write(
            TestFinished(
                variant=self.spec.variant,
                test=test,
                outcome=record.outcome,
                statements=record.statements,
                seconds=record.seconds,
                message="\n".join(record.messages),
                artifacts=str(artifacts) if artifacts.is_dir() else "",
                measures=record.measures,
            )
        )

    def close(self, status: int) -> None:
        """The session is over."""
        if self.stop_reason and status == pytest.ExitCode.OK:
            # Where its own log cannot be written, pytest takes for well what was interrupted.
            status = pytest.ExitCode.INTERRUPTED
        if self.lender is not None:
            try:
                if self.spec.keep:
                    self._keep(self.lender)
                self.lender.close()
            except GuestError as error:
                self.stop_reason = self.stop_reason or error.message
                status = status or 1
        self.events.write(
            SessionFinished(
                variant=self.spec.variant,
                status=int(status),
                seconds=time.monotonic() - self._begin,
                message=self.stop_reason,
            )
        )
        self.events.close()

    def _keep(self, lender: Lender[Any]) -> None:
        guest = lender.release()
        if guest is not None:
            kept = guest.keep()
            self.events.write(GuestKept(variant=self.spec.variant, login=kept.login))
