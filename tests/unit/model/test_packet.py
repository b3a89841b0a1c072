# SPDX-License-Identifier: GPL-2.0-only
"""The model's packets: their bytes, and what of them may be any."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Raw

from harness.model import packet
from harness.model.packet import OTHER, Packet

NEAR, HERE = "192.0.2.2", "192.0.2.1"


def made(protocol: int, ports: tuple[int, int], payload: bytes = b"12345678") -> Packet:
    body = packet.body(protocol, NEAR, HERE, ports, payload)
    return Packet(NEAR, HERE, protocol, body, identification=0x1234, tos=8)


def test_bytes_are_those_that_scapy_makes() -> None:
    header = IP(src=NEAR, dst=HERE, id=0x1234, tos=8)
    others = {
        (packet.UDP, (3000, 4000)): header / UDP(sport=3000, dport=4000),
        (packet.ICMP, (0, 0)): header / ICMP(type=0),
        (packet.TCP, (3000, 9)): header / TCP(sport=3000, dport=9, seq=7, window=512, flags="S"),
    }
    for (protocol, ports), theirs in others.items():
        assert made(protocol, ports).data == bytes(theirs / Raw(b"12345678"))
    assert Packet.of(made(OTHER, (0, 0)).data) == made(OTHER, (0, 0))


def test_an_unknown_id_may_be_any_and_nothing_else_may() -> None:
    sent = made(packet.UDP, (1, 2))
    unknown = sent.changed(identification=None)
    assert unknown.is_seen_as(sent.data)
    assert not sent.is_seen_as(sent.changed(identification=7).data)
    assert not unknown.is_seen_as(sent.changed(ttl=63).data)
    wrong = bytearray(sent.data)
    wrong[10] ^= 1
    assert not unknown.is_seen_as(bytes(wrong)), "a wrong checksum"
    assert not unknown.is_seen_as(b"")


def test_either_zero_is_a_right_checksum() -> None:
    for identification in range(0x10000):
        sent = made(packet.UDP, (1, 2)).changed(identification=identification)
        if sent.data[10:12] == b"\0\0":
            assert sent.is_seen_as(sent.data[:10] + b"\xff\xff" + sent.data[12:])
            return
    pytest.fail("no ID comes to 0")


def test_what_rules_see_of_fragments() -> None:
    whole = made(packet.TCP, (1, 2))
    assert whole.ports == (1, 2) and whole.is_syn and not whole.is_fragment
    later = whole.changed(fragment=3)
    assert later.is_fragment and later.ports == (0xFFFF, 0xFFFF) and not later.is_syn
    assert whole.changed(fragment=1).is_suspect
    short = whole.changed(body=whole.body[:8])
    assert short.is_fragment and not short.is_suspect
    assert short.changed(fragment=packet.MORE_FRAGMENTS).is_suspect
