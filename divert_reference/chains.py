# SPDX-License-Identifier: GPL-2.0-only
"""The guest's firewall: rules set by ipchains, and their counters."""

from __future__ import annotations

import shlex

from harness.base.errors import GuestError
from harness.guest.process import Result
from harness.guest.shell import Shell

# Columns of `ipchains -L -n -v -x`: pkts bytes target prot opt tosa tosx ifname and more.
PACKETS, TARGET = 0, 2

# Rules with each condition and kind of target that ipchains knows; `mine` is to be made first.
EVERY_KIND = (
    "input -p ICMP -s 192.0.2.0/24 -j DIVERT 1234",
    "input -p ICMP -s 0/0 3 -d 0/0 1:3 -j DIVERT 1234",
    "forward -p TCP -y -j DIVERT 65535",
    "forward -p TCP ! -y -s ! 192.0.2.1 ! 80 -d 198.51.100.0/255.255.0.255 1024: -j DIVERT 1",
    "forward -p ! UDP -i ! eth+ -j DIVERT 2",
    "output -f -i eth1 -t 0x01 0x10 -m 7 -l -o 100 -j DIVERT 3",
    "output -i eth2 ! -f -m +5 -j DIVERT 4",
    "mine -p 99 -j DIVERT 5",
    "mine -j RETURN",
    "input -i eth2 -j mine",
    "input -p UDP",
)


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
        lines = self(f"-L {shlex.quote(chain)} -n -v -x").splitlines()
        # A list without a rule is one all the same.
        if not (lines and lines[0].startswith(f"Chain {chain} ")):
            raise GuestError(f"no list of {chain}: {lines}")
        return [line.split() for line in lines[2:]]
