# SPDX-License-Identifier: GPL-2.0-only
"""How long a program, or this one, which waits for it, was stopped: by SIGSTOP, or a debugger.

Nothing of the kernel's counts that, so somebody has to look all the time. A program that is stopped
does not hang: what waits for it goes on when it does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.base.background import Background

_LOOK_SECONDS = 0.2
# Whoever looks this much too late was stopped himself; less is how threads come and go.
_LATE_SECONDS = 0.5
# One stop that lasts longer is not waited for: nobody will let it go on.
MOST_SECONDS = 60.0

_PROC = Path("/proc")
_STOPPED = frozenset("Tt")


class Stops:
    """Watches the process `pid`, and this one, while it is entered."""

    def __init__(
        self, pid: int, *, proc: Path = _PROC, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stat = proc / str(pid) / "stat"
        self._clock = clock
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._thread: Background | None = None
        self._at = clock()
        self._seconds = 0.0
        self._this = 0.0

    def __enter__(self) -> Self:
        self._thread = Background(self._watch, name="stops")
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._ending.set()
        if self._thread is not None:
            self._thread.join()

    def seconds(self) -> float:
        """In all, since it was made, of each stop at most MOST_SECONDS."""
        with self._lock:
            now = self._clock()
            if now - self._at >= _LOOK_SECONDS:
                self._look(now)
            return self._seconds

    def _look(self, now: float) -> None:
        passed, self._at = now - self._at, now
        # Had one of us been running all the time, it would have looked in time.
        late = passed - _LOOK_SECONDS if passed > _LATE_SECONDS else 0.0
        lost = passed if stopped(self._stat) else late
        self._this = self._this + lost if lost else 0.0
        if self._this <= MOST_SECONDS:
            self._seconds += lost

    def _watch(self) -> None:
        while not self._ending.wait(_LOOK_SECONDS):
            self.seconds()


def stopped(stat: Path) -> bool:
    """Whether a process, of which this is the file `stat` in /proc, is stopped or traced."""
    try:
        # Behind the name, in which there can be anything.
        return stat.read_text().rpartition(")")[2].split()[0] in _STOPPED
    except (OSError, IndexError):
        return False
