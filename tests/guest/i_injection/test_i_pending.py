# SPDX-License-Identifier: GPL-2.0-only
"""I2, I6, S9, S10. What the kernel keeps of packets that were read and not given back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP

from divert_reference.chains import Chains
from divert_reference.divert import DivertSocket, built, left
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls, ProcDivert
from divert_reference.traffic import FAR, NEAR, PLACES, UDP_PORT, Place, Traffic
from harness.base.deadline import Deadline
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.netlink import Links
from tests.guest.support.outcome import about
from tests.guest.support.policy import Policy
from tests.guest.support.stack import HERE, VETH, Namespace, load, pair

statement = pytest.mark.statement
places = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
Proc = Callable[[], ProcDivert]

PORT = 1234


def datagram(number: int = 1, size: int = 20, **fields: Any) -> bytes:
    """From wire 0's host to wire 1's, told by its identification."""
    header = IP(**{"src": NEAR.host_ip, "dst": FAR.host_ip, "id": number, "ttl": 9, **fields})
    return built(header / UDP(sport=3000 + number, dport=UDP_PORT) / bytes(size))


# Given back more than once.


@statement("I2/again")
@pytest.mark.needs("rtnetlink")
def test_second_packet_with_a_tag_has_its_way(
    guest: Machine,
    shell: Shell,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """The device that its sender is bound to has chosen that; the tag's hook and rule are the
    second's too.
    """
    policy = Policy(calls)
    policy.route("203.0.113.0/24", "via", NEAR.host_ip)
    policy.route("203.0.0.0/16", "via", FAR.host_ip)
    device = f"hex:{FAR.interface.encode().hex()}00"
    socket = divert(PORT)
    chains.append(f"output -p UDP -j DIVERT {PORT}", "output -p UDP")
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("setsockopt", "sender", "socket", "bindtodevice", device)
    calls.ok("sendto", "sender", "text:by-device", f"in:203.0.113.7:{UDP_PORT}")
    taken = socket.take()
    other = IP(taken.data)
    other[UDP].remove_payload()
    other[UDP].add_payload(b"another, and longer")
    del other.chksum, other.len, other[UDP].chksum, other[UDP].len
    for data in (taken.data, bytes(other), taken.data):
        socket.reinject(taken, data)
    assert left(guest, far) == [taken.data, bytes(other), taken.data]
    assert left(guest, near) == []
    assert socket.rest() == []
    # The rule that took it has counted once, and the one behind it each.
    assert chains.counts("output") == [1, 3]


@statement("I2/again")
def test_second_packet_with_a_tag_has_its_interface(
    guest: Machine, calls: Calls, near: Wire, divert: Divert, chains: Chains
) -> None:
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", f"in:0.0.0.0:{UDP_PORT}")
    calls.ok("setsockopt", "receiver", "ip", "pktinfo", "int:1")
    socket = divert(PORT)
    near.send(IP(datagram(dst=NEAR.guest_ip)))
    guest.barrier()
    without = calls.ok("recvmsg", "receiver", 100, "dontwait")
    chains.append(f"input -p UDP -j DIVERT {PORT}")
    near.send(IP(datagram(dst=NEAR.guest_ip)))
    taken = socket.take()
    for _ in range(3):
        socket.reinject(taken)
        row = calls.ok("recvmsg", "receiver", 100, "dontwait")
        assert list(about(row["control"])) == list(about(without["control"]))
        assert row["hex"] == without["hex"]


@statement("I2/refused")
def test_way_of_a_packet_that_was_refused_for_elsewhere(
    guest: Machine, near: Wire, far: Wire, divert: Divert, chains: Chains
) -> None:
    """Changed, it had found another way before a rule refused it."""
    socket = divert(PORT)
    chains.append(
        f"output -i {FAR.interface} -p UDP -j DIVERT {PORT}", f"output -d {NEAR.host_ip} -j DENY"
    )
    near.send(IP(datagram()))
    taken = socket.take()
    back = IP(taken.data)
    back.dst, back.src = NEAR.host_ip, FAR.host_ip
    del back.chksum, back[UDP].chksum
    assert socket.refused(built(back), taken.address) == "EPERM"
    socket.reinject(taken)
    assert left(guest, far) == [taken.data]
    assert left(guest, near) == []


@statement("I2/refused")
@places
def test_nothing_is_lost_by_an_error(
    place: Place, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    socket = divert(PORT)
    chains.append(place.rule(f"DIVERT {PORT}"))
    flow = traffic.send(place.path, "udp")
    taken = socket.take()
    for data in (taken.data[:19], b"\x65" + taken.data[1:], taken.data[:20] + bytes(65516)):
        assert socket.refused(data, taken.address) in ("EINVAL", "EMSGSIZE")
    socket.reinject(taken)
    arrived = traffic.arrived([flow])
    assert arrived == [taken.data if place.path == "out" else flow.arrives_as()]


# Who may give it back, and until when.


@statement("S10/read")
@places
def test_another_socket_gives_it_back(
    place: Place, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    """With its own port for T1: the port that took it takes it again on its next rule."""
    taker, giver = divert(PORT), divert(PORT + 1)
    chains.append(*(place.rule(f"DIVERT {PORT + each}") for each in (0, 1, 0)))
    flow = traffic.send(place.path, "udp")
    taken = taker.take()
    giver.reinject(taken)
    assert giver.rest() == []
    again = taker.take()
    assert again.data == taken.data
    taker.reinject(again)
    arrived = traffic.arrived([flow])
    assert arrived == [taken.data if place.path == "out" else flow.arrives_as()]


@statement("I6/unbound-tagged")
@places
def test_socket_without_a_port_gives_it_back(
    place: Place, traffic: Traffic, calls: Calls, divert: Divert, chains: Chains, proc_divert: Proc
) -> None:
    """There is no port that T1 could spare: the rule behind takes it, of whatever port."""
    socket = divert(PORT)
    chains.append(*(place.rule(f"DIVERT {PORT}") for _ in range(2)))
    flow = traffic.send(place.path, "udp")
    taken = socket.take()
    calls.ok("socket", "unbound", "inet", "raw", 254)
    calls.ok("sendto", "unbound", f"hex:{taken.data.hex()}", taken.address)
    again = socket.take()
    assert again.data == taken.data
    calls.ok("sendto", "unbound", f"hex:{again.data.hex()}", again.address)
    assert socket.rest() == []
    arrived = traffic.arrived([flow])
    assert arrived == [taken.data if place.path == "out" else flow.arrives_as()]
    assert set(proc_divert().ports) == {PORT}


@statement("I6/closed", "S10/read")
@places
@pytest.mark.parametrize("end", ["close", "exit"])
def test_what_a_closed_socket_has_read_is_stale(
    end: str,
    place: Place,
    traffic: Traffic,
    shell: Shell,
    divert: Divert,
    chains: Chains,
    proc_divert: Proc,
) -> None:
    reader = Calls(shell)
    socket, other = DivertSocket(reader, PORT), divert(PORT + 1)
    chains.append(place.rule(f"DIVERT {PORT}"))
    flows = [traffic.send(place.path, "udp") for _ in range(2)]
    first, second = socket.take(), socket.take()
    other.reinject(first)
    if end == "close":
        socket.close()
    else:
        reader.begin("exit")
        deadline = Deadline(10, "end of the program that has read them")
        while PORT in proc_divert().ports:
            deadline.check()
    for taken in (second, first):
        assert other.refused(taken.data, taken.address) == "ESTALE"
    arrived = traffic.arrived(flows)
    assert arrived == [first.data if place.path == "out" else flows[0].arrives_as()]


@statement("I6/closed", "S10/read", "S10/next")
@places
def test_what_was_read_by_the_socket_before_on_its_port_is_stale(
    place: Place, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    """Whoever gives it back; what the next one has read itself is its own."""
    before, other = divert(PORT), divert(PORT + 1)
    chains.append(place.rule(f"DIVERT {PORT}"))
    flows = [traffic.send(place.path, "udp")]
    taken = before.take()
    before.close()
    next_one = divert(PORT)
    flows.append(traffic.send(place.path, "udp"))
    own = next_one.take()
    for socket in (next_one, other):
        assert socket.refused(taken.data, taken.address) == "ESTALE"
    other.reinject(own)
    arrived = traffic.arrived(flows)
    assert arrived == [own.data if place.path == "out" else flows[1].arrives_as()]


@statement("I6/interface-gone", "M11/device")
@pytest.mark.parametrize("chain", ["input", "forward"])
def test_packet_whose_interface_has_gone_is_stale(
    chain: str,
    guest: Machine,
    shell: Shell,
    calls: Calls,
    far: Wire,
    divert: Divert,
    chains: Chains,
    namespaces: Callable[[], Namespace],
) -> None:
    load(shell, *VETH)
    links, other = Links(calls), namespaces()
    pair(shell, links, other)
    other.shell.check(f"route add -net 198.51.100.0 netmask 255.255.255.0 gw {HERE}")
    socket = divert(PORT)
    chains.append(f"{chain} -p UDP -j DIVERT {PORT}")
    other.calls.ok("socket", "sender", "inet", "dgram", 17)
    other.calls.ok("sendto", "sender", "text:late", f"in:{FAR.host_ip}:{UDP_PORT}")
    taken = socket.take()
    links.delete("veth0")
    assert socket.refused(taken.data, taken.address) == "ESTALE"
    assert left(guest, far) == []
