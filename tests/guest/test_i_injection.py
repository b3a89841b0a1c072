# SPDX-License-Identifier: GPL-2.0-only
"""I. Injection."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, UDP

from harness.machine import Machine
from harness.wire import Wire
from tests.guest.chains import Chains
from tests.guest.conftest import Listen
from tests.guest.programs import Calls
from tests.guest.traffic import (
    FAR,
    NEAR,
    PLACES,
    PROTOCOLS,
    Place,
    Traffic,
    hop,
    ip_packets,
)

statement = pytest.mark.statement
places = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)

PORT = 1234


def built(packet: Any) -> bytes:
    """A packet with all that scapy fills in."""
    return bytes(IP(bytes(packet)))


class Injector:
    """A bound divert socket that has never received anything."""

    def __init__(self, guest: Machine, calls: Calls) -> None:
        self._guest = guest
        self._calls = calls
        calls.ok("socket", "d", "inet", "raw", 254)
        calls.ok("bind", "d", f"in:0.0.0.0:{PORT}")

    def __call__(self, data: bytes, address: str) -> None:
        """Inject a packet, which the kernel has to accept as a whole."""
        row = self._calls.ok("sendto", "d", f"hex:{data.hex()}", address)
        assert row["result"] == len(data)

    def left(self, wire: Wire) -> list[bytes]:
        """What has left by a wire since it was asked last."""
        self._guest.barrier()
        found = ip_packets(wire.captured())
        wire.clear()
        return found


@pytest.fixture
def inject(guest: Machine, calls: Calls) -> Injector:
    return Injector(guest, calls)


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


@statement("I2/loopback")
def test_on_the_loopback(guest: Machine, calls: Calls, listen: Listen, chains: Chains) -> None:
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", "in:127.0.0.1:4000")
    calls.ok("socket", "sender", "inet", "dgram", 17)
    listeners = {
        chain: listen(port, "--reinject") for port, chain in enumerate(("output", "input"), PORT)
    }
    for chain, listener in listeners.items():
        chains.append(f"{chain} -i lo -p UDP -j DIVERT {listener.port}")
    calls.ok("sendto", "sender", "text:around", "in:127.0.0.1:4000")
    taken = {chain: listener.next() for chain, listener in listeners.items()}
    assert calls.ok("poll", "receiver", "in", 2000)["result"] == 1
    assert calls.drain("receiver") == [b"around"]
    assert taken["output"].interface == "0.0.0.0"
    assert taken["input"].interface == "127.0.0.1"
    assert taken["input"].data == taken["output"].data
    for listener in listeners.values():
        assert len(listener.finish()) == 1


@statement("I3/zero", "I3/none", "I3/null")
@pytest.mark.parametrize(
    "address",
    ["in:0.0.0.0:0", "none", "null:16", "null:8"],
    ids=["zero", "none", "null", "null-short"],
)
def test_untagged_without_address_goes_out(
    inject: Injector, near: Wire, far: Wire, address: str
) -> None:
    packet = built(IP(src=NEAR.guest_ip, dst=NEAR.host_ip, id=11, ttl=9) / UDP() / b"out")
    inject(packet, address)
    assert inject.left(near) == [packet], "routed by its destination, TTL as it was"
    assert inject.left(far) == []
    packet = built(IP(src=FAR.guest_ip, dst=FAR.host_ip, id=12, ttl=9) / UDP() / b"out")
    inject(packet, address)
    assert inject.left(far) == [packet]
    assert inject.left(near) == []


@statement("I3/none")
def test_send_and_write_go_out(inject: Injector, calls: Calls, near: Wire) -> None:
    for call in ("send", "write"):
        packet = built(IP(src=NEAR.guest_ip, dst=NEAR.host_ip, id=13) / UDP() / call.encode())
        calls.ok(call, "d", f"hex:{packet.hex()}")
        assert inject.left(near) == [packet]


@statement("I3/inbound")
@pytest.mark.parametrize("link", [NEAR, FAR], ids=["eth1", "eth2"])
def test_untagged_with_an_interface_comes_in_there(
    inject: Injector, calls: Calls, chains: Chains, near: Wire, far: Wire, link: Any
) -> None:
    chains.append(f"input -i {NEAR.interface} -p UDP", f"input -i {FAR.interface} -p UDP")
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", "in:0.0.0.0:4000")
    packet = IP(src="192.0.2.200", dst=NEAR.guest_ip, id=14) / UDP(dport=4000) / b"came in"
    inject(built(packet), f"in:{link.guest_ip}:0")
    assert calls.ok("poll", "receiver", "in", 2000)["result"] == 1
    row = calls.ok("recvfrom", "receiver", 100)
    assert bytes.fromhex(row["hex"]) == b"came in"
    assert row["from"]["ip"] == "192.0.2.200"
    assert chains.counts("input") == ([1, 0] if link is NEAR else [0, 1])
    assert inject.left(near) == inject.left(far) == []


@statement("I3/martian")
def test_inbound_with_a_source_of_this_host_is_dropped(
    inject: Injector, calls: Calls, near: Wire
) -> None:
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", "in:0.0.0.0:4000")
    for source in (NEAR.guest_ip, FAR.guest_ip):
        packet = IP(src=source, dst=NEAR.guest_ip, id=15) / UDP(dport=4000) / b"martian"
        inject(built(packet), f"in:{NEAR.guest_ip}:0")
    # As the wire's: and what is not this host's gets through behind it.
    packet = IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=15) / UDP(dport=4000) / b"marker"
    inject(built(packet), f"in:{NEAR.guest_ip}:0")
    inject.left(near)
    assert calls.drain("receiver") == [b"marker"]


@statement("I4/any", "I3/inbound")
@pytest.mark.parametrize("link", [NEAR, FAR], ids=["eth1", "eth2"])
def test_forwarded_looking_packet_with_any_local_interface(
    inject: Injector, near: Wire, far: Wire, link: Any
) -> None:
    packet = built(IP(src=NEAR.host_ip, dst=FAR.host_ip, id=16, ttl=33) / UDP() / b"through")
    inject(packet, f"in:{link.guest_ip}:0")
    assert inject.left(far) == [hop(packet)], "forwarded, its TTL lowered"
    assert inject.left(near) == []


@statement("I5/checksum", "I5/length", "I5/rest")
def test_header_is_completed_and_the_rest_left(inject: Injector, near: Wire) -> None:
    options = b"\x94\x04\x00\x00"  # router alert (RFC 2113)
    udp = bytes(UDP(sport=1, dport=2, chksum=0xDEAD) / b"a wrong checksum of UDP's stays")
    packet = IP(src=NEAR.guest_ip, dst=NEAR.host_ip, ttl=3, tos=0x08, proto=17, flags="DF")
    packet.options = options
    header = bytearray(bytes(packet))
    header[2:4] = (7).to_bytes(2, "big")  # total length
    header[4:6] = (0x7777).to_bytes(2, "big")  # identification
    header[10:12] = (0xBEEF).to_bytes(2, "big")  # header checksum
    inject(bytes(header) + udp, "none")
    expected = IP(bytes(header) + udp)
    expected.len = len(header) + len(udp)
    del expected.chksum
    assert inject.left(near) == [bytes(expected)[: len(header)] + udp]


@statement("I5/identification")
@pytest.mark.parametrize("address", ["none", f"in:{NEAR.guest_ip}:0"], ids=["out", "in"])
def test_identification_is_filled_in_when_0(inject: Injector, far: Wire, address: str) -> None:
    packet = IP(src="192.0.2.200", dst=FAR.host_ip, ttl=20) / UDP() / b"which"
    packet.id = 0
    for _ in range(2):
        inject(built(packet), address)
    first, second = (IP(data) for data in inject.left(far))
    assert first.id != 0
    assert second.id not in (0, first.id)
    for each in (first, second):
        each.id, each.ttl = 0, 20
        del each.chksum
        assert bytes(each) == built(packet)


@statement("I5/fragment")
@pytest.mark.parametrize("header", [{"flags": "MF"}, {"frag": 2}], ids=["first", "last"])
def test_identification_of_a_fragment_stays_0(
    inject: Injector, near: Wire, header: dict[str, Any]
) -> None:
    packet = IP(src=NEAR.guest_ip, dst=NEAR.host_ip, proto=17, **header) / (b"x" * 16)
    packet.id = 0
    inject(built(packet), "none")
    assert inject.left(near) == [built(packet)]


@statement("I5/checksum", "I5/length", "S6/tag")
def test_tagged_packet_is_completed_too(traffic: Traffic, listen: Listen, chains: Chains) -> None:
    # Rubbish as header checksum, and as total length; the rest has to go on as it was.
    listener = listen(PORT, "--reinject", "--patch", "10:beef", "--patch", "2:0017")
    chains.append(PLACES[2].rule(f"DIVERT {PORT}"))
    flow = traffic.send("through", "udp")
    listener.next()
    assert traffic.arrived([flow]) == [flow.arrives_as()]
