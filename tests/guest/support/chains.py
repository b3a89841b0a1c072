# SPDX-License-Identifier: GPL-2.0-only
"""The guest's firewall: rules set by ipchains, and their counters."""

from __future__ import annotations

import shlex

from harness.guest.process import Result
from harness.guest.shell import Shell

# Columns of `ipchains -L -n -v -x`: pkts bytes target prot opt tosa tosx ifname and more.
PACKETS, TARGET = 0, 2


class Chains:
    """The chains input, forward and output, and those of the user."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def __call__(self, words: str) -> str:
        """Run `ipchains` with these words, which have to be understood; what it printed."""
        return self._shell.check(f"ipchains {words}")

    def run(self, words: str) -> Result:
        """Run `ipchains` with these words, whatever becomes of it."""
        return self._shell.run(f"ipchains {words}")

    def append(self, *rules: str) -> None:
        """Append rules, each `CHAIN MATCH... -j TARGET`."""
        self._shell.check(" && ".join(f"ipchains -A {rule}" for rule in rules))

    def flush(self) -> None:
        """Remove all rules of the chains that are always there."""
        self._shell.check("ipchains -F")

    def counts(self, chain: str) -> list[int]:
        """How many packets each rule of a chain has matched."""
        return [int(row[PACKETS]) for row in self.rows(chain)]

    def rows(self, chain: str) -> list[list[str]]:
        """The rules of a chain, as words of `ipchains -L -n -v -x`."""
        text = self(f"-L {shlex.quote(chain)} -n -v -x")
        return [line.split() for line in text.splitlines()[2:]]
