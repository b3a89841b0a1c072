# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel of today has beside the module: its own modules, and network namespaces."""

from __future__ import annotations

import shlex

from divert_reference.chains import Chains
from divert_reference.programs import Calls
from harness.base.deadline import Deadline
from harness.boot import initramfs
from harness.guest.agent import Agent, AgentAddress
from harness.guest.machine import Machine
from harness.guest.process import Process
from harness.guest.shell import Shell
from tests.guest.support.netlink import Links

# Ours, and modules at hand (harness/matrix/kernels.toml), each list in the order of loading.
MODULE = "divert"
VETH = ("veth",)
BRIDGE = ("llc", "stp", "bridge")
VLAN = ("mrp", "llc", "stp", "garp", "8021q")
NFTABLES = ("crc32c_generic", "libcrc32c", "nfnetlink", "nf_tables")
CONNTRACK = (*NFTABLES, "nf_defrag_ipv4", "nf_defrag_ipv6", "nf_conntrack")
X_TABLES = ("x_tables", "ip_tables")
NAT = (*CONNTRACK, "nf_nat", "nft_chain_nat", "nft_masq", "nft_nat")
# Of /proc, made with the module.
FILES = (
    "net/divert",
    "net/divert_stat",
    "net/ip_fwchains",
    "net/ip_fwnames",
    "sys/net/ipv4/divert",
)


def present(shell: Shell) -> list[str]:
    """Those of the module's files that are there."""
    return [file for file in FILES if shell.run(f"test -e /proc/{file}").status == 0]


def load(shell: Shell, *names: str) -> None:
    """Load modules that are at hand, but for those that this kernel has built in, or already."""
    shell.check(initramfs.loading(*names), seconds=30)


def is_loaded(shell: Shell, name: str = MODULE) -> bool:
    """Whether the kernel has a module of this name."""
    return any(line.split()[0] == name for line in shell.check("cat /proc/modules").splitlines())


def unload(shell: Shell, name: str = MODULE) -> None:
    """Remove a module. Sockets that have just been closed hold ours until they are freed."""
    deadline = Deadline(30, f"end of the module {name}")
    while (result := shell.run(f"rmmod {name}", seconds=30)).status != 0:
        assert result.stderr.strip() == f"rmmod: {name}: Try again"
        deadline.check()


# The ends of `pair`: veth0 here, veth1 in the other namespace.
HERE, THERE = "203.0.113.1", "203.0.113.2"


class Inside(Agent):
    """Commands in the network namespace of a process."""

    def __init__(self, machine: Machine, address: AgentAddress, pid: int) -> None:
        super().__init__(address, machine.check)
        self._pid = pid

    def _process(self, script: str, command: str, seconds: float) -> Process:
        inside = f"exec netns {self._pid} sh -c {shlex.quote(script)}"
        return super()._process(inside, command, seconds)


class Namespace:
    """A network namespace, which lasts as long as the program `calls` in it.

    With `user` it is of a user namespace of its own, whose root the program is.
    """

    def __init__(
        self, machine: Machine, shell: Shell, address: AgentAddress, *, user: bool = False
    ) -> None:
        self.calls = Calls(shell, f"netns {'user' if user else 'new'} calls")
        self.shell = Inside(machine, address, self.calls.pid)
        self.chains = Chains(self.shell)
        self.links = Links(self.calls)
        self.shell.check("ifconfig lo 127.0.0.1 up")
        machine.console.subscribe(self.shell.interrupt)
        self._machine = machine

    def close(self) -> None:
        """Let go of it; the namespace is gone with its program."""
        self._machine.console.unsubscribe(self.shell.interrupt)
        self.shell.close()


def pair(shell: Shell, links: Links, other: Namespace) -> None:
    """Connect a namespace, by veth0 with the address HERE, to another, by veth1 with THERE."""
    links.veth("veth0", "veth1", other.calls.pid)
    shell.check(f"ifconfig veth0 {HERE} netmask 255.255.255.0 up")
    other.shell.check(f"ifconfig veth1 {THERE} netmask 255.255.255.0 up")
