# SPDX-License-Identifier: GPL-2.0-only
"""The time that a program of this host has had, without that in which it waited for a processor.

A deadline is for a program that hangs. On a host that has other things to do one that does not can
take twenty times as long as ever, and what it has done by then would be lost.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import AnyStr

from harness.base.deadline import Deadline

LOOK_SECONDS = 2.0
_STALL_SECONDS = 0.25
_LEAST_SECONDS = 0.02

_PROC = Path("/proc")
_NANOSECONDS = 1e9


class OwnTime:
    """Of the processes of one session, whose number is that of its first process.

    Sleeping, and waiting for anything else than a processor, is time that it has had. A kernel that
    does not count the other (CONFIG_SCHED_INFO) has every second count.
    """

    def __init__(
        self,
        session: int,
        *,
        proc: Path = _PROC,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = str(session)
        self._proc, self._clock = proc, clock
        self._begin = self._at = self._due = clock()
        self._waited = 0.0
        self._tasks: dict[str, tuple[int, int]] = {}

    def seconds(self) -> float:
        """How long until now; to be asked every few seconds, since tasks come and go."""
        now, tasks = self._clock(), dict(self._look())
        self._waited += _stalled(now - self._at, self._tasks, tasks)
        self._at, self._tasks = now, tasks
        return now - self._begin - self._waited

    def left(self, seconds: float) -> float:
        """How long until it is to be asked again whether so many `seconds` are over; 0: they are.

        It looks only when that is due, however often it is asked meanwhile.
        """
        now = self._clock()
        if now >= self._due:
            self._due = now + max(0.0, min(LOOK_SECONDS, seconds - self.seconds()))
        return self._due - now

    def _look(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """Each task of the session: how long it ran, and how long it waited for a processor."""
        for process in self._proc.iterdir():
            if not process.name.isdigit():
                continue
            # It may end meanwhile.
            with contextlib.suppress(OSError, ValueError, IndexError):
                # Behind the name, in which there can be anything: state, parent, group, session.
                if (process / "stat").read_text().rsplit(")", 1)[1].split()[3] != self._session:
                    continue
                yield from _tasks(process / "task")


class Stall:
    """How long a program and this one, which waits for it, could not run for want of a processor.

    Of one process each, whatever it has started; asked often, it looks four times a second.
    """

    def __init__(
        self, pid: int, *, proc: Path = _PROC, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folders = tuple(proc / str(each) / "task" for each in {pid, os.getpid()})
        self._clock = clock
        self._lock = threading.Lock()
        self._at, self._tasks = clock(), dict(self._look())
        self._seconds = 0.0

    def seconds(self) -> float:
        """In all, since it was made; what has ended waits no more."""
        with self._lock:
            now = self._clock()
            if now - self._at >= _STALL_SECONDS:
                tasks = dict(self._look())
                self._seconds += _stalled(now - self._at, self._tasks, tasks)
                self._at, self._tasks = now, tasks
            return self._seconds

    def _look(self) -> Iterator[tuple[str, tuple[int, int]]]:
        for folder in self._folders:
            with contextlib.suppress(OSError):
                yield from _tasks(folder)


def _tasks(folder: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Each task of a process: how long it ran, and how long it waited for a processor, in ns."""
    for task in folder.iterdir():
        # It may end meanwhile.
        with contextlib.suppress(OSError, ValueError):
            ran, waited, _ = (task / "schedstat").read_text().split()
            yield task.name, (int(ran), int(waited))


def _stalled(
    seconds: float, before: Mapping[str, tuple[int, int]], after: Mapping[str, tuple[int, int]]
) -> float:
    """Of so many seconds, those in which tasks could not run: each is taken to begin with nothing.

    Several wait at once: so much of what they could have done, they have not.
    """
    ran = waited = 0
    for name, (task_ran, task_waited) in after.items():
        before_ran, before_waited = before.get(name, (0, 0))
        ran += task_ran - before_ran
        waited += task_waited - before_waited
    if waited <= 0:
        return 0.0
    return min(seconds, (ran + waited) / _NANOSECONDS) * waited / (ran + waited)


def communicate(process: subprocess.Popen[AnyStr], seconds: float) -> tuple[AnyStr, AnyStr]:
    """As Popen.communicate, of a process that leads a session, with `seconds` of its own time.

    Its input is to be no pipe: Popen forgets what it has not written when it is called again.
    Raises subprocess.TimeoutExpired after that time; the process is not ended.
    """
    own = OwnTime(process.pid)
    left = min(LOOK_SECONDS, seconds)
    while True:
        try:
            return process.communicate(timeout=max(_LEAST_SECONDS, left))
        except subprocess.TimeoutExpired:
            left = own.left(seconds)
            if left <= 0:
                raise subprocess.TimeoutExpired(process.args, seconds) from None


@dataclass(frozen=True)
class OwnDeadline(Deadline):
    """Of what a process does that leads `session`, in its own time.

    `remaining` is the time until it is to be asked again, if that is not 0.
    """

    session: int
    _own: OwnTime = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "_own", OwnTime(self.session))

    @property
    def remaining(self) -> float:
        """Seconds until the next look, never negative; 0 when no time is left."""
        return self._own.left(self.seconds)
