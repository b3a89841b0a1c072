# SPDX-License-Identifier: GPL-2.0-only
"""The shell on a guest's console: where no login is let in, or nothing may pass a network."""

from __future__ import annotations

import os

from harness.base.deadline import Deadline
from harness.base.errors import DeadlineError, GuestError
from harness.guest.console import Console

# A guest that answers at all does so within milliseconds.
_SECONDS = 3.0
_MARK = "divert-guest-"
# N_TTY's MAX_CANON, POSIX's least for a line.
_LONGEST = 255


class ConsoleShell:
    """The shell at the other end of `console`, whose terminal is `fd`."""

    def __init__(self, console: Console, fd: int) -> None:
        self._console = console
        self._fd = fd
        self._asked = 0

    def answers(self) -> bool:
        """Whether it wakes from a short sleep, for which timers have to go, and says so."""
        self._asked += 1
        # What is typed is echoed, and must not be the answer.
        line = f"sleep 0.01; echo {_MARK}$((40+2))-{self._asked}\n"
        os.write(self._fd, line.encode())
        deadline = Deadline(_SECONDS, "answer of the shell on the console")
        try:
            return bool(self._console.wait_for(f"{_MARK}42-{self._asked}\\b", deadline))
        except DeadlineError:
            return False

    def output(self, command: str, seconds: float = _SECONDS) -> list[str]:
        """The lines that a short command writes, without a packet on any network.

        Among them may be lines of the kernel's. Raises GuestError if it does not end in time, or
        its line is longer than a terminal takes.
        """
        self._asked += 1
        # What is typed is echoed, and must not be the answer.
        begin, end = (f"{_MARK}$((40+2))-{word}-{self._asked}" for word in ("b", "e"))
        line = f"echo {begin}; {command}; echo {end}\n".encode()
        if len(line) > _LONGEST:
            raise GuestError(f"the console takes no line of {len(line)} bytes: {command}")
        before = self._console.mark()
        os.write(self._fd, line)
        first, last = (f"{_MARK}42-{word}-{self._asked}" for word in ("b", "e"))
        deadline = Deadline(seconds, f"end of {command} on the console")
        try:
            self._console.wait_for(f"{last}\\b", deadline)
        except DeadlineError as error:
            raise GuestError(str(error)) from error
        lines = [each.text for each in self._console.since(before)]
        places = [place for place, text in enumerate(lines) if text.endswith((first, last))]
        if len(places) != 2:
            raise GuestError(f"the console does not tell what {command} wrote")
        return lines[places[0] + 1 : places[1]]
