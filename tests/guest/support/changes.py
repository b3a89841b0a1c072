# SPDX-License-Identifier: GPL-2.0-only
"""What programs make of a packet before they give it back, with right sums."""

from __future__ import annotations

from scapy.layers.inet import IP, UDP

from divert_reference.divert import built


def rewritten(data: bytes, **fields: str) -> bytes:
    """A packet with other addresses, its checksums right."""
    packet = IP(data)
    for name, value in fields.items():
        setattr(packet, name, value)
    del packet[UDP].chksum
    del packet.chksum
    return built(packet)


def with_data(data: bytes) -> bytes:
    """A datagram with other data, and right sums."""
    packet = IP(data)
    packet[UDP].remove_payload()
    del packet.chksum, packet.len, packet[UDP].chksum, packet[UDP].len
    return built(packet / b"changed on its way")


def changed(data: bytes, old: bytes, new: bytes) -> bytes:
    """A packet with other data, and right sums."""
    return _summed(IP(data.replace(old, new)))


def readdressed(data: bytes, to: str) -> bytes:
    """A packet to another host, with right sums."""
    packet = IP(data)
    packet.dst = to
    return _summed(packet)


def _summed(packet: IP) -> bytes:
    del packet.chksum, packet.payload.chksum
    return bytes(packet)
