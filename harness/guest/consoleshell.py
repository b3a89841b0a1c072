# SPDX-License-Identifier: GPL-2.0-only
"""The shell on a guest's console, asked where no login is let in."""

from __future__ import annotations

import os

from harness.base.deadline import Deadline
from harness.base.errors import DeadlineError
from harness.guest.console import Console

# A guest that answers at all does so within milliseconds.
_SECONDS = 3.0
_MARK = "divert-guest-"


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
