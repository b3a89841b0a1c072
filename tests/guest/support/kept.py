# SPDX-License-Identifier: GPL-2.0-only
"""Divert sockets that keep what is read from them (M8)."""

from __future__ import annotations

import struct

from divert_reference.divert import DivertSocket, Taken
from divert_reference.programs import Calls

# module/include/linux/divert.h
LEVEL, KEEP, VERDICT = 254, 1, 2
TOLD, READ = 1, 2
DROP, ACCEPT = 0, 1
EMPTY = "hex:"


class Keeper(DivertSocket):
    """A divert socket that keeps what it has read."""

    def __init__(self, calls: Calls, port: int) -> None:
        super().__init__(calls, port)
        self.keep(TOLD)

    def keep(self, value: int) -> None:
        """TOLD, READ, or 0."""
        self._calls.ok("setsockopt", self.name, LEVEL, KEEP, f"int:{value}")

    def go_on(self, taken: Taken) -> None:
        """Let one packet go on as it was."""
        assert self._calls.ok("sendto", self.name, EMPTY, taken.address)["result"] == 0

    def not_kept(self, taken: Taken, data: str = EMPTY) -> str:
        """Try to let a packet go on that cannot; errno's name."""
        return self._calls.error("sendto", self.name, data, taken.address)

    def words(self, verdict: int, first: int, last: int) -> tuple[str | int, ...]:
        """The call that gives a verdict on all kept packets from one number to another."""
        value = struct.pack("<III", verdict, first % 2**32, last % 2**32)
        return ("setsockopt", self.name, LEVEL, VERDICT, f"hex:{value.hex()}")

    def settle(self, verdict: int, first: int, last: int) -> None:
        """Give a verdict on all kept packets from one number to another."""
        self._calls.ok(*self.words(verdict, first, last))


def number(taken: Taken) -> int:
    """The number of a kept packet, from its address."""
    return int.from_bytes(bytes.fromhex(taken.address.removeprefix("hex:"))[11:15], "big")
