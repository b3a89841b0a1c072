# SPDX-License-Identifier: GPL-2.0-only
"""How far a run of the guest tests is, by its events: a line for each variant."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.base import terminal
from harness.base.display import clock
from harness.record.events import (
    Event,
    GuestBooted,
    GuestLost,
    KernelBuilt,
    NotBuilt,
    NotRun,
    SessionFinished,
    TestFinished,
    TestsCollected,
    TestStarted,
    VariantSelected,
)
from harness.run import estimate

# Of a session whose tests have hardly begun, its own pace says nothing.
_TESTS_THAT_TELL = 20
_WAITING, _RUNNING, _OVER = "waiting", "running", "over"


@dataclass
class _Session:
    """One variant. `guest` says what its guest does while it is not `up`, or how all ended."""

    variant: str
    kernel: str = ""
    state: str = _WAITING
    guest: str = "waiting"
    up: bool = False
    test: str = ""
    begun: float = 0.0
    took: float = 0.0
    tests: int = 0
    done: int = 0
    failed: int = 0

    def seconds(self, now: float) -> float:
        return now - self.begun if self.state == _RUNNING else self.took

    def left(self, now: float, foretold: float | None) -> float | None:
        """How long it goes on, if that can be told."""
        if self.state == _OVER:
            return 0.0
        passed = self.seconds(now)
        if self.state == _RUNNING and self.done >= min(_TESTS_THAT_TELL, max(1, self.tests // 2)):
            return passed / self.done * (self.tests - self.done)
        return None if foretold is None else max(0.0, foretold - passed)

    def line(self, now: float, foretold: float | None, width: int = 0) -> str:
        if not self.begun:
            return f"{self.variant:{width}}  {self.guest}"
        failed = f", {self.failed} failed" if self.failed else ""
        count = f"{self.done} of {self.tests} tests{failed}" if self.tests else "starting"
        what = self.test if self.up and self.state == _RUNNING else self.guest
        told = [count, clock(self.seconds(now))]
        if self.state == _RUNNING and (left := self.left(now, foretold)) is not None:
            told.append(f"{estimate.about(left)} left")
        # Last, since it is what is cut off on a narrow terminal.
        told.append(what)
        return f"{self.variant:{width}}  {', '.join(told)}"


class Progress:
    """Takes the events of a run as they come; `lines` may be asked by another thread."""

    def __init__(self, foretold: Mapping[str, float], whole: float | None = None) -> None:
        """`foretold` is how long each variant's tests are expected to take; `whole`, all of it."""
        self._foretold = foretold
        self._whole = whole
        self._begun = time.monotonic()
        self._lock = threading.Lock()
        self._sessions: dict[str, _Session] = {}

    def record(self, event: Event) -> None:
        """Take one event."""
        with self._lock:
            if isinstance(event, VariantSelected):
                self._sessions[event.variant] = _Session(event.variant, event.kernel)
            elif isinstance(event, NotRun | NotBuilt):
                for each in self._sessions.values():
                    if isinstance(event, NotBuilt) and each.variant in event.variants:
                        each.state, each.guest = _OVER, "NOT BUILT"
                    if isinstance(event, NotRun) and each.kernel == event.kernel:
                        each.state, each.guest = _OVER, "NOT RUN"
            elif isinstance(event, NotBuilt):
                for each in self._sessions.values():
                    if each.variant in event.variants:
                        each.state, each.guest = _OVER, "NOT BUILT"
            elif session := self._sessions.get(getattr(event, "variant", "")):
                _apply(session, event)

    def failed(self, variant: str) -> int:
        """How many tests of a variant have failed so far."""
        with self._lock:
            session = self._sessions.get(variant)
            return session.failed if session else 0

    def lines(self, all_of_them: bool) -> list[str]:
        """A line for each variant, or for those that run just now, and one for the whole run."""
        now = time.monotonic()
        with self._lock:
            shown = list(self._sessions.values())
            width = max((len(each.variant) for each in shown), default=0) if all_of_them else 0
            lines = [
                each.line(now, self._foretold.get(each.variant), width)
                for each in shown
                if all_of_them or each.state == _RUNNING
            ]
            lines.append(self._in_all(now, shown))
        return [terminal.clean(line) for line in lines]

    def _in_all(self, now: float, sessions: Iterable[_Session]) -> str:
        passed = now - self._begun
        told = f"in all {clock(passed)}"
        if self._whole is None:
            return told
        lefts = [each.left(now, self._foretold.get(each.variant)) for each in sessions]
        left = max(self._whole - passed, *(left for left in lefts if left is not None), 0.0)
        return f"{told}, {estimate.about(left)} left"


def _apply(session: _Session, event: Event) -> None:
    match event:
        case KernelBuilt():
            session.guest = "built, waiting for its turn"
        case TestsCollected():
            session.state, session.begun = _RUNNING, time.monotonic()
            session.tests, session.guest = len(event.tests), "guest booting"
        case GuestBooted():
            session.up = True
        case TestStarted():
            session.test = event.test.rpartition("/")[2]
        case TestFinished():
            session.done += 1
            session.failed += event.outcome == "failed"
        case GuestLost():
            session.up, session.guest = False, "guest lost, another one boots"
        case SessionFinished():
            how = {0: "passed", 1: f"{session.failed} failed"}.get(event.status, "cut short")
            session.state, session.guest, session.took = _OVER, how, event.seconds
        case _:
            pass
