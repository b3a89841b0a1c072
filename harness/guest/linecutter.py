# SPDX-License-Identifier: GPL-2.0-only
"""Cuts what comes in pieces of any size into lines of a bounded size (pure)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

# What comes without an end of line is cut into lines of so much. The longest message of a kernel
# has 2 KiB (PRINTK_MESSAGE_MAX); so much of what was before a cut is told with what follows.
LINE_BYTES = 4096
OVERLAP = 512


@dataclass(frozen=True)
class Piece:
    """A line, or a part of one that is too long; `before` is the end of the part before it.

    What begins in the last OVERLAP characters of one that is `cut` is whole only with the next.
    """

    text: str
    before: str = ""
    cut: bool = False


class LineCutter:
    """What has come so far of a line that has no end yet is its `rest`."""

    def __init__(self) -> None:
        self._rest = b""
        self._before = ""

    @property
    def rest(self) -> Piece:
        """The line that has no end yet; its text is empty if there is none."""
        return Piece(_text(self._rest), self._before)

    def feed(self, data: bytes) -> Iterator[Piece]:
        """What becomes whole by `data`; `rest` follows it step by step."""
        *ended, last = (self._rest + data).split(b"\n")
        for line in ended:
            for piece in self._cut(line):
                yield piece
            piece = self.rest
            self._rest, self._before = b"", ""
            yield piece
        yield from self._cut(last)

    def _cut(self, line: bytes) -> Iterator[Piece]:
        """The parts of a line that is too long, but for the last of them."""
        while len(line) > LINE_BYTES:
            piece = Piece(_text(line[:LINE_BYTES]), self._before, cut=True)
            self._before, line = piece.text[-OVERLAP:], line[LINE_BYTES:]
            self._rest = b""
            yield piece
        self._rest = line


def _text(data: bytes) -> str:
    """A line as text; 2.2.12 writes the return behind the line feed (drivers/char/serial.c)."""
    return data.decode("utf-8", errors="replace").strip("\r")
