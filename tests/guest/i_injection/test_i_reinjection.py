# SPDX-License-Identifier: GPL-2.0-only
"""I. Injection: what is given back goes on as if it had never been taken (I1, I2)."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, UDP

from divert_reference.chains import Chains
from divert_reference.divert import built, left
from divert_reference.fixtures import Divert, Listen
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, PLACES, PROTOCOLS, Place, Traffic, ip_packets
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire

statement = pytest.mark.statement
places = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
through = pytest.mark.parametrize("place", PLACES[1:4], ids=lambda place: place.name)

PORT = 1234


@statement("I1", "R2/hooks", "T4")
@places
def test_not_reinjected_means_gone(
    place: Place, traffic: Traffic, listen: Listen, chains: Chains
) -> None:
    listener = listen(PORT)
    chains.append(place.rule(f"DIVERT {PORT}"))
    flows = []
    for protocol in PROTOCOLS:
        flows.append(traffic.send(place.path, protocol))
        listener.next()
    assert traffic.arrived(flows) == []
    if place.path == "out":
        assert [flow.error for flow in flows] == ["", "", "EINPROGRESS", ""]
    assert len(listener.finish()) == len(PROTOCOLS)
    traffic.control(chains, place.path, flows)


@statement("I2/bytes", "T1/way", "T4")
@places
def test_tagged_goes_on_byte_for_byte(
    place: Place, traffic: Traffic, listen: Listen, chains: Chains
) -> None:
    listener = listen(PORT, "--reinject")
    chains.append(place.rule(f"DIVERT {PORT}"))
    flows, taken = [], []
    for protocol in PROTOCOLS:
        flows.append(traffic.send(place.path, protocol))
        taken.append(listener.next())
    arrived = traffic.arrived(flows)
    assert [seen.reinjected for seen in taken] == [len(seen.data) for seen in taken]
    if place.path == "out":
        assert arrived == [seen.data for seen in taken]
    else:
        assert arrived == [flow.arrives_as() for flow in flows]
    assert listener.finish() == taken, "each exactly once"


@statement("I2/changed")
@places
def test_changed_packet_goes_on_as_changed(
    place: Place, traffic: Traffic, listen: Listen, chains: Chains
) -> None:
    """The type of service, at offset 1, is a byte that no stack on this way sets by itself."""
    listener = listen(PORT, "--reinject", "--patch", "1:10")
    chains.append(place.rule(f"DIVERT {PORT}"))
    flow = traffic.send(place.path, "udp")
    taken = listener.next()
    (arrived,) = traffic.arrived([flow])
    expected = IP(taken.data)
    expected.tos = 0x10
    if place.path == "through" and place.chain == "input":
        expected.ttl -= 1
    del expected.chksum
    assert arrived == bytes(expected)


@statement("I2/stack")
def test_own_stack_answers_what_was_given_back(
    guest: Machine, near: Wire, listen: Listen, chains: Chains, calls: Calls
) -> None:
    """Judged by the stack itself: an echo reply, a datagram in a UDP socket, a SYN-ACK."""
    calls.ok("socket", "udp", "inet", "dgram", 17)
    calls.ok("bind", "udp", "in:0.0.0.0:4000")
    calls.ok("socket", "tcp", "inet", "stream", 0)
    calls.ok("bind", "tcp", "in:0.0.0.0:4001")
    calls.ok("listen", "tcp", 5)
    listener = listen(PORT, "--reinject")
    chains.append(f"input -i {NEAR.interface} -j DIVERT {PORT}")
    for number, protocol in enumerate(PROTOCOLS[:3]):
        near.send(Traffic.packet("in", protocol, b"to the stack", number))
        listener.next()
    guest.barrier()
    assert calls.drain("udp") == [b"to the stack"]
    answers = [IP(data) for data in ip_packets(near.captured())]
    assert [(each.proto, each.dst) for each in answers] == [(1, NEAR.host_ip), (6, NEAR.host_ip)]
    assert (answers[0][ICMP].type, bytes(answers[0][ICMP].payload)) == (0, b"to the stack")
    assert answers[1]["TCP"].flags == "SA"


@statement("I2/loopback", "I2/table-input", "T4")
@pytest.mark.parametrize("address", ["127.0.0.1", NEAR.guest_ip])
def test_on_the_loopback(
    address: str, guest: Machine, calls: Calls, listen: Listen, chains: Chains
) -> None:
    """Looked up as for the wire, its source would be a reason to drop it."""
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", f"in:{address}:4000")
    calls.ok("socket", "sender", "inet", "dgram", 17)
    listeners = {
        chain: listen(port, "--reinject") for port, chain in enumerate(("output", "input"), PORT)
    }
    for chain, listener in listeners.items():
        chains.append(f"{chain} -i lo -p UDP -j DIVERT {listener.port}")
    calls.ok("sendto", "sender", "text:around", f"in:{address}:4000")
    taken = {chain: listener.next() for chain, listener in listeners.items()}
    assert calls.ok("poll", "receiver", "in", 2000)["result"] == 1
    assert calls.drain("receiver") == [b"around"]
    assert taken["output"].interface == "0.0.0.0"
    assert taken["input"].interface == "127.0.0.1"
    assert taken["input"].data == taken["output"].data
    for listener in listeners.values():
        assert len(listener.finish()) == 1


@statement("I2/loopback", "I2/stack")
def test_own_stack_answers_its_own_address_on_the_loopback(
    calls: Calls, divert: Divert, chains: Chains
) -> None:
    """From one address of this host's to another: the route says where the answer goes."""
    calls.ok("socket", "ping", "inet", "raw", 1)
    calls.ok("bind", "ping", f"in:{FAR.guest_ip}:0")
    socket = divert(PORT)
    chains.append(f"input -i lo -p ICMP -s {FAR.guest_ip} -j DIVERT {PORT}")
    echo = bytes(ICMP(type=8, id=5, seq=6) / b"anybody here")
    calls.ok("sendto", "ping", f"hex:{echo.hex()}", f"in:{NEAR.guest_ip}:0")
    socket.reinject(socket.take())
    assert calls.ok("poll", "ping", "in", 2000)["result"] == 1
    (answer,) = (IP(data) for data in calls.drain("ping"))
    assert (answer.src, answer.dst) == (NEAR.guest_ip, FAR.guest_ip)
    assert (answer[ICMP].type, answer[ICMP].seq) == (0, 6)
    assert socket.rest() == []


def option(kind: int, *addresses: str, pointer: int = 4) -> bytes:
    """A route in a header (RFC 791): recorded (7), or to be taken (loose 131, strict 137)."""
    data = b"".join(bytes(map(int, address.split("."))) for address in addresses)
    return bytes([kind, 3 + len(data), pointer]) + data + b"\0" * (-(3 + len(data)) % 4)


def timestamps(room: int) -> bytes:
    """A timestamp option that asks each router for its address too, pointer at the first place."""
    return bytes([68, 4 + 8 * room, 5, 1]) + bytes(8 * room)


OPTIONS = {
    "record": (FAR.host_ip, option(7, "0.0.0.0", "0.0.0.0", "0.0.0.0")),
    "loose": (NEAR.guest_ip, option(131, FAR.host_ip)),
    "alert": (FAR.host_ip, b"\x94\x04\0\0"),
    "unknown": (FAR.host_ip, b"\x1e\x04ab\x01\x01\x01\0"),
}


@statement("I2/options", "I2/bytes")
@pytest.mark.parametrize("name", OPTIONS)
def test_options_are_as_without_the_rules(
    name: str,
    guest: Machine,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
    shell: Shell,
) -> None:
    """Taken on all three hooks of its way; a router's own entry is made once."""
    shell.check("echo 1 >/proc/sys/net/ipv4/conf/all/accept_source_route")
    destination, data = OPTIONS[name]
    header = IP(src=NEAR.host_ip, dst=destination, id=0x7007, ttl=9)
    header.options = data
    packet = IP(built(header / UDP(sport=1, dport=9) / b"by way of"))
    near.send(packet)
    (expected,) = left(guest, far)
    sockets = [divert(PORT + number) for number in range(3)]
    chains.append(*(place.rule(f"DIVERT {PORT + n}") for n, place in enumerate(PLACES[1:4])))
    near.send(packet)
    for socket in sockets:
        socket.reinject(socket.take())
    assert left(guest, far) == [expected]
    assert [socket.rest() for socket in sockets] == [[], [], []]


@statement("I2/options")
@through
def test_timestamp_of_this_router_is_written_once(
    place: Place, guest: Machine, near: Wire, far: Wire, divert: Divert, chains: Chains
) -> None:
    header = IP(src=NEAR.host_ip, dst=FAR.host_ip, id=0x7008, ttl=9)
    header.options = timestamps(2)
    packet = IP(built(header / UDP(sport=1, dport=9) / b"when"))
    socket = divert(PORT)
    near.send(packet)
    (without,) = left(guest, far)
    chains.append(place.rule(f"DIVERT {PORT}"))
    near.send(packet)
    socket.reinject(socket.take())
    (arrived,) = left(guest, far)
    # What differs is the time, in the four bytes behind the first address, and the checksum.
    assert without[20:28] == arrived[20:28]
    assert without[32:] == arrived[32:]


@statement("I2/options", "I2/stack")
def test_recorded_route_of_what_is_for_this_host(
    guest: Machine, near: Wire, calls: Calls, divert: Divert, chains: Chains
) -> None:
    """An echo reply returns the option: the same with the rule as without."""
    header = IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=0x7009, ttl=9)
    header.options = option(7, "0.0.0.0", "0.0.0.0", "0.0.0.0")
    packet = IP(built(header / ICMP(id=1, seq=1) / b"which way"))
    socket = divert(PORT)
    replies: list[Any] = []
    for _ in range(2):
        near.send(packet)
        if replies:
            socket.reinject(socket.take())
        replies += [IP(data) for data in left(guest, near)]
        chains.append(PLACES[0].rule(f"DIVERT {PORT}"))
    for reply in replies:
        reply.id = 0
        del reply.chksum
    assert len(replies) == 2
    assert bytes(replies[0]) == bytes(replies[1])


@statement("I2/ttl", "T4")
@through
def test_last_hop_is_where_it_would_have_been(
    place: Place,
    guest: Machine,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
    icmp_errors: None,
) -> None:
    """A TTL of 2 goes on as 1, also when given back as 1; a TTL of 1 ends here, after input."""
    socket = divert(PORT)
    chains.append(place.rule(f"DIVERT {PORT}"))
    packet = IP(src=NEAR.host_ip, dst=FAR.host_ip, id=0x7101, ttl=2) / UDP(dport=9) / b"last hop"
    near.send(packet)
    taken = socket.take()
    assert IP(taken.data).ttl == (2 if place.chain == "input" else 1)
    socket.reinject(taken)
    (arrived,) = left(guest, far)
    assert IP(arrived).ttl == 1
    assert left(guest, near) == []

    packet.ttl = 1
    near.send(packet)
    if place.chain == "input":
        socket.reinject(socket.take())
    assert left(guest, far) == []
    (error,) = (IP(data) for data in left(guest, near))
    assert (error[ICMP].type, error[ICMP].code) == (11, 0), "time exceeded in transit"
    assert socket.rest() == []


@statement("I2/ttl")
@pytest.mark.parametrize("place", [PLACES[0], PLACES[4]], ids=lambda place: place.name)
def test_ttl_of_1_is_enough_for_one_link(
    place: Place, guest: Machine, near: Wire, calls: Calls, divert: Divert, chains: Chains
) -> None:
    socket = divert(PORT)
    chains.append(place.rule(f"DIVERT {PORT}"))
    calls.ok("socket", "udp", "inet", "dgram", 17)
    calls.ok("bind", "udp", "in:0.0.0.0:4000")
    calls.ok("setsockopt", "udp", "ip", "ttl", "int:1")
    if place.path == "in":
        near.send(IP(src=NEAR.host_ip, dst=NEAR.guest_ip, ttl=1, id=1) / UDP(dport=4000) / b"one")
        socket.reinject(socket.take())
        guest.barrier()
        assert calls.drain("udp") == [b"one"]
    else:
        calls.ok("sendto", "udp", "text:one", f"in:{NEAR.host_ip}:9")
        taken = socket.take()
        socket.reinject(taken)
        assert left(guest, near) == [taken.data]
        assert IP(taken.data).ttl == 1
