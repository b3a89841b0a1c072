# SPDX-License-Identifier: GPL-2.0-only
"""Frames as bytes mean what scapy says that they mean."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import ARP, Ether

from harness.network import frames

MAC = "52:54:00:00:01:02"
GUEST = "52:54:00:00:01:01"


def test_arp_is_parsed_as_scapy_builds_it() -> None:
    packet = Ether(src=GUEST, dst="ff:ff:ff:ff:ff:ff") / ARP(
        op=1, hwsrc=GUEST, psrc="192.0.2.1", pdst="192.0.2.2"
    )
    arp = frames.parse_arp(bytes(packet))
    assert arp == frames.Arp(
        destination=frames.BROADCAST,
        operation=frames.ARP_REQUEST,
        sender_mac=frames.mac_bytes(GUEST),
        sender_ip=frames.ip_bytes("192.0.2.1"),
        target_mac=bytes(6),
        target_ip=frames.ip_bytes("192.0.2.2"),
    )


def test_reply_is_built_as_scapy_parses_it() -> None:
    request = frames.parse_arp(
        bytes(Ether(src=GUEST) / ARP(hwsrc=GUEST, psrc="192.0.2.1", pdst="192.0.2.2"))
    )
    assert request is not None
    reply = frames.reply_to(request, frames.mac_bytes(MAC)).encode()
    packet = Ether(reply)
    assert len(reply) == frames.SHORTEST
    assert (packet.src, packet.dst) == (MAC, GUEST)
    assert (packet[ARP].op, packet[ARP].hwsrc, packet[ARP].psrc) == (2, MAC, "192.0.2.2")
    assert (packet[ARP].hwdst, packet[ARP].pdst) == (GUEST, "192.0.2.1")


def test_probe_has_no_sender_address() -> None:
    packet = Ether(frames.probe(b"\x02\xba\x22\0\0\1", "192.0.2.1").encode())
    assert (packet[ARP].op, packet[ARP].psrc, packet[ARP].pdst) == (1, "0.0.0.0", "192.0.2.1")
    assert (packet.src, packet.dst) == ("02:ba:22:00:00:01", "ff:ff:ff:ff:ff:ff")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 13,
        bytes(Ether(dst=MAC) / IP(dst="192.0.2.2") / UDP()),
        bytes(Ether(dst=MAC) / ARP())[:30],
        bytes(Ether(dst=MAC) / ARP(hwtype=6)),
    ],
)
def test_anything_else_is_no_arp(data: bytes) -> None:
    assert frames.parse_arp(data) is None


@pytest.mark.parametrize(
    ("ip", "mac"),
    [
        ("192.0.2.1", GUEST),
        ("198.51.100.2", GUEST),
        ("224.0.0.1", "01:00:5e:00:00:01"),
        ("239.255.129.3", "01:00:5e:7f:81:03"),
        ("255.255.255.255", "ff:ff:ff:ff:ff:ff"),
        ("192.0.2.255", "ff:ff:ff:ff:ff:ff"),
    ],
)
def test_destination_of_a_packet(ip: str, mac: str) -> None:
    assert frames.destination_mac(ip, GUEST) == mac


def _echo(**changes: object) -> Ether:
    ip = {"src": "192.0.2.1", "dst": "192.0.2.2", "tos": 4, "id": 7, **changes}
    return Ether(src=GUEST, dst=MAC) / IP(**ip) / ICMP(id=3, seq=4) / b"odd"


def test_echo_reply_is_that_of_the_host_asked() -> None:
    reply = frames.echo_reply(bytes(_echo()), {frames.ip_bytes("192.0.2.2")}, frames.mac_bytes(MAC))
    assert reply is not None
    seen = Ether(reply)
    assert (seen.src, seen.dst, len(reply)) == (MAC, GUEST, frames.SHORTEST)
    expected = IP(src="192.0.2.2", dst="192.0.2.1", tos=4, id=7, ttl=64) / ICMP(type=0, id=3, seq=4)
    assert bytes(seen[IP])[: seen[IP].len] == bytes(expected / b"odd")


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        bytes(_echo())[:30],
        bytes(_echo(dst="192.0.2.3")),
        bytes(_echo(flags="MF")),
        bytes(_echo(frag=3)),
        bytes(_echo(len=27)),
        bytes(Ether(src=GUEST, dst=MAC) / IP(dst="192.0.2.2") / ICMP(type=0)),
        bytes(Ether(src=GUEST, dst=MAC) / IP(dst="192.0.2.2") / ICMP(chksum=1)),
        bytes(Ether(src=GUEST, dst=GUEST) / IP(dst="192.0.2.2") / ICMP()),
        bytes(Ether(src=GUEST, dst=MAC) / IP(dst="192.0.2.2") / UDP(dport=8)),
    ],
)
def test_anything_else_has_no_echo_reply(frame: bytes) -> None:
    own = {frames.ip_bytes("192.0.2.2")}
    assert frames.echo_reply(frame, own, frames.mac_bytes(MAC)) is None
