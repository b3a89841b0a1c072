# SPDX-License-Identifier: GPL-2.0-only
"""The program `calls` in the guest, which makes any system call: a line of text each."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from harness.base.errors import GuestError
from harness.guest.shell import Shell

# An answer comes within milliseconds; but 6,000 packets that are reinjected in one call take a
# kernel with KASAN seconds, and a busy host some times that.
ANSWER_SECONDS = 20.0

Answer = dict[str, Any]


class Script:
    """A process of root's in the guest that makes the calls that it is told to.

    An answer has `result`, and `error` (errno's name) if that is below 0. Raises GuestError for a
    line that the program does not understand, and for answers that do not come.
    """

    def __init__(self, shell: Shell, command: str = "calls") -> None:
        self._process = shell.start(command)

    @property
    def pid(self) -> int:
        """The number of its process in the guest."""
        return self._process.pid

    @property
    def answers(self) -> int:
        """How many calls have been answered so far."""
        return len(self._process.lines)

    def __call__(self, *words: str | int) -> Answer:
        """Make one call."""
        return self.begin(*words)()

    def begin(self, *words: str | int) -> Callable[[], Answer]:
        """Make a call that may block; what is returned waits for its answer."""
        self._process.send((" ".join(map(str, words)) + "\n").encode())
        return self._answer

    def many(self, lines: Sequence[str]) -> list[Answer]:
        """Make these calls, one behind the other; their answers. Those before are forgotten."""
        self._process.send("".join(f"{line}\n" for line in lines).encode())
        answers = [self._answer() for _ in lines]
        self._process.forget_output()
        return answers

    def end(self) -> None:
        """Let it end, and with it all that it has open."""
        self._process.end_input()
        self._process.wait()

    def _answer(self) -> Answer:
        row: Answer = json.loads(self._process.expect(r"^\{.*\}\n", ANSWER_SECONDS)[0])
        if "script_error" in row:
            raise GuestError(f"calls does not understand: {row}")
        return row
