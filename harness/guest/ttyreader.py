# SPDX-License-Identifier: GPL-2.0-only
"""What comes on a terminal, and whether all of it has come.

A mark is written on the terminal's other side, as its programs do: what was written before has come
before it. (How much there is to be read at a moment says less: the host's kernel passes it on when
it comes to it.)
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import select
import sys
import threading
from collections.abc import Iterator

from harness.base.deadline import Deadline

# Linux 4.13: the other side of a pseudo-terminal, whatever is mounted where (asm/ioctls.h).
_TIOCGPTPEER = 0x5441
# Its number, by which it is called.
_TIOCGPTN = 0x80045430
_BEGIN, _END = b"\x01", b"\x02"

# A terminal on which nothing comes for so long is quiet for the moment.
_QUIET_SECONDS = 0.2
_CHUNK = 1 << 16


class Reader:
    """Reads our side `fd` of a terminal, in one thread; others ask whether all has been read."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._fence = Fence(fd)
        self._passed = 0
        self._ended = False
        self._changed = threading.Condition()

    def chunks(self, stopping: threading.Event) -> Iterator[tuple[bytes, bool]]:
        """What comes, until the other side is closed or `stopping` is set.

        With True: there is no more for the moment, or somebody wants to know what this was. He is
        told when the next one is asked for.
        """
        there_is_more = select.poll()
        there_is_more.register(self._fd, select.POLLIN)
        while not stopping.is_set():
            if not there_is_more.poll(_QUIET_SECONDS * 1000):
                yield b"", True
                continue
            try:
                data = os.read(self._fd, _CHUNK)
            except OSError:
                data = b""  # EIO: nobody has the other side any more.
            if not data:
                yield self._fence.rest, True
                return
            data, passed = self._fence.strip(data)
            yield data, passed > 0
            if passed:
                with self._changed:
                    self._passed = passed
                    self._changed.notify_all()

    def settle(self, deadline: Deadline) -> None:
        """Wait until all that was written by now has been dealt with, or `end` was called.

        Raises DeadlineError.
        """
        with self._changed:
            if self._ended:
                return
        wanted = self._fence.post(deadline)
        with self._changed:
            while self._passed < wanted and not self._ended:
                if not self._changed.wait(deadline.remaining):
                    deadline.check()

    def end(self) -> None:
        """Nobody reads any more."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class Fence:
    """Marks of this terminal, whose side `fd` is ours. No guest knows how they begin."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._head = _BEGIN + secrets.token_hex(8).encode() + b":"
        self._mark = re.compile(re.escape(self._head) + rb"(\d+)" + _END)
        self._posted = 0
        self._held = b""

    def post(self, deadline: Deadline) -> int:
        """Write the next mark, behind all that was written by then; its number.

        Raises DeadlineError if the terminal takes no more.
        """
        self._posted += 1
        mark = self._head + str(self._posted).encode() + _END
        other = _other_side(self._fd)
        try:
            room = select.poll()
            room.register(other, select.POLLOUT)
            # In one piece: another's words may come between two.
            while _write(other, mark) < len(mark):
                room.poll(deadline.remaining * 1000)
                deadline.check()
        finally:
            os.close(other)
        return self._posted

    def strip(self, data: bytes) -> tuple[bytes, int]:
        """`data` as it came without its marks, and the number of the last of them, or 0.

        What may be the begin of a mark is held back until the next call.
        """
        data = self._held + data
        self._held = b""
        last = 0
        if _BEGIN in data:
            for found in self._mark.finditer(data):
                last = int(found[1])
            data = self._mark.sub(b"", data)
            begin = data.rfind(_BEGIN)
            if begin >= 0 and self._may_begin(data[begin:]):
                data, self._held = data[:begin], data[begin:]
        return data, last

    @property
    def rest(self) -> bytes:
        """What was held back: at the end it is no mark."""
        return self._held

    def _may_begin(self, data: bytes) -> bool:
        if len(data) <= len(self._head):
            return self._head.startswith(data)
        return data.startswith(self._head) and data[len(self._head) :].isdigit()


def _other_side(fd: int) -> int:
    """The other side of a terminal, opened."""
    flags = os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return fcntl.ioctl(fd, _TIOCGPTPEER, flags)
    except OSError:
        # A kernel in between (a sandbox) need not know that; then by its name.
        number = int.from_bytes(fcntl.ioctl(fd, _TIOCGPTN, bytes(4)), sys.byteorder)
        return os.open(f"/dev/pts/{number}", flags)


def _write(fd: int, data: bytes) -> int:
    try:
        return os.write(fd, data)
    except BlockingIOError:
        return 0
