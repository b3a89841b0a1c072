# SPDX-License-Identifier: GPL-2.0-only
"""S7. What is read is a complete packet: everything that is not this host's TCP."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption

from divert_reference.chains import Chains
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, PLACES, Place, header_is_right, hop, ip_packets
from harness.guest.machine import Machine
from harness.network.wire import Wire
from tests.guest.support.groups import GROUP, route_groups
from tests.guest.support.sockets import bound, hexed, ipv4, received, transport_is_right

statement = pytest.mark.statement
needs = pytest.mark.needs
Trigger = Callable[[Machine, Calls], None]

PORT = 1234
# Nobody in the guest listens there.
CLOSED = 4321


def normal(data: bytes) -> bytes:
    """The packet without what differs from one to the next: identification and header checksum."""
    assert header_is_right(data)
    return data[:4] + data[6:10] + data[12:]


def taken(calls: Calls, name: str = "d") -> list[bytes]:
    """What waits to be read on a divert socket."""
    return calls.drain(name)


def left(guest: Machine, wire: Wire) -> list[bytes]:
    """What has left by a wire since the last look."""
    guest.barrier()
    packets = ip_packets(wire.captured())
    wire.clear()
    return packets


def datagram(size: int) -> Trigger:
    """The guest sends one UDP datagram."""

    def send(_: Machine, calls: Calls) -> None:
        calls.ok("socket", "u", "inet", "dgram", 0)
        calls.ok("bind", "u", "in:0.0.0.0:5555")
        calls.ok("sendto", "u", f"fill:{size}:0123456789abcdef", f"in:{NEAR.host_ip}:4000")

    return send


def raw(_: Machine, calls: Calls) -> None:
    """The guest's raw socket sends: the stack makes the header, with options and TOS."""
    calls.ok("socket", "r", "inet", "raw", 99)
    calls.ok("setsockopt", "r", "ip", "tos", "int:16")
    calls.ok("setsockopt", "r", "ip", "options", "hex:94040000")
    calls.ok("sendto", "r", "text:raw", f"in:{NEAR.host_ip}:0")


def raw_header(_: Machine, calls: Calls) -> None:
    """The guest's raw socket sends a header of its own, which the stack completes: without DF.

    Path MTU discovery, which sets DF for others, is none of this header's business.
    """
    calls.ok("socket", "h", "inet", "raw", "raw")
    calls.ok("setsockopt", "h", "ip", "mtu_discover", "int:2")
    packet = ipv4(body=b"header", src="0.0.0.0", dst=NEAR.host_ip, id=0, len=9, chksum=0xBEEF)
    calls.ok("sendto", "h", hexed(packet), f"in:{NEAR.host_ip}:0")


def from_near(packet: IP) -> Trigger:
    """A packet comes by wire 0, which the guest answers."""
    return lambda guest, _: guest.wires[0].send(packet)


def to_guest(**fields: str | int) -> IP:
    """A header of wire 0's host to the guest."""
    return IP(**{"src": NEAR.host_ip, "dst": NEAR.guest_ip, "id": 0x77, **fields})


@pytest.mark.usefixtures("icmp_errors")
@pytest.mark.parametrize(
    ("trigger", "number"),
    [
        pytest.param(datagram(64), 1, marks=statement("S7/udp", "S7/transport"), id="udp"),
        pytest.param(datagram(63), 1, marks=statement("S7/udp", "S7/transport"), id="udp-odd"),
        pytest.param(datagram(4000), 3, marks=statement("S7/fragments"), id="fragments"),
        pytest.param(raw, 1, marks=statement("S7/raw"), id="raw"),
        pytest.param(raw_header, 1, marks=statement("S7/hdrincl"), id="hdrincl"),
        pytest.param(
            from_near(to_guest() / TCP(sport=9, dport=CLOSED, seq=5, flags="S")),
            1,
            marks=statement("S7/reset", "S7/transport"),
            id="reset",
        ),
        pytest.param(
            from_near(to_guest() / ICMP(type=8, id=3, seq=4) / b"echo"),
            1,
            marks=statement("S7/icmp", "S7/transport"),
            id="echo-reply",
        ),
        pytest.param(
            from_near(to_guest() / UDP(sport=9, dport=CLOSED) / b"nobody"),
            1,
            marks=statement("S7/icmp", "S7/transport"),
            id="unreachable",
        ),
        pytest.param(
            from_near(to_guest(dst=FAR.host_ip, ttl=1) / UDP(sport=9, dport=9) / (b"late" * 200)),
            1,
            marks=statement("S7/icmp", "S7/transport"),
            id="time-exceeded",
        ),
    ],
)
def test_what_this_host_sends_is_taken_as_it_would_have_left(
    trigger: Trigger,
    number: int,
    guest: Machine,
    calls: Calls,
    near: Wire,
    chains: Chains,
) -> None:
    trigger(guest, calls)
    expected = left(guest, near)
    bound(calls, "d", PORT)
    chains.append(f"output -i {NEAR.interface} -j DIVERT {PORT}")
    trigger(guest, calls)
    assert left(guest, near) == []
    found = taken(calls)
    assert list(map(normal, found)) == list(map(normal, expected))
    assert len(found) == number
    if found[0][9] in (1, 6, 17) and number == 1:
        assert transport_is_right(found[0])
    if number > 1:
        assert transport_is_right(whole(found))


def whole(fragments: list[bytes]) -> bytes:
    """The datagram of these fragments, whose headers are alike."""
    first, *rest = sorted(fragments, key=lambda data: int(IP(data).frag))
    for each in rest:
        assert IP(each).frag * 8 == len(first) - 20
        first += each[20:]
    return first


@statement("S7/whole-datagram", "S7/transport")
def test_large_local_datagram_is_taken_whole(
    guest: Machine, calls: Calls, near: Wire, chains: Chains
) -> None:
    bound(calls, "d", PORT)
    chains.append(f"output -i {NEAR.interface} -j DIVERT {PORT}")
    datagram(4001)(guest, calls)
    assert left(guest, near) == []
    (found,) = taken(calls)
    assert len(found) == 4029
    assert header_is_right(found)
    assert transport_is_right(found)


@statement("S7/no-header")
@pytest.mark.parametrize(
    "packet",
    [ipv4(ihl=15), ipv4(ihl=6), ipv4(ihl=7, body=b"4321")],
    ids=["60-of-20", "24-of-20", "28-of-24"],
)
def test_header_of_a_raw_socket_that_is_none_is_left_alone(
    packet: bytes, guest: Machine, calls: Calls, near: Wire, chains: Chains
) -> None:
    """One that is longer than its packet; one that is too short meets no chain [K]."""

    def send() -> None:
        calls.ok("sendto", "h", hexed(packet), f"in:{NEAR.host_ip}:0")

    calls.ok("socket", "h", "inet", "raw", "raw")
    send()
    guest.barrier()
    (frame,) = near.captured()
    bound(calls, "d", PORT)
    chains.append(f"output -i {NEAR.interface} -j DIVERT {PORT}")
    near.clear()
    send()
    guest.barrier()
    assert near.captured() == []
    (found,) = taken(calls)
    assert len(found) == len(packet)
    assert without_checksum(found) == without_checksum(frame.data[14:])


def without_checksum(data: bytes) -> bytes:
    """A header's first 20 bytes: its checksum may be over what lies behind the packet."""
    return data[:10] + data[12:20]


through = pytest.mark.parametrize("place", PLACES[1:4], ids=lambda place: place.name)


@statement("S7/wire-checksum", "S7/transport")
@pytest.mark.parametrize("place", PLACES[:4], ids=lambda place: place.name)
def test_wrong_transport_checksum_from_the_wire_stays_wrong(
    place: Place, guest: Machine, calls: Calls, near: Wire, chains: Chains
) -> None:
    bound(calls, "d", PORT)
    chains.append(place.rule(f"DIVERT {PORT}"))
    destination = NEAR.guest_ip if place.path == "in" else FAR.host_ip
    packets = [
        bytes(IP(bytes(to_guest(dst=destination) / transport / b"data")))
        for transport in (
            UDP(sport=1, dport=2, chksum=0x1234),
            UDP(sport=1, dport=2, chksum=0),
            TCP(sport=1, dport=2, flags="A", chksum=0x1234),
            ICMP(chksum=0x1234),
        )
    ]
    near.send_all(map(IP, packets))
    expected = packets if place.chain == "input" else list(map(hop, packets))
    assert taken(calls) == expected


# Record route, and a timestamp with addresses, each with room for two; an end of options.
OPTIONS = bytes.fromhex("070b04" + "00" * 8) + bytes.fromhex("44140501" + "00" * 16) + b"\0"


@statement("S7/options", "S7/forwarded", "S7/input")
@through
def test_forwarded_options_have_this_routers_entry(
    place: Place, guest: Machine, calls: Calls, near: Wire, far: Wire, chains: Chains
) -> None:
    bound(calls, "d", PORT)
    chains.append(place.rule(f"DIVERT {PORT}"))
    packet = bytes(to_guest(dst=FAR.host_ip, proto=99, options=IPOption(OPTIONS)) / b"data")
    near.send(IP(packet))
    guest.barrier()
    row = calls.ok("recvfrom", "d", 65535, "dontwait")
    found = received(row)
    assert header_is_right(found)
    calls.ok("sendto", "d", "last", "last")
    (out,) = left(guest, far)
    assert header_is_right(out)
    # There is one entry, whether it was made before the program read the packet or after.
    us = socket.inet_aton(FAR.guest_ip)
    assert out[20:31] == bytes.fromhex("070b08") + us + bytes(4)
    assert out[31:39] == bytes.fromhex("44140d01") + socket.inet_aton(NEAR.guest_ip)
    assert out[43:] == packet[43:]
    assert found == (packet if place.chain == "input" else out)


@statement("S7/multicast-routing")
@pytest.mark.parametrize("chain", ["input -i eth1", "forward -i eth2", "output -i eth2"])
@needs("multicast-routing")
def test_packet_to_a_group_is_taken_as_it_would_have_left(
    chain: str, guest: Machine, calls: Calls, near: Wire, far: Wire, chains: Chains
) -> None:
    route_groups(calls)
    left(guest, far)
    packet = ipv4(body=b"to all of you", dst=GROUP, ttl=9)
    near.send(IP(packet))
    assert left(guest, far) == [hop(packet)]
    bound(calls, "d", PORT)
    chains.append(f"{chain} -d {GROUP} -j DIVERT {PORT}")
    near.send(IP(packet))
    assert left(guest, far) == []
    assert taken(calls) == [packet if chain.startswith("input") else hop(packet)]
