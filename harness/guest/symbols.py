# SPDX-License-Identifier: GPL-2.0-only
"""Names for the kernel addresses in an oops, which 2.2.12 prints as bare numbers."""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass
from pathlib import Path

_ADDRESS = re.compile(r"\[<([0-9a-f]{8})>\]")


@dataclass(frozen=True)
class Symbols:
    """The symbols of a System.map, by ascending address."""

    addresses: tuple[int, ...]
    names: tuple[str, ...]

    def at(self, address: int) -> str:
        """`symbol+0xoffset` for `address`; empty outside the kernel, which ends with `_end`."""
        index = bisect.bisect_right(self.addresses, address) - 1
        if index < 0 or address > self.addresses[-1]:
            return ""
        return f"{self.names[index]}+0x{address - self.addresses[index]:x}"

    def annotate(self, line: str) -> str:
        """`line` with the name behind every address written as in an oops, `[<c0123456>]`."""

        def named(match: re.Match[str]) -> str:
            name = self.at(int(match[1], 16))
            return f"{match[0]} {name}" if name else match[0]

        return _ADDRESS.sub(named, line)


def load(system_map: Path | None) -> Symbols:
    """The symbols of the file `system_map`; none if there is no such file."""
    if system_map is None or not system_map.is_file():
        return Symbols((), ())
    rows = [line.split() for line in system_map.read_text().splitlines()]
    ordered = sorted((int(row[0], 16), row[2]) for row in rows if len(row) == 3)
    return Symbols(tuple(row[0] for row in ordered), tuple(row[1] for row in ordered))
