# SPDX-License-Identifier: GPL-2.0-only
"""The guest's serial console: kept whole, with times, and watched for crashes."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.base.background import Background
from harness.base.deadline import Deadline
from harness.base.errors import DeadlineError
from harness.guest.crash import Crash, classify
from harness.guest.linecutter import OVERLAP, LineCutter, Piece
from harness.guest.ttyreader import Reader

# A boot writes 3 KiB, an oops 1 KiB; an oops inside an oops goes on until the guest is ended.
LIMIT_BYTES = 1 << 20

# How many lines a message quotes: of a crash, which may need more until its end, and of what led to
# it. A page fault's report has 60 lines in Linux 6.1, and more with a deeper stack.
REPORT_LINES = 25
LONGEST_LINES = 120
BEFORE_LINES = 5

# The rest of an oops follows its first line within milliseconds, under TCG on a loaded host too.
_REPORT_SECONDS = 2.0

# What was written to a terminal can be read when the host's kernel has come to it: at once, but for
# a host that is very busy.
_SETTLE_SECONDS = 20.0


@dataclass(frozen=True)
class Line:
    """One console line; `seconds` since the launch, when its end arrived."""

    seconds: float
    text: str

    def __str__(self) -> str:
        return f"[{self.seconds:9.3f}] {self.text}"


class Console:
    """Watches the terminal `fd` in a thread of its own, until the other side is closed.

    Lines go to the file `log` as they come. Whoever subscribed is called, from that thread, once
    the guest has crashed, or has written more than `limit` bytes since the last `forget()`, or its
    console is closed: `crash`, `flooded` and `closed` say which. What follows a flood is dropped.
    `failure` is the error that kept it from writing the log, which also counts as closed, as does
    any other exception (harness.base.background). What is read goes also to `tee`. The guest was
    launched `age` seconds ago.
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
        # Of which line, by its number, the crash was told.
        self._crashed_at = 0
        self._cutter = LineCutter()
        self._reader = Reader(fd)
        self._subscribers: list[Callable[[], None]] = []
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._launch = time.monotonic() - age
        self._thread = Background(self._watch, name="console", on_failure=self._give_up)

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

    def settle(self) -> None:
        """Wait until all that the guest has written by now has been looked at.

        A line that has no end yet is then looked at as it stands. Returns at once if the console is
        closed. Raises DeadlineError.
        """
        self._reader.settle(Deadline(_SETTLE_SECONDS, "end of what is on the guest's console"))

    def report(self) -> list[Line]:
        """What a message about this guest quotes: a crash, once all of it is here, or the end."""
        deadline = Deadline(_REPORT_SECONDS, "end of the kernel's report")
        with self._changed, contextlib.suppress(DeadlineError):
            while not self._report_is_over():
                if not self._changed.wait(deadline.remaining):
                    deadline.check()
        return self._excerpt()

    def _excerpt(self) -> list[Line]:
        with self._changed:
            lines = self._with_rest()
            crash, begin = self.crash, self._crashed_at
        if crash is None:
            return lines[-BEFORE_LINES:]
        rest = lines[begin : begin + LONGEST_LINES]
        last = next((n for n, line in enumerate(rest) if crash.is_over_with(line.text)), 0)
        first = max(self._forgotten, begin - BEFORE_LINES)
        return lines[first : begin + max(last + 1, REPORT_LINES)]

    def _with_rest(self) -> list[Line]:
        """All lines, also that which has no end yet. The lock is held."""
        rest = self._cutter.rest.text
        return [*self._lines, Line(self.age, rest)] if rest else list(self._lines)

    def _report_is_over(self) -> bool:
        crash = self.crash
        if crash is None or crash.last is None or self.flooded or self.closed:
            return True
        return any(crash.is_over_with(line.text) for line in self._with_rest()[self._forgotten :])

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
                self._read(lambda text: self._keep(log.write, text))
        except OSError as error:
            if self.failure is None:
                if error.filename is None:
                    raise
                self.failure = error
        if not self._stopping.is_set():
            self._tell(closed=True)

    def _give_up(self) -> None:
        """The thread is broken; whoever waits is to ask why."""
        self._tell(closed=True)

    def _keep(self, write: Callable[[str], object], text: str) -> None:
        try:
            write(text)
        except OSError as error:
            self.failure = error
            raise

    def _read(self, write: Callable[[str], object]) -> None:
        """Take in what comes, until the console is closed."""
        for data, pause in self._reader.chunks(self._stopping):
            self._take(data, write)
            if pause:
                self._look_at(self._cutter.rest)
        if self._cutter.rest.text and not self._stopping.is_set():
            self._take(b"\n", write)

    def _take(self, data: bytes, write: Callable[[str], object]) -> None:
        if self.tee is not None and data:
            self.tee(data)
        if self.flooded:
            return
        with self._changed:
            self._written += len(data)
            beyond = self._written - self._limit
        if beyond > 0:
            data = data[: max(0, len(data) - beyond)]
        for piece in self._cutter.feed(data):
            line = Line(self.age, piece.text)
            write(f"{line}\n")
            # Whoever sees the line is to see what it means, too.
            self._look_at(piece, line)
        if beyond > 0:
            self._look_at(self._cutter.rest)
            write(f"(more than {self._limit} bytes: the rest is left out)\n")
            self._tell(flooded=True)

    def _look_at(self, piece: Piece, line: Line | None = None) -> None:
        """Tell what a line means, and keep it; or what one means that may yet go on."""
        with self._changed:
            # What a heading stands over is told by the lines below it.
            known = self.crash is not None and not self.crash.heading
            crash = None if known else _meaning(piece)
            if crash is not None and self.crash is None:
                self._crashed_at = len(self._lines)
            elif crash is not None and crash.heading:
                crash = None
            self.crash = crash or self.crash
            if line is not None:
                self._lines.append(line)
            self._changed.notify_all()
        if crash is not None:
            self._tell()

    def _tell(self, *, flooded: bool = False, closed: bool = False) -> None:
        with self._changed:
            self.flooded = self.flooded or flooded
            self.closed = self.closed or closed
            self._changed.notify_all()
            subscribers = list(self._subscribers)
        if closed:
            self._reader.end()
        for callback in subscribers:
            callback()


def _meaning(piece: Piece) -> Crash | None:
    """The fault that a piece reports, but for one that is whole only with the next piece."""
    crash = classify(piece.before + piece.text)
    return None if crash and piece.cut and len(crash.words) <= OVERLAP else crash
