# SPDX-License-Identifier: GPL-2.0-only
"""Faults made from the syntax of a file of C, each with a name that outlives changes elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tree_sitter import Node

from harness.base import fingerprint
from harness.mutate import csource, operators
from harness.mutate.edit import ENCODING
from harness.mutate.operators import Change

# A name has so much of the text that was changed; of what is longer, the begin and a digest.
_LENGTH = 60


@dataclass(frozen=True)
class Fault:
    """One fault: in `function`, a function's name or a table's, `operator` has changed `text`.

    `number` tells faults apart that are the same in all this, from 1. `lines` are the first and the
    last line of what was changed, `around` those of the function, `comments` what is said of that.
    From line `first` on, the lines `old` become `new`: as many, so that no other line gets another
    number.
    """

    file: str
    function: str
    operator: str
    text: str
    number: int
    lines: tuple[int, int]
    around: tuple[int, int]
    comments: str
    first: int
    old: tuple[str, ...]
    new: tuple[str, ...]

    @property
    def name(self) -> str:
        """`module/socket/sock.c:divert_bind:negate:!port`, and `#2` if it is the second such."""
        text = self.text
        if len(text) > _LENGTH:
            text = f"{text[:_LENGTH]}~{fingerprint.of_bytes(text)[:6]}"
        again = f"#{self.number}" if self.number > 1 else ""
        return f"{self.file}:{self.function}:{self.operator}:{text}{again}"


def faults(file: str, text: bytes) -> Iterator[Fault]:
    """All faults of a file of C, in the order of their places (pure)."""
    seen: Counter[tuple[str, str, str]] = Counter()
    source = csource.parse(text)
    for place in source.places():
        for change in operators.changes(source, place.body):
            words = " ".join(change.what.split()).removesuffix(";")
            key = (place.name, change.operator, words)
            seen[key] += 1
            first, old, new = _lines(text, change)
            if old != new:
                where = (_span(change.node), _span(place.body), place.comments)
                yield Fault(file, *key, seen[key], *where, first, old, new)


def _span(node: Node) -> tuple[int, int]:
    return node.start_point.row + 1, node.end_point.row + 1


def _lines(text: bytes, change: Change) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    """The number of the first line that a change is in, the lines before and after it."""
    start = text.rfind(b"\n", 0, min(at for at, _, _ in change.pieces)) + 1
    end = text.find(b"\n", max(until for _, until, _ in change.pieces))
    block = text[start : end if end >= 0 else len(text)]
    changed = block
    for at, until, new in sorted(change.pieces, reverse=True):
        gone = text.count(b"\n", at, until) - new.count("\n")
        piece = new.encode(ENCODING) + b"\n" * gone
        changed = changed[: at - start] + piece + changed[until - start :]
    old, new_lines = (part.decode(ENCODING).split("\n") for part in (block, changed))
    return text.count(b"\n", 0, start) + 1, tuple(old), tuple(new_lines)
