# SPDX-License-Identifier: GPL-2.0-only
"""Ethernet frames and ARP, as bytes: what a wire has to know of every frame."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Collection
from dataclasses import dataclass

ETHERTYPE_ARP = 0x0806
BROADCAST = b"\xff" * 6

ARP_REQUEST = 1
ARP_REPLY = 2

# RFC 826 for Ethernet and IPv4: hardware and protocol type, their lengths, operation, sender's
# hardware and protocol address, target's; after the Ethernet header.
_ARP = struct.Struct("!6s6sHHHBBH6s4s6s4s")
# Ethernet's shortest frame, without the checksum.
SHORTEST = 60
# The headers of Ethernet, of IP without options, and of an ICMP echo.
_ETHERNET, _IP, _ECHO = 14, 20, 8


@dataclass(frozen=True)
class Frame:
    """One captured frame; `seconds` on the host's clock (time.time), `sent` by the harness."""

    seconds: float
    sent: bool
    data: bytes


@dataclass(frozen=True)
class Arp:
    """An ARP packet for Ethernet and IPv4, and the addresses of the frame around it."""

    destination: bytes
    operation: int
    sender_mac: bytes
    sender_ip: bytes
    target_mac: bytes
    target_ip: bytes

    def encode(self) -> bytes:
        """The whole frame."""
        fields = (1, 0x0800, 6, 4, self.operation)
        return _ARP.pack(
            self.destination,
            self.sender_mac,
            ETHERTYPE_ARP,
            *fields,
            self.sender_mac,
            self.sender_ip,
            self.target_mac,
            self.target_ip,
        ).ljust(SHORTEST, b"\0")


def parse_arp(frame: bytes) -> Arp | None:
    """The ARP packet in `frame`; None for anything else."""
    if len(frame) < _ARP.size or frame[12:14] != b"\x08\x06":
        return None
    (destination, _, _, hardware, protocol, hardware_length, length, operation, *rest) = (
        _ARP.unpack_from(frame)
    )
    if (hardware, protocol, hardware_length, length) != (1, 0x0800, 6, 4):
        return None
    return Arp(destination, operation, *rest)


def reply_to(request: Arp, mac: bytes) -> Arp:
    """The answer to `request` of the host that has the address asked for, and the card `mac`."""
    return Arp(
        destination=request.sender_mac,
        operation=ARP_REPLY,
        sender_mac=mac,
        sender_ip=request.target_ip,
        target_mac=request.sender_mac,
        target_ip=request.sender_ip,
    )


def echo_reply(frame: bytes, addresses: Collection[bytes], mac: bytes) -> bytes | None:
    """The answer to an ICMP echo request in `frame` of the host that has one of the `addresses`,
    and the card `mac`; None for anything else, a fragment, or a packet that is not whole.
    """
    packet = frame[_ETHERNET:]
    if len(packet) < _IP or frame[:6] != mac or frame[12:14] != b"\x08\x00":
        return None
    header, length = (packet[0] & 15) * 4, int.from_bytes(packet[2:4], "big")
    message = packet[header:length]
    # More fragments, or an offset: not whole.
    fragment = int.from_bytes(packet[6:8], "big") & 0x3FFF
    whole = packet[0] >> 4 == 4 and header >= _IP and len(packet) >= length and not fragment
    asks = packet[9] == 1 and len(message) >= _ECHO and message[:2] == b"\x08\x00"
    if not (whole and asks) or packet[16:20] not in addresses or checksum(message):
        return None
    answer = bytearray(message)
    answer[:4] = bytes(4)
    answer[2:4] = checksum(answer).to_bytes(2, "big")
    # A plain header: options were those of the question's way.
    size = (_IP + len(answer)).to_bytes(2, "big")
    first = bytearray(b"\x45" + packet[1:2] + size + packet[4:6])
    first += b"\0\0\x40\x01\0\0" + packet[16:20] + packet[12:16]
    first[10:12] = checksum(first).to_bytes(2, "big")
    return (frame[6:12] + mac + b"\x08\x00" + first + answer).ljust(SHORTEST, b"\0")


def checksum(data: bytes | bytearray) -> int:
    """The Internet checksum (RFC 1071) of data; 0 where it holds one that is right."""
    padded = bytes(data) + bytes(len(data) & 1)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def probe(mac: bytes, ip: str) -> Arp:
    """A question for `ip` from a card without an address (RFC 2131, 5227).

    2.2.12 answers it without learning anything from it (net/ipv4/arp.c, `sip == 0`).
    """
    return Arp(BROADCAST, ARP_REQUEST, mac, bytes(4), bytes(6), ip_bytes(ip))


def mac_bytes(mac: str) -> bytes:
    """The six bytes of `52:54:00:00:01:01`."""
    return bytes.fromhex(mac.replace(":", ""))


def ip_bytes(ip: str) -> bytes:
    """The four bytes of a dotted address."""
    return ipaddress.IPv4Address(ip).packed


def destination_mac(ip: str, neighbour: str) -> str:
    """The Ethernet address for a packet to `ip` on a wire whose only neighbour is `neighbour`.

    Groups have an address of their own (RFC 1112); 255.255.255.255 and what ends in .255, which in
    the test network is a wire's broadcast address, go to all.
    """
    address = ipaddress.IPv4Address(ip)
    if address.is_multicast:
        group = int(address) & 0x7FFFFF
        return f"01:00:5e:{group >> 16:02x}:{group >> 8 & 0xFF:02x}:{group & 0xFF:02x}"
    if int(address) & 0xFF == 0xFF:
        return "ff:ff:ff:ff:ff:ff"
    return neighbour
