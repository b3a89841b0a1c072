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

from harness.base import background
from harness.base.errors import GuestError, HarnessError, InfrastructureError
from harness.guest.lender import Lender
from harness.record.events import (
    GuestBooted,
    GuestKept,
    GuestLost,
    HarnessBroken,
    NoRoom,
    Outcome,
    SessionFinished,
    TestFinished,
    TestStarted,
)
from harness.record.stream import Writer
from harness.run.tracing import Tracing
from harness.run.worker import WorkerSpec

# What an event has of a message. All of it is in the test's failure.txt.
LONGEST_MESSAGE = 20_000


@dataclass
class Record:
    """What the phases of one test (setup, call, teardown) have said so far."""

    statements: tuple[str, ...] = ()
    outcome: Outcome = "passed"
    seconds: float = 0.0
    messages: list[str] = field(default_factory=list)
    measures: dict[str, str] = field(default_factory=dict)
    own: str = ""
    line: int = 0
    no_room: str = ""


class GuestSession:
    """The session of one variant: its events, and the tests' folders."""

    def __init__(self, spec: WorkerSpec) -> None:
        self.spec = spec
        self.has = frozenset(spec.has)
        self.folder = Path(spec.folder)
        self.events = Writer(Path(spec.events))
        self.lender: Lender[Any] | None = None
        self.tracing = Tracing(self.folder) if spec.traced else None
        self.stop_reason = ""
        self._begin = time.monotonic()
        self._records: dict[str, Record] = {}
        self._told_broken = False
        self._unbootable: InfrastructureError | None = None

    # What the lender observes.

    def booted(self, guest: Any) -> None:
        """A guest is there."""
        if self.tracing is not None:
            self.tracing.booted(guest)
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

    def unbootable(self, error: InfrastructureError) -> None:
        """This host cannot boot a guest; it is not the guest's fault, nor the test's."""
        self._unbootable = error

    @property
    def broken(self) -> InfrastructureError | None:
        """Why nothing is known of the test that runs, nor would be of others, if it is so."""
        return background.failure() or self._unbootable

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
        """All phases of a test are over, or something that is not its own has ended it."""
        record = self._records.pop(test)
        if record.no_room:
            self.events.write(NoRoom(variant=self.spec.variant, test=test, message=record.no_room))
            return
        if (broken := self.broken) is not None:
            self._broken(broken, test)
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
                message=_bounded("\n".join(record.messages)),
                artifacts=str(artifacts) if artifacts.is_dir() else "",
                measures=record.measures,
                own=record.own,
                line=record.line,
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
            except HarnessError as error:
                self.stop_reason = self.stop_reason or error.message
                status = status or 1
        if not self._told_broken and (broken := self.broken) is not None:
            self._broken(broken)
        if self.tracing is not None:
            self.tracing.close()
        self.events.write(
            SessionFinished(
                variant=self.spec.variant,
                status=int(status),
                seconds=time.monotonic() - self._begin,
                message=self.stop_reason,
            )
        )
        self.events.close()

    def _broken(self, error: HarnessError, test: str = "") -> None:
        """A part of the harness is broken; nothing is known of `test`, if there is one."""
        self._told_broken = True
        self.stop_reason = error.message
        variant = self.spec.variant
        self.events.write(HarnessBroken(variant=variant, test=test, message=str(error)))

    def _keep(self, lender: Lender[Any]) -> None:
        guest = lender.release()
        if guest is not None:
            kept = guest.keep()
            self.events.write(GuestKept(variant=self.spec.variant, login=kept.login))


def _bounded(message: str) -> str:
    """A message of which the begin and the end are kept, if it is too long for an event."""
    if len(message) <= LONGEST_MESSAGE:
        return message
    half = LONGEST_MESSAGE // 2
    left_out = len(message) - 2 * half
    return (
        f"{message[:half]}\n... ({left_out} characters are in failure.txt) ...\n{message[-half:]}"
    )
