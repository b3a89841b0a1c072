# SPDX-License-Identifier: GPL-2.0-only
"""What the kernel lists in /proc/net: bound ports (S11), chains and rules with their counters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

_HEADER = ["port", "queued", "delivered", "dropped", "injected"]
# Fields of a line of ip_fwchains, from the end: target, and before it three numbers; the counters.
_CHAIN, _PACKETS, _BYTES = 0, slice(6, 8), slice(8, 10)


@dataclass
class Listing:
    """/proc/net/divert: of each port bytes queued, and packets delivered, dropped, injected."""

    ports: dict[int, tuple[int, int, int, int]] = field(default_factory=dict)
    unheard: int = 0

    @staticmethod
    def parse(text: str) -> Listing:
        """The content of the file. Raises ValueError for another."""
        header, *lines, last = text.splitlines()
        word, count = last.split()
        if header.split() != _HEADER or word != "no-listener":
            raise ValueError(f"not /proc/net/divert: {text!r}")
        ports = {}
        for line in lines:
            port, queued, delivered, dropped, injected = map(int, line.split())
            ports[port] = queued, delivered, dropped, injected
        return Listing(ports, int(count))


@dataclass(frozen=True)
class Policy:
    """A chain of ip_fwnames: policy, how many rules lead to it, and what its policy has counted."""

    target: str
    references: int
    packets: int
    bytes: int


@dataclass(frozen=True)
class Table:
    """ip_fwnames and ip_fwchains: of each chain its policy, and what each rule has counted.

    A rule is all that is listed of it but its counters.
    """

    policies: dict[str, Policy]
    rules: dict[str, list[tuple[int, int]]]
    listed: dict[str, list[str]]

    @staticmethod
    def parse(names: str, chains: str, guarded: Sequence[str]) -> Table:
        """The contents of both files; the first rule of the `guarded` chains is left out."""
        policies = {}
        for line in names.splitlines():
            name, target, *numbers = line.split()
            references, high, low, bytes_high, bytes_low = map(int, numbers)
            counted = high << 32 | low, bytes_high << 32 | bytes_low
            policies[name] = Policy(target, references, *counted)
        rules: dict[str, list[tuple[int, int]]] = {name: [] for name in policies}
        listed: dict[str, list[str]] = {name: [] for name in policies}
        for line in chains.splitlines():
            words = line.split()
            packets, bytes_ = (_whole(words[part]) for part in (_PACKETS, _BYTES))
            rules[words[_CHAIN]].append((packets, bytes_))
            listed[words[_CHAIN]].append(" ".join(words[1:6] + words[10:]))
        for name in guarded:
            for each in (rules, listed):
                del each[name][:1]
        return Table(policies, rules, listed)


def _whole(halves: list[str]) -> int:
    high, low = map(int, halves)
    return high << 32 | low
