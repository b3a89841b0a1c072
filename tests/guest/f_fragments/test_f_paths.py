# SPDX-License-Identifier: GPL-2.0-only
"""F4, F5. Large packets on paths of their own: a narrow route, a group, the loopback."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, UDP

from divert_reference.chains import Chains
from divert_reference.divert import built, left
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, PLACES
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.addresses import LINKS
from harness.network.wire import Wire
from tests.guest.support.datagrams import LARGEST, cut, datagram, glue, open_receiver, pattern, udp

statement = pytest.mark.statement

PORT = 1234
GROUP = "239.1.2.3"
NARROW = 1000


@statement("F4/cut-again", "I2/fragmented")
@pytest.mark.parametrize("taken", [False, True], ids=["plain", "diverted"])
def test_local_datagram_is_cut_for_its_route(
    taken: bool, guest: Machine, near: Wire, calls: Calls, divert: Divert, chains: Chains
) -> None:
    """A router has told that it is narrower than the interface."""
    socket = divert(PORT)
    udp(calls, 1400)
    (sent,) = left(guest, near)
    told = ICMP(type=3, code=4, nexthopmtu=NARROW) / sent[:28]
    near.send(IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=1) / told)
    guest.barrier()
    if taken:
        chains.append(PLACES[4].rule(f"DIVERT {PORT}"))
    calls.ok("sendto", "u", f"fill:3972:{pattern(32).hex()}", f"in:{NEAR.host_ip}:4000")
    if taken:
        whole = socket.take()
        assert len(whole.data) == 4000
        socket.reinject(whole)
    found = left(guest, near)
    assert [len(data) for data in found] == [996, 996, 996, 996, 96]
    assert glue(found)[0][28:] == pattern(3972)
    assert socket.rest() == []


@statement("F5/outbound", "I7/interface")
@pytest.mark.parametrize("number", [0, 1])
def test_large_packet_to_a_group(
    number: int, guest: Machine, shell: Shell, calls: Calls, divert: Divert
) -> None:
    """In fragments, through the interface that the socket has chosen; looped back whole."""
    chosen = LINKS[number]
    open_receiver(shell, calls)
    calls.ok("setsockopt", "receiver", "ip", "add_membership", f"mreq:{GROUP}:{chosen.guest_ip}")
    socket = divert(PORT)
    calls.ok("setsockopt", socket.name, "ip", "multicast_if", f"ip:{chosen.guest_ip}")
    packet = datagram(GROUP, 4000, source=chosen.guest_ip)
    socket.inject(packet)
    sent = left(guest, guest.wires[number])
    # A report of the group's member may be among them.
    assert [data for data in sent if data[9] == 17] == cut(packet)
    assert left(guest, guest.wires[1 - number]) == []
    assert calls.drain("receiver") == [packet[28:]]


@statement("F5/outbound", "F4/input")
@pytest.mark.parametrize("size", [3925, LARGEST])
def test_large_packet_to_this_host(
    size: int, guest: Machine, shell: Shell, calls: Calls, divert: Divert, chains: Chains
) -> None:
    """In fragments over the loopback, and whole again before the input chain."""
    open_receiver(shell, calls)
    chains.append("input -i lo -p UDP -d 0/0 4000", "input -i lo -f", "output -i lo -p UDP")
    packet = datagram("127.0.0.1", size, source="127.0.0.1")
    divert(PORT).inject(packet)
    guest.barrier()
    assert calls.drain("receiver") == [packet[28:]]
    assert (chains.counts("input"), chains.counts("output")) == ([1, 0], [1])


@statement("F5/outbound", "I8")
def test_large_packet_of_another_source(guest: Machine, far: Wire, divert: Divert) -> None:
    packet = built(
        IP(src="203.0.113.9", dst=FAR.host_ip, id=7, ttl=9) / UDP(sport=1, dport=2) / bytes(3000)
    )
    divert(PORT).inject(packet)
    assert left(guest, far) == cut(packet)
