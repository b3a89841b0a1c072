# SPDX-License-Identifier: GPL-2.0-only
"""What a line of the guest's console means, by the rules of harness/guest/crash.toml."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from harness.base.datafile import Fault, Keys, Schema, Table


@dataclass(frozen=True)
class Rule:
    """Lines that belong to one kind of fault, and the line with which its report is over."""

    name: str
    patterns: tuple[re.Pattern[str], ...]
    last: re.Pattern[str] | None
    guest_goes_on: bool
    heading: bool


@dataclass(frozen=True)
class Crash:
    """A fault that the kernel reported: its name (panic, oops, ...) and its first line.

    `words` are the kernel's part of `line`, which may begin with a shell's prompt. That of a
    `heading` is told by a later line.
    """

    name: str
    line: str
    words: str
    guest_goes_on: bool
    last: re.Pattern[str] | None
    heading: bool = False

    def is_over_with(self, line: str) -> bool:
        """Whether `line` is the last one of the kernel's report."""
        return self.last is not None and self.last.search(line) is not None


class _NoFault(Table, frozen=True, kw_only=True):
    patterns: tuple[str, ...]
    why: str


class _Rule(Table, frozen=True, kw_only=True):
    """What the file says of a kind of fault."""

    name: str
    patterns: tuple[str, ...]
    last: str | None = None
    guest_goes_on: bool
    heading: bool = False


class _Rules(Table, frozen=True, kw_only=True):
    no_fault: tuple[_NoFault, ...] = msgspec.field(name="no-fault")
    rule: tuple[_Rule, ...]


DATA = Schema(_Rules, "harness/guest/crash.toml")


@functools.cache
def _data() -> _Rules:
    said = DATA.read()
    DATA.refuse(_wrong(said))
    return said


def _wrong(said: _Rules) -> Iterator[Fault]:
    """What is no regular expression."""
    patterns: dict[Keys, str] = {}
    lists: dict[Keys, tuple[str, ...]] = {
        **{("no-fault", row): each.patterns for row, each in enumerate(said.no_fault)},
        **{("rule", row): each.patterns for row, each in enumerate(said.rule)},
    }
    for keys, rows in lists.items():
        patterns |= {(*keys, "patterns", number): row for number, row in enumerate(rows)}
    for row, rule in enumerate(said.rule):
        if rule.last is not None:
            patterns["rule", row, "last"] = rule.last
    for keys, pattern in patterns.items():
        try:
            re.compile(pattern)
        except re.error as error:
            yield Fault(keys, f"no regular expression: {error}")


@functools.cache
def _no_faults() -> tuple[re.Pattern[str], ...]:
    """What is no fault, though a rule would take it for one."""
    return tuple(re.compile(pattern) for row in _data().no_fault for pattern in row.patterns)


@functools.cache
def rules() -> tuple[Rule, ...]:
    """The rules, in the order in which they are tried."""
    return tuple(
        Rule(
            name=row.name,
            patterns=tuple(re.compile(pattern) for pattern in row.patterns),
            last=None if row.last is None else re.compile(row.last),
            guest_goes_on=row.guest_goes_on,
            heading=row.heading,
        )
        for row in _data().rule
    )


def classify(line: str) -> Crash | None:
    """The fault that `line`, without its line end, reports; None for any other line."""
    # It is taken out, not looked for: a fault may stand behind it in the same line.
    rest = line
    for no_fault in _no_faults():
        rest = no_fault.sub("", rest)
    for rule in rules():
        for pattern in rule.patterns:
            match = pattern.search(rest)
            if match:
                return Crash(
                    name=rule.name,
                    line=line,
                    words=rest[match.start() :],
                    guest_goes_on=rule.guest_goes_on,
                    last=rule.last,
                    heading=rule.heading,
                )
    return None
