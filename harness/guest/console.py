# SPDX-License-Identifier: GPL-2.0-only
"""The guest's serial console: kept whole, with times, and watched for crashes."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pexpect
from pexpect import fdpexpect

from harness.base.deadline import Deadline
from harness.base.errors import DeadlineError
from harness.guest.crash import Crash, classify

# A boot writes 3 KiB, an oops 1 KiB; an oops inside an oops goes on until the guest is ended.
LIMIT_BYTES = 1 << 20

# How many lines a message quotes: of a crash, which may need more until its end, and of what led to
# it. A page fault's report has 60 lines in Linux 6.1, and more with a deeper stack.
REPORT_LINES = 25
LONGEST_LINES = 120
BEFORE_LINES = 5

# How often the watching thread looks whether it is to stop without the guest having ended.
_STOP_SECONDS = 0.2

# The rest of an oops follows its first line within milliseconds, under TCG on a loaded host too.
_REPORT_SECONDS = 2.0


@dataclass(frozen=True)
class Line:
    """One console line; `seconds` since the launch, when its end arrived."""

    seconds: float
    text: str

    def __str__(self) -> str:
        return f"[{self.seconds:9.3f}] {self.text}"


class Console:
    """Watches the descriptor `fd` in a thread of its own, until the other side is closed.

    Lines go to the file `log` as they come. Whoever subscribed is called, from that thread, once
    the guest has crashed, or has written more than `limit` bytes since the last `forget()`, or its
    console is closed: `crash`, `flooded` and `closed` say which. What follows a flood is dropped.
    `failure` is the error that kept it from writing the log, which also counts as closed. Every
    chunk that is read also goes to `tee`. The guest was launched `age` seconds ago.
    """

    def __init__(
        self,
        fd: int,
        log: Path,
        *,
        limit: int = LIMIT_BYTES,
        tee: Callable[[bytes], object] | None = None,
        age: float = 0.0,
    ) -> None:
        self.log = log
        self.crash: Crash | None = None
        self.flooded = False
        self.closed = False
        self.failure: OSError | None = None
        self.tee = tee
        self._limit = limit
        self._written = 0
        self._forgotten = 0
        self._lines: list[Line] = []
        self._subscribers: list[Callable[[], None]] = []
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._launch = time.monotonic() - age
        self._spawn = fdpexpect.fdspawn(fd, timeout=_STOP_SECONDS, maxread=4096, use_poll=True)
        self._spawn.logfile_read = _Tee(self)
        self._thread = threading.Thread(target=self._watch, name="console", daemon=True)
        self._thread.start()

    @property
    def in_trouble(self) -> bool:
        """Whether the guest has crashed, floods its console, or closed it."""
        return self.crash is not None or self.flooded or self.closed

    @property
    def lines(self) -> list[Line]:
        """All lines so far."""
        with self._changed:
            return list(self._lines)

    def mark(self) -> int:
        """The number of lines so far, to ask `since` for later ones."""
        with self._changed:
            return len(self._lines)

    def since(self, mark: int) -> list[Line]:
        """The lines that came after `mark()` returned `mark`."""
        with self._changed:
            return self._lines[mark:]

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the guest gets into trouble; at once if it is in trouble already."""
        with self._changed:
            self._subscribers.append(callback)
            now = self.in_trouble
        if now:
            callback()

    def unsubscribe(self, callback: Callable[[], None]) -> None:
        """Call `callback` no more."""
        with self._changed:
            self._subscribers.remove(callback)

    def wait_for(self, pattern: str, deadline: Deadline) -> Line | None:
        """The first line that matches `pattern`, also one before the call.

        None if the guest got into trouble first. Raises DeadlineError.
        """
        wanted = re.compile(pattern)
        looked = 0
        with self._changed:
            while True:
                for line in self._lines[looked:]:
                    if wanted.search(line.text):
                        return line
                looked = len(self._lines)
                if self.in_trouble:
                    return None
                if not self._changed.wait(deadline.remaining):
                    deadline.check()

    def report(self) -> list[Line]:
        """What a message about this guest quotes: a crash, once all of it is here, or the end."""
        deadline = Deadline(_REPORT_SECONDS, "end of the kernel's report")
        with self._changed, contextlib.suppress(DeadlineError):
            while not self._report_is_over():
                if not self._changed.wait(deadline.remaining):
                    deadline.check()
        return self._excerpt()

    def _excerpt(self) -> list[Line]:
        lines = self.lines
        crash = self.crash
        if crash is None:
            return lines[-BEFORE_LINES:]
        begin = next(
            number
            for number, line in enumerate(lines)
            if number >= self._forgotten and line.text == crash.line
        )
        rest = lines[begin : begin + LONGEST_LINES]
        last = next((n for n, line in enumerate(rest) if crash.is_over_with(line.text)), 0)
        first = max(self._forgotten, begin - BEFORE_LINES)
        return lines[first : begin + max(last + 1, REPORT_LINES)]

    def _report_is_over(self) -> bool:
        crash = self.crash
        if crash is None or crash.last is None or self.flooded or self.closed:
            return True
        return any(crash.is_over_with(line.text) for line in self._lines[self._forgotten :])

    def forget(self) -> None:
        """The guest was brought back to an earlier state: it is in trouble no more."""
        with self._changed:
            self.crash = None
            self.flooded = False
            self._written = 0
            self._forgotten = len(self._lines)

    @property
    def age(self) -> float:
        """Seconds since the launch."""
        return time.monotonic() - self._launch

    def join(self, seconds: float | None) -> None:
        """Wait until the last line of an ended guest has been read."""
        self._thread.join(seconds)

    def stop(self) -> None:
        """Stop watching, and leave the descriptor to somebody else."""
        self._stopping.set()
        self._thread.join()

    def _watch(self) -> None:
        try:
            with self.log.open("a", encoding="utf-8", errors="replace", buffering=1) as log:
                for text in self._texts():
                    self._take(Line(time.monotonic() - self._launch, text), log.write)
        except OSError as error:
            self.failure = error
        if not self._stopping.is_set():
            self._tell(closed=True)

    def _texts(self) -> Iterator[str]:
        """Lines without their ends, until the console is closed; the last may lack its end."""
        spawn = self._spawn
        patterns = spawn.compile_pattern_list([b"\n", pexpect.TIMEOUT, pexpect.EOF])
        while not self._stopping.is_set():
            index = spawn.expect_list(patterns)
            if index == 1:
                continue
            before = spawn.before if isinstance(spawn.before, bytes) else b""
            # 2.2.12 writes the return behind the line feed (drivers/char/serial.c).
            text = before.decode("utf-8", errors="replace").strip("\r")
            if index == 0:
                yield text
            else:
                if text:
                    yield text
                return

    def _take(self, line: Line, write: Callable[[str], object]) -> None:
        with self._changed:
            self._written += len(line.text) + 1
            if self.flooded:
                return
            write(f"{line}\n")
            self._lines.append(line)
            flooded = self._written > self._limit
            if flooded:
                write(f"(more than {self._limit} bytes: the rest is left out)\n")
            # What a heading stands over is told by the lines below it.
            unnamed = self.crash is None or self.crash.heading
            crash = classify(line.text) if unnamed else None
            # Whoever sees the line is to see what it means, too.
            self.crash = crash or self.crash
            self._changed.notify_all()
        if crash or flooded:
            self._tell(flooded=flooded)

    def _tell(self, *, flooded: bool = False, closed: bool = False) -> None:
        with self._changed:
            self.flooded = self.flooded or flooded
            self.closed = self.closed or closed
            self._changed.notify_all()
            subscribers = list(self._subscribers)
        for callback in subscribers:
            callback()


class _Tee:
    """What pexpect writes each chunk to as it reads it: whoever looks on at the console."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, data: bytes) -> None:
        tee = self._console.tee
        if tee is not None:
            tee(data)

    def flush(self) -> None:
        """Nothing is held back."""
