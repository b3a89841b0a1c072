# SPDX-License-Identifier: GPL-2.0-only
"""C. Against raw sockets (C1, C2) and packet sockets (C3, C5)."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import Ether

from divert_reference.chains import Chains
from divert_reference.divert import built, left
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, OTHER, UDP_PORT, Traffic
from harness.guest.machine import Machine
from harness.network.addresses import LINKS
from harness.network.wire import Wire
from tests.guest.support.copies import (
    OUTGOING,
    TO_ANOTHER_HOST,
    captured,
    frames,
    packet_socket,
    raw_socket,
)

statement = pytest.mark.statement
kinds = pytest.mark.parametrize("kind", ["packet", "sock_packet"])

PORT = 1234
ECHO = built(IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=3) / ICMP(type=8, id=5, seq=6) / b"copy")
INBOUND = f"in:{NEAR.guest_ip}:0"


def echo_replies(guest: Machine, near: Wire) -> int:
    """How many answers to ECHO have left since it was asked last."""
    packets = [IP(data) for data in left(guest, near)]
    assert all(packet[ICMP].type == 0 for packet in packets)
    return len(packets)


@statement("C1/raw")
def test_raw_socket_gets_a_copy_and_cannot_stop_the_packet(
    guest: Machine, near: Wire, calls: Calls
) -> None:
    for name in ("a", "b"):
        raw_socket(calls, name, 1)
    near.send(IP(ECHO))
    # They have not read it, and one of them is gone before it could.
    assert echo_replies(guest, near) == 1
    calls.ok("close", "a")
    assert calls.drain("b") == [ECHO]
    assert echo_replies(guest, near) == 0


@statement("C1/stops", "C1/unseen", "I1")
def test_divert_socket_stops_the_packet_before_a_raw_socket(
    guest: Machine, near: Wire, calls: Calls, chains: Chains, divert: Divert
) -> None:
    raw_socket(calls, "raw", 1)
    taker = divert(PORT)
    chains.append(f"input -i {NEAR.interface} -p icmp -j DIVERT {PORT}")
    near.send(IP(ECHO))
    assert echo_replies(guest, near) == 0
    assert calls.drain("raw") == []
    taken = taker.take()
    assert taken.data == ECHO
    # Given back it is seen, once, as any packet.
    taker.reinject(taken)
    assert echo_replies(guest, near) == 1
    assert calls.drain("raw") == [ECHO]


def counted(chains: Chains) -> list[int]:
    """What has come in by eth1, by eth2, by lo, and what was forwarded."""
    return [*chains.counts("input"), *chains.counts("forward")]


@pytest.fixture
def counters(chains: Chains) -> Chains:
    """The chains with rules that only count packets of protocol 99."""
    interfaces = (NEAR.interface, FAR.interface, "lo")
    chains.append(*(f"input -p {OTHER} -i {name}" for name in interfaces), f"forward -p {OTHER}")
    return chains


HERE = built(IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=4, ttl=9, proto=OTHER) / b"for this host")
BEYOND = built(IP(src=NEAR.host_ip, dst=FAR.host_ip, id=5, ttl=9, proto=OTHER) / b"for another")


@statement("C2/raw")
def test_raw_socket_cannot_inject_as_received(
    guest: Machine, far: Wire, calls: Calls, counters: Chains
) -> None:
    calls.ok("socket", "raw", "inet", "raw", "raw")
    calls.ok("setsockopt", "raw", "ip", "hdrincl", "int:1")
    for packet in (HERE, BEYOND):
        calls.ok("sendto", "raw", f"hex:{packet.hex()}", f"in:{IP(packet).dst}:0")
    # The one comes by the loopback, whatever its source; the other is sent, not forwarded.
    assert left(guest, far) == [BEYOND]
    assert counted(counters) == [0, 0, 1, 0]


@statement("C2/raw")
def test_raw_socket_bound_to_an_interface_does_not_receive_there(
    guest: Machine, far: Wire, calls: Calls, counters: Chains
) -> None:
    """SO_BINDTODEVICE chooses where it leaves: this host's own packet goes out by the wire."""
    calls.ok("socket", "raw", "inet", "raw", "raw")
    calls.ok("setsockopt", "raw", "ip", "hdrincl", "int:1")
    device = f"hex:{FAR.interface.encode().hex()}00"
    calls.ok("setsockopt", "raw", "socket", "bindtodevice", device)
    calls.ok("sendto", "raw", f"hex:{BEYOND.hex()}", f"in:{FAR.host_ip}:0")
    assert left(guest, far) == [BEYOND]
    assert counted(counters) == [0, 0, 0, 0]


@statement("C2/divert", "I3/inbound")
@pytest.mark.parametrize("number", [0, 1], ids=["eth1", "eth2"])
def test_divert_socket_injects_as_received_on_a_chosen_interface(
    guest: Machine, far: Wire, calls: Calls, counters: Chains, divert: Divert, number: int
) -> None:
    raw_socket(calls, "receiver", OTHER)
    injector = divert(PORT)
    address = f"in:{LINKS[number].guest_ip}:0"
    for packet in (HERE, BEYOND):
        injector.inject(packet, address)
    (forwarded,) = left(guest, far)
    assert IP(forwarded).ttl == IP(BEYOND).ttl - 1
    assert calls.drain("receiver") == [HERE]
    assert counted(counters) == [2 * (number == 0), 2 * (number == 1), 0, 1]


@statement("C3/copy")
@kinds
@pytest.mark.parametrize("path", ["in", "through", "out"])
def test_packet_socket_gets_a_copy_and_cannot_stop_the_packet(
    calls: Calls, traffic: Traffic, kind: str, path: str
) -> None:
    for link in LINKS:
        packet_socket(calls, link.interface, link.interface, kind)
    flow = traffic.send(path, "udp")
    (arrived,) = traffic.arrived([flow])
    near, far = (captured(calls, link.interface, flow) for link in LINKS)
    expected = {
        "in": ([flow.sent], []),
        "through": ([flow.sent], [flow.arrives_as()]),
        "out": ([arrived], []),
    }
    assert (near, far) == expected[path]


@statement("C3/input")
@kinds
@pytest.mark.parametrize("path", ["in", "through"])
def test_diverted_input_is_captured(
    calls: Calls, traffic: Traffic, chains: Chains, divert: Divert, kind: str, path: str
) -> None:
    packet_socket(calls, "packet", NEAR.interface, kind)
    taker = divert(PORT)
    chains.append(f"input -i {NEAR.interface} -j DIVERT {PORT}")
    flow = traffic.send(path, "udp")
    assert traffic.arrived([flow]) == []
    assert captured(calls, "packet", flow) == [flow.sent]
    # It is the wire's packet that is captured: given back, it is not captured again.
    taker.reinject(taker.take())
    assert traffic.arrived([flow]) == [flow.arrives_as()]
    assert captured(calls, "packet", flow) == []


@statement("C3/output")
@kinds
@pytest.mark.parametrize(
    ("path", "number"), [("out", 0), ("through", 1)], ids=["local", "forwarded"]
)
def test_diverted_output_is_captured_only_when_reinjected(
    calls: Calls,
    traffic: Traffic,
    chains: Chains,
    divert: Divert,
    kind: str,
    path: str,
    number: int,
) -> None:
    packet_socket(calls, "packet", LINKS[number].interface, kind)
    taker = divert(PORT)
    chains.append(f"output -i {LINKS[number].interface} -p udp -j DIVERT {PORT}")
    flow = traffic.send(path, "udp")
    assert traffic.arrived([flow]) == []
    assert captured(calls, "packet", flow) == []
    taken = taker.take()
    taker.reinject(taken)
    assert traffic.arrived([flow]) == [taken.data]
    assert captured(calls, "packet", flow) == [taken.data]


@statement("C3/copy")
def test_packet_socket_is_told_which_way_a_packet_went(calls: Calls, traffic: Traffic) -> None:
    packet_socket(calls, "packet", NEAR.interface)
    flows = [traffic.send("out", "udp"), traffic.send("in", "udp")]
    assert len(traffic.arrived(flows)) == 2
    found = frames(calls, "packet")
    types = [frame.type for flow in flows for frame in found if flow.body in frame.data]
    # The guest answers the second, as nobody has the port: ICMP, which quotes its beginning.
    assert types[:2] == [OUTGOING, 0]


def misdirected(destination: str) -> Ether:
    """A frame for another host's card, whose packet is for `destination`."""
    packet = IP(src=NEAR.host_ip, dst=destination, id=8) / UDP(sport=3, dport=UDP_PORT) / b"stray"
    return Ether(src=NEAR.host_mac, dst="52:54:00:00:01:77") / packet


def promiscuous(guest: Machine, calls: Calls, near: Wire) -> None:
    """Set eth1 to promiscuous mode, with a packet socket `packet` on it."""
    packet_socket(calls, "packet", NEAR.interface)
    calls.ok("promiscuous", "packet", NEAR.interface, "on")


@statement("C5/seen")
@pytest.mark.parametrize("destination", [NEAR.guest_ip, FAR.host_ip], ids=["here", "beyond"])
def test_frames_for_other_hosts_are_seen_and_go_no_further(
    guest: Machine, near: Wire, far: Wire, calls: Calls, chains: Chains, destination: str
) -> None:
    promiscuous(guest, calls, near)
    raw_socket(calls, "raw", 17)
    chains.append(f"input -i {NEAR.interface} -p udp", "forward -p udp")
    frame = misdirected(destination)
    near.send(frame)
    assert left(guest, far) == []
    found = [each for each in frames(calls, "packet") if b"stray" in each.data]
    assert [(each.data, each.type) for each in found] == [(built(frame[IP]), TO_ANOTHER_HOST)]
    assert [data for data in calls.drain("raw") if b"stray" in data] == []
    assert (chains.counts("input"), chains.counts("forward")) == ([0], [0])


@statement("C5/never", "T4")
@pytest.mark.parametrize("destination", [NEAR.guest_ip, FAR.host_ip], ids=["here", "beyond"])
def test_frames_for_other_hosts_are_never_diverted(
    guest: Machine, near: Wire, calls: Calls, chains: Chains, divert: Divert, destination: str
) -> None:
    promiscuous(guest, calls, near)
    taker = divert(PORT)
    chains.append(*(f"{chain} -p udp -j DIVERT {PORT}" for chain in ("input", "forward", "output")))
    for _ in range(3):
        near.send(misdirected(destination))
    # The same packet in a frame for this host is: the rule is in force.
    own = misdirected(destination)
    own.dst = NEAR.guest_mac
    near.send(own)
    guest.barrier()
    assert taker.rest() == [built(own[IP])]
    found = [each for each in frames(calls, "packet") if b"stray" in each.data]
    assert [each.type for each in found] == [TO_ANOTHER_HOST] * 3 + [0]
