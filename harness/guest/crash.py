# SPDX-License-Identifier: GPL-2.0-only
"""What a line of the guest's console means, by the rules of harness/guest/crash.toml."""

from __future__ import annotations

import functools
import re
import tomllib
from dataclasses import dataclass
from typing import Any

from harness.base import paths


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


@functools.cache
def _data() -> dict[str, Any]:
    return tomllib.loads((paths.HARNESS / "guest" / "crash.toml").read_text())


@functools.cache
def _no_faults() -> tuple[re.Pattern[str], ...]:
    """What is no fault, though a rule would take it for one."""
    return tuple(re.compile(pattern) for row in _data()["no-fault"] for pattern in row["patterns"])


@functools.cache
def rules() -> tuple[Rule, ...]:
    """The rules, in the order in which they are tried."""
    return tuple(
        Rule(
            name=entry["name"],
            patterns=tuple(re.compile(pattern) for pattern in entry["patterns"]),
            last=re.compile(entry["last"]) if "last" in entry else None,
            guest_goes_on=entry["guest_goes_on"],
            heading=entry.get("heading", False),
        )
        for entry in _data()["rule"]
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
