# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel's coverage amounts to, file by file: what ran, and what did not without a
reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.base.datafile import Schema, Table
from harness.coverage.measure import Coverage, Line

State = Literal["ran", "partly", "not run", "explained", "no code"]


class Reason(Table, frozen=True, kw_only=True):
    """Why no test runs a line."""

    file: str
    text: str
    reason: str


class _Reasons(Table, frozen=True, kw_only=True):
    line: tuple[Reason, ...] = ()


REASONS = Schema(_Reasons, "harness/coverage/reasons.toml")


@dataclass(frozen=True)
class Row:
    """One line of a file: `ways` of `all_ways` of its branches were gone, by `tests`."""

    number: int
    text: str
    state: State
    ours: bool
    ways: int = 0
    all_ways: int = 0
    tests: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class File:
    """A file's lines. Its figures are of the lines that are ours."""

    name: str
    rows: tuple[Row, ...]

    @property
    def code(self) -> list[Row]:
        """The lines of ours that have code."""
        return [row for row in self.rows if row.ours and row.state != "no code"]

    @property
    def lines(self) -> tuple[int, int]:
        """How many of them ran, of how many."""
        return sum(bool(row.tests) for row in self.code), len(self.code)

    @property
    def branches(self) -> tuple[int, int]:
        """How many ways of branches were gone, of how many."""
        return sum(row.ways for row in self.code), sum(row.all_ways for row in self.code)

    @property
    def unexplained(self) -> list[Row]:
        """Lines that no test ran, without a reason."""
        return [row for row in self.code if row.state == "not run"]


def reasons(file: Path | None = None) -> tuple[Reason, ...]:
    """The rows of the table. Raises UserError if one is not as it has to be."""
    return REASONS.read(file).line


def files(
    coverage: Coverage,
    texts: Mapping[str, str],
    ours: Mapping[str, frozenset[int]],
    known: Sequence[Reason] = (),
) -> tuple[File, ...]:
    """Each file, with the state of each of its lines (pure)."""
    why = {(row.file, row.text): row.reason for row in known}
    return tuple(
        File(
            name,
            tuple(
                _row(coverage, (name, number), text, number in ours[name], why)
                for number, text in enumerate(texts[name].splitlines(), 1)
            ),
        )
        for name in sorted(texts)
    )


def _row(
    coverage: Coverage, line: Line, text: str, ours: bool, why: Mapping[tuple[str, str], str]
) -> Row:
    tests = tuple(sorted(coverage.tests.get(line, ())))
    ways, all_ways = coverage.ways(line)
    reason = why.get((line[0], text.strip()), "")
    state: State = "no code"
    if line in coverage.lines:
        state = "ran" if tests else "not run"
        if tests and ways < all_ways:
            state = "partly"
        if reason and state in ("not run", "partly"):
            state = "explained"
    return Row(line[1], text, state, ours, ways, all_ways, tests, reason)
