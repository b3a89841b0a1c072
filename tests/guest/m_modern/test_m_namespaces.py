# SPDX-License-Identifier: GPL-2.0-only
"""M1. Network namespaces: what one of them does is not seen by another."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import IP, UDP

from divert_reference.chains import Chains
from divert_reference.divert import DivertSocket
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls, ProcDivert
from divert_reference.traffic import UDP_PORT
from harness.guest.shell import Shell
from harness.run.worker import WorkerSpec
from tests.guest.support.netlink import Links
from tests.guest.support.stack import THERE, VETH, Namespace, load, pair

statement = pytest.mark.statement

PORT = 1234
Namespaces = Callable[[], Namespace]


@pytest.fixture
def other(shell: Shell, calls: Calls, namespaces: Namespaces) -> Namespace:
    """A namespace at the other end of veth0."""
    load(shell, *VETH)
    made = namespaces()
    pair(shell, Links(calls), made)
    return made


def receiver(calls: Calls) -> None:
    """A UDP socket `receiver`, and one that sends, `sender`."""
    for name in ("receiver", "sender"):
        calls.ok("socket", name, "inet", "dgram", 17)
    calls.ok("bind", "receiver", f"in:0.0.0.0:{UDP_PORT}")


def got(calls: Calls) -> bytes:
    """The next datagram, waited for."""
    assert calls.ok("poll", "receiver", "in", 3000)["result"] == 1
    return bytes.fromhex(calls.ok("recv", "receiver", 65535, "dontwait")["hex"])


@statement("M1/rules", "M1/ports", "M1/counters")
def test_rules_and_ports_are_of_their_own_namespace(
    other: Namespace,
    calls: Calls,
    divert: Divert,
    chains: Chains,
    proc_divert: Callable[[], ProcDivert],
) -> None:
    """The same rule and the same port in both, and each on its own loopback."""
    mine, yours = divert(PORT), DivertSocket(other.calls, PORT)
    rule = f"input -i lo -p UDP -j DIVERT {PORT}"
    chains.append(rule)
    receiver(calls)
    receiver(other.calls)
    # Here a rule and a listener; there a listener and no rule.
    assert other.chains.counts("input") == []
    other.calls.ok("sendto", "sender", "text:there", f"in:127.0.0.1:{UDP_PORT}")
    assert got(other.calls) == b"there"
    calls.ok("sendto", "sender", "text:here", f"in:127.0.0.1:{UDP_PORT}")
    assert bytes(IP(mine.take().data)[UDP].payload) == b"here"
    assert yours.rest() == []
    other.chains.append(rule)
    other.calls.ok("sendto", "sender", "text:there", f"in:127.0.0.1:{UDP_PORT}")
    taken = yours.take()
    assert bytes(IP(taken.data)[UDP].payload) == b"there"
    assert mine.rest() == []
    yours.reinject(taken)
    assert got(other.calls) == b"there"
    counters = ProcDivert.parse(other.shell.check("cat /proc/net/divert")).ports
    assert [(port, row.delivered, row.injected) for port, row in counters.items()] == [(PORT, 1, 1)]
    counters = proc_divert().ports
    assert [(port, row.delivered, row.injected) for port, row in counters.items()] == [(PORT, 1, 0)]
    other.chains.flush()
    assert chains.counts("input") == [1]


@statement("M1/between", "M1/ports")
def test_packet_between_namespaces_is_taken_in_each(
    other: Namespace, calls: Calls, divert: Divert, chains: Chains
) -> None:
    """A mark ends with its namespace: the same port number there has not seen it."""
    mine, yours = divert(PORT), DivertSocket(other.calls, PORT)
    chains.append(f"output -i veth0 -p UDP -j DIVERT {PORT}")
    other.chains.append(f"input -i veth1 -p UDP -j DIVERT {PORT}")
    receiver(calls)
    receiver(other.calls)
    calls.ok("sendto", "sender", "text:across", f"in:{THERE}:{UDP_PORT}")
    taken = mine.take()
    assert taken.interface == "0.0.0.0"
    mine.reinject(taken)
    again = yours.take()
    assert (again.data, again.interface) == (taken.data, THERE)
    yours.reinject(again)
    assert got(other.calls) == b"across"
    assert mine.rest() == yours.rest() == []
    assert chains.counts("output") == other.chains.counts("input") == [1]


@statement("M1/options")
@pytest.mark.parametrize("option", ["passthrough", "defrag"])
def test_options_are_of_their_own_namespace(
    option: str, shell: Shell, namespaces: Namespaces, worker_spec: WorkerSpec
) -> None:
    first = namespaces()
    path = f"/proc/sys/net/ipv4/divert/{option}"
    begins = str(int(option in worker_spec.has))
    assert first.shell.check(f"cat {path}").strip() == begins
    changed = str(1 - int(begins))
    first.shell.check(f"echo {changed} >{path}")
    assert first.shell.check(f"cat {path}").strip() == changed
    assert shell.check(f"cat {path}").strip() == begins
    assert namespaces().shell.check(f"cat {path}").strip() == begins


@statement("M1/end")
def test_namespace_that_ends_with_all_in_use(other: Namespace, calls: Calls, shell: Shell) -> None:
    """With a chain of the user's, a port, and packets in its queue."""
    yours = DivertSocket(other.calls, PORT)
    other.chains("-N mine")
    other.chains.append(f"mine -p UDP -j DIVERT {PORT}", "input -i lo -j mine")
    receiver(other.calls)
    for _ in range(3):
        other.calls.ok("sendto", "sender", "text:kept", f"in:127.0.0.1:{UDP_PORT}")
    assert other.calls.ok("poll", yours.name, "in", 3000)["result"] == 1
    shell.check(f"kill -KILL {other.calls.pid}")
    # The other end of the pair goes when the namespace does.
    shell.check("while grep -q veth0 /proc/net/dev; do :; done", seconds=20)
    calls.ok("socket", "divert", "inet", "raw", "divert")
    calls.ok("bind", "divert", f"in:0.0.0.0:{PORT}")
