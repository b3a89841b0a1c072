# SPDX-License-Identifier: GPL-2.0-only
"""Fragments told in letters, of a protocol that no stack knows, and what is received of them."""

from __future__ import annotations

from scapy.layers.inet import IP

from divert_reference.programs import Calls
from divert_reference.traffic import NEAR, OTHER
from tests.guest.support.datagrams import piece

# A letter stands for so many bytes: what an offset counts.
UNIT = 8


def fragments(text: str, number: int, destination: str = NEAR.guest_ip) -> list[bytes]:
    """The packets that a text tells of: "3:BBB+" begins at three units, with more to follow."""
    packets = []
    for word in text.split():
        offset, letters = word.split(":")
        letters, more = letters.removesuffix("+"), letters.endswith("+")
        header = IP(src=NEAR.host_ip, dst=destination, id=number, ttl=50, proto=OTHER, len=20)
        start = int(offset) * UNIT
        whole = bytes(header) + bytes(start) + spelled(letters)
        packets.append(piece(whole, start, start + len(letters) * UNIT, more))
    return packets


def spelled(letters: str) -> bytes:
    """What letters stand for."""
    return b"".join(letter.encode() * UNIT for letter in letters)


def open_raw(calls: Calls) -> None:
    """A raw socket of the guest's that receives what the stack delivers."""
    calls.ok("socket", "receiver", "inet", "raw", OTHER)
    calls.ok("bind", "receiver", f"in:{NEAR.guest_ip}:0")


def delivered(calls: Calls) -> dict[int, bytes]:
    """What it received, without headers, by identification; none twice."""
    packets = calls.drain("receiver")
    found = {IP(data).id: data[20:] for data in packets}
    assert len(found) == len(packets), "delivered twice"
    for data in packets:
        assert len(data) == int.from_bytes(data[2:4], "big")
    return found
