# SPDX-License-Identifier: GPL-2.0-only
"""Which lines and branches ran, and by which tests: blocks held against the program."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.coverage.program import Address, Program

Line = tuple[str, int]


@dataclass
class Coverage:
    """What ran of a kernel's code, by all of its variants.

    `tests` has for each line the tests that ran it, as VARIANT:TEST; `branches` for each
    conditional jump in a line the ways that it went, of two. `cut` are tests that have run more
    than was looked at.
    """

    lines: set[Line] = field(default_factory=set)
    tests: dict[Line, set[str]] = field(default_factory=lambda: defaultdict(set))
    branches: dict[Line, dict[tuple[str, Address], set[int]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    cut: set[str] = field(default_factory=set)

    def ways(self, line: Line) -> tuple[int, int]:
        """How many ways its branches went, and how many there are."""
        rows = self.branches.get(line, {}).values()
        return sum(map(len, rows)), 2 * len(rows)

    def add(
        self, build: str, variant: str, program: Program, rows: Iterable[Mapping[str, Any]]
    ) -> None:
        """The rows of a session's file (harness.run.tracing), with the program that it ran.

        `build` names the program: a branch is one of it.
        """
        for line, instructions in program.lines.items():
            self.lines.add(line)
            for each in instructions:
                if each.targets is not None:
                    self.branches[line].setdefault((build, each.address), set())
        for row in rows:
            test = f"{variant}:{row['test']}"
            self._add_test(build, test, program, row)
            if row["cut"]:
                self.cut.add(test)

    def _add_test(self, build: str, test: str, program: Program, row: Mapping[str, Any]) -> None:
        where = _Places(program, row["sections"])
        blocks = {at: program.block(place) for at in _begins(row) if (place := where.of(at))}
        for instructions in blocks.values():
            for each in instructions:
                if each.line is not None and not each.padding:
                    self.tests[each.line].add(test)
        for one, other in row["steps"]:
            last = blocks[one][-1] if blocks.get(one) else None
            if last is None or last.targets is None or last.line is None:
                continue
            then = where.of(other)
            if then in last.targets:
                ways = self.branches[last.line][build, last.address]
                ways.add(last.targets.index(then))


def _begins(row: Mapping[str, Any]) -> set[int]:
    return {at for step in row["steps"] for at in step}


class _Places:
    """Where in the program an address of the guest is."""

    def __init__(self, program: Program, sections: Mapping[str, int]) -> None:
        self._program = program
        self._sections = sections or dict.fromkeys(
            {address[0] for address in program.instructions}, 0
        )

    def of(self, at: int) -> Address | None:
        for section, base in self._sections.items():
            place = (section, at - base)
            if place in self._program.instructions:
                return place
        return None


def read(file: Path) -> Iterable[dict[str, Any]]:
    """The rows of a session's file; none if it has none."""
    if not file.is_file():
        return
    with file.open(encoding="utf-8") as stream:
        for line in stream:
            yield json.loads(line)
