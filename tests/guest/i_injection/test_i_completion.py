# SPDX-License-Identifier: GPL-2.0-only
"""I. Injection: what the kernel fills in, and what it leaves as it is (I5)."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers.inet import IP, UDP

from divert_reference.chains import Chains
from divert_reference.divert import Injector, built
from divert_reference.fixtures import Divert, Listen
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, PLACES, Place, Traffic
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire

statement = pytest.mark.statement
places = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)

PORT = 1234


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
@places
def test_tagged_packet_is_completed_too(
    place: Place, traffic: Traffic, listen: Listen, chains: Chains
) -> None:
    # Rubbish as header checksum, and as total length; the rest has to go on as it was.
    listener = listen(PORT, "--reinject", "--patch", "10:beef", "--patch", "2:0017")
    chains.append(place.rule(f"DIVERT {PORT}"))
    flow = traffic.send(place.path, "udp")
    taken = listener.next()
    assert traffic.arrived([flow]) == [taken.data if place.path == "out" else flow.arrives_as()]


@statement("I5/identification", "I5/fragment")
@places
def test_identification_of_what_is_given_back(
    place: Place, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    socket = divert(PORT)
    chains.append(place.rule(f"DIVERT {PORT}"))
    flow = traffic.send(place.path, "udp")
    taken = socket.take()
    cleared = IP(taken.data)
    cleared.id = 0
    del cleared.chksum
    for _ in range(2):
        socket.reinject(taken, built(cleared))
    first, second = (IP(data) for data in traffic.arrived([flow]))
    assert first.id not in (0, second.id)
    assert second.id != 0
    for each in (first, second):
        each.id = 0
        del each.chksum
    assert bytes(first) == bytes(second)
    assert bytes(first[UDP]) == bytes(IP(taken.data)[UDP])


@statement("I6/large", "I3/inbound")
def test_largest_packet(guest: Machine, divert: Divert, calls: Calls, shell: Shell) -> None:
    """65,535 bytes to this host itself: no interface's MTU is asked."""
    shell.run("echo 262144 > /proc/sys/net/core/rmem_max")
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("setsockopt", "receiver", "socket", "rcvbuf", "int:262144")
    calls.ok("bind", "receiver", "in:0.0.0.0:4000")
    body = bytes(range(251)) * 260 + bytes(65535 - 28 - 251 * 260)
    whole = IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=5) / UDP(sport=1, dport=4000) / body
    socket = divert(PORT)
    assert len(built(whole)) == 65535
    socket.inject(built(whole), f"in:{NEAR.guest_ip}:0")
    guest.barrier()
    assert calls.drain("receiver") == [body]
