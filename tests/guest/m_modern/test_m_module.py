# SPDX-License-Identifier: GPL-2.0-only
"""M6. The module comes and goes, and shares the firewall's socket options with nobody."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import IP, UDP

from divert_reference.chains import Chains
from divert_reference.divert import DivertSocket, built, left
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, OTHER, UDP_PORT, hop
from harness.base.deadline import Deadline
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.stack import (
    FILES,
    MODULE,
    X_TABLES,
    Namespace,
    is_loaded,
    load,
    present,
    unload,
)

statement = pytest.mark.statement

PORT = 1234
FIREWALL = 3  # NETLINK_FIREWALL
# What the module makes: its files, and its options.


def policy(shell: Shell) -> str:
    """That of the forward chain."""
    rows = shell.check("cat /proc/net/ip_fwnames").splitlines()
    return next(words[1] for row in rows if (words := row.split())[0] == "forward")


def assert_gone(shell: Shell, calls: Calls) -> None:
    """Neither its files nor its protocol is there: 254 is any raw protocol again."""
    assert not is_loaded(shell)
    assert present(shell) == []
    name = f"plain-{shell.check('cat /proc/uptime').split()[0]}"
    calls.ok("socket", name, "inet", "raw", 254)
    # What no divert socket does: a bind takes an address of this host only.
    assert calls.error("bind", name, f"in:198.51.100.77:{PORT}") == "EADDRNOTAVAIL"
    calls.ok("close", name)


def forwarded(number: int) -> bytes:
    """A datagram that the guest forwards."""
    header = IP(src=NEAR.host_ip, dst=FAR.host_ip, id=number, ttl=9)
    return built(header / UDP(sport=3000, dport=UDP_PORT) / b"through")


def assert_diverts(
    number: int, guest: Machine, calls: Calls, chains: Chains, near: Wire, far: Wire
) -> None:
    """A rule, a port, a packet that is taken and given back."""
    chains.append(f"forward -p UDP -j DIVERT {PORT}")
    divert = DivertSocket(calls, PORT)
    packet = forwarded(number)
    near.send(IP(packet))
    divert.reinject(divert.take())
    assert left(guest, far) == [hop(packet)]
    chains.flush()
    calls.ok("close", divert.name)


@statement("M6/used", "M6/gone")
def test_module_goes_with_all_that_is_its_own(
    guest: Machine, shell: Shell, calls: Calls, chains: Chains, near: Wire, far: Wire
) -> None:
    assert present(shell) == list(FILES)
    divert = DivertSocket(calls, PORT)
    chains("-N mine")
    chains.append(f"mine -p UDP -j DIVERT {PORT}", "forward -j mine")
    chains("-P forward DENY")
    near.send(IP(forwarded(1)))
    divert.take()
    near.send(IP(forwarded(2)))
    assert calls.ok("poll", divert.name, "in", 3000)["result"] == 1
    refused = shell.run(f"rmmod {MODULE}")
    assert (refused.status, refused.stderr.strip()) == (
        1,
        f"rmmod: {MODULE}: Try again",
    )
    # All is as it was: the packet in the queue, the policy, the chains.
    divert.reinject(divert.take())
    assert left(guest, far) == []
    assert policy(shell) == "DENY"
    calls.ok("close", divert.name)
    unload(shell)
    assert_gone(shell, calls)
    near.send(IP(forwarded(3)))
    assert left(guest, far) == [hop(forwarded(3))]
    load(shell, MODULE)
    assert present(shell) == list(FILES)
    assert policy(shell) == "ACCEPT"
    assert chains.counts("forward") == []
    assert_diverts(4, guest, calls, chains, near, far)


@statement("M6/used")
def test_socket_in_another_namespace_holds_the_module(
    shell: Shell, calls: Calls, namespaces: Callable[[], Namespace]
) -> None:
    other = namespaces()
    DivertSocket(other.calls, PORT)
    assert shell.run(f"rmmod {MODULE}").status == 1
    other.calls.ok("close", f"divert-{PORT}")
    unload(shell)
    assert_gone(shell, calls)
    assert other.shell.run("test -e /proc/net/divert").status == 1


@statement("M6/refused", "M6/gone")
def test_module_is_not_loaded_where_ip_tables_is(
    guest: Machine, shell: Shell, calls: Calls, chains: Chains, near: Wire, far: Wire
) -> None:
    unload(shell)
    load(shell, *X_TABLES)
    refused = shell.run(f"insmod /lib/modules/{MODULE}.ko", seconds=30)
    assert refused.status == 1
    assert "busy" in refused.stderr
    said = "divert: ip_tables has the socket options 64 to"
    assert guest.console.wait_for(said, Deadline(10, "the kernel to say why"))
    assert_gone(shell, calls)
    near.send(IP(forwarded(1)))
    assert left(guest, far) == [hop(forwarded(1))]
    shell.check("rmmod ip_tables", seconds=30)
    load(shell, MODULE)
    assert_diverts(2, guest, calls, chains, near, far)


@statement("M6/second")
def test_ip_tables_is_not_loaded_beside_it(
    guest: Machine, shell: Shell, calls: Calls, chains: Chains, near: Wire, far: Wire
) -> None:
    load(shell, *X_TABLES[:-1])
    assert shell.run(f"insmod /lib/modules/{X_TABLES[-1]}.ko", seconds=30).status == 1
    assert not is_loaded(shell, X_TABLES[-1])
    assert_diverts(1, guest, calls, chains, near, far)


@statement("M6/others")
def test_sockets_of_others_do_not_hold_it(
    guest: Machine, shell: Shell, calls: Calls, chains: Chains, near: Wire, far: Wire
) -> None:
    """Any raw socket, and any of the firewall's netlink, in any network namespace; they go on."""
    for protocol in (1, 253, 255):
        calls.ok("socket", f"raw-{protocol}", "inet", "raw", protocol)
    calls.ok("socket", "copies", "netlink", "raw", FIREWALL)
    calls.ok("bind", "copies", "nl:0:1")
    unload(shell)
    assert_gone(shell, calls)
    packet = built(IP(src=FAR.guest_ip, dst=FAR.host_ip, id=1, ttl=9) / UDP(dport=UDP_PORT))
    calls.ok("sendto", "raw-255", f"hex:{packet.hex()}", f"in:{FAR.host_ip}:0")
    assert left(guest, far) == [packet]
    assert calls.error("recv", "copies", 100, "dontwait") == "EAGAIN"
    load(shell, MODULE)
    assert_diverts(2, guest, calls, chains, near, far)
    calls.ok("socket", "later", "netlink", "raw", FIREWALL)
    calls.ok("bind", "later", "nl:0:1")
    chains.append("forward -p UDP -o")
    near.send(IP(forwarded(3)))
    assert left(guest, far) == [hop(forwarded(3))]
    assert calls.ok("recv", "later", 2000, "dontwait")["result"] > len(packet)
    for name in ("raw-1", "raw-253", "raw-255", "copies", "later"):
        calls.ok("close", name)
    chains.flush()
    unload(shell)
    assert_gone(shell, calls)


@statement("M6/large")
def test_raw_sockets_hold_it_where_always_defragment_is_on(
    guest: Machine, shell: Shell, calls: Calls, far: Wire
) -> None:
    """Only those that were made meanwhile may send large packets; no protocol is still refused."""
    option = "/proc/sys/net/ipv4/divert/defrag"
    header = IP(src=FAR.guest_ip, dst=FAR.host_ip, id=1, ttl=9, proto=OTHER)
    large = f"hex:{built(header / bytes(1600)).hex()}"
    to = f"in:{FAR.host_ip}:0"
    for value, name in ((0, "before"), (1, "meanwhile"), (0, "after")):
        shell.check(f"echo {value} >{option}")
        assert calls.error("socket", "none", "inet", "raw", 0) == "EPROTONOSUPPORT"
        calls.ok("socket", name, "inet", "raw", 255)
        if value:
            calls.ok("sendto", name, large, to)
            assert len(left(guest, far)) == 2
            assert shell.run(f"rmmod {MODULE}").status == 1
        assert calls.error("sendto", "before", large, to) == "EMSGSIZE"
    for name in ("before", "meanwhile", "after"):
        assert calls.error("sendto", name, large, to) == "EMSGSIZE"
    calls.ok("close", "meanwhile")
    unload(shell)
    assert_gone(shell, calls)
