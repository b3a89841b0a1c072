# SPDX-License-Identifier: GPL-2.0-only
"""What is known of a packet when its journey has ended, so that two of them can be compared."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from scapy.layers.l2 import Ether

from tests.guest.ipsec import ESP

_OF_IP, _OF_VLAN = b"\x08\x00", b"\x81\x00"


@dataclass
class Outcome:
    """What is known of a packet when its journey has ended."""

    said: str = ""
    wires: list[list[bytes]] = field(default_factory=list)
    received: list[dict[str, Any]] = field(default_factory=list)
    counts: dict[str, list[int]] = field(default_factory=dict)
    connections: list[str] = field(default_factory=list)

    def arrived(self, where: str) -> bool:
        """Whether it came there: near, far, here, or there."""
        if where in ("here", "there"):
            return bool(self.received)
        return bool(self.wires[("near", "far").index(where)])

    def differences(self, other: Outcome) -> list[str]:
        """In what this one is not as the other."""
        found = []
        for name, mine in vars(self).items():
            its = getattr(other, name)
            if mine != its:
                found.append(f"{name}: {_shown(mine)} is not {_shown(its)}")
        return found


def _shown(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"{Ether(value).summary()} {value.hex()}"
    if isinstance(value, Mapping):
        return {key: _shown(each) for key, each in value.items()}
    return [_shown(each) for each in value] if isinstance(value, list) else value


def told(frame: bytes) -> bytes | None:
    """A frame's link header, VLAN included, and its packet as `same` has it; None: it is not IP.

    Nor is an IGMP report counted: whoever joins a group sends some again, when it likes.
    """
    begin = 18 if frame[12:14] == _OF_VLAN else 14
    packet = frame[begin:]
    if frame[begin - 2 : begin] != _OF_IP or packet[9] == socket.IPPROTO_IGMP:
        return None
    # Without what pads it.
    return frame[:begin] + same(packet[: int.from_bytes(packet[2:4], "big")])


def same(packet: bytes) -> bytes:
    """A packet without what rightly differs: the identification, sums with it, ESP's number."""
    data = bytearray(packet)
    data[4:6] = data[10:12] = bytes(2)
    header = (data[0] & 15) * 4
    if data[9] == ESP:
        data[header + 4 : header + 8] = bytes(4)
        if data[header + 8] == 0x45:
            data[header + 8 :] = same(bytes(data[header + 8 :]))
    elif data[9] == socket.IPPROTO_IPIP:
        data[header:] = same(bytes(data[header:]))
    return bytes(data)


def about(control: str) -> Iterator[tuple[int, int, str]]:
    """What options have added to a datagram: level, type, value."""
    data = bytes.fromhex(control)
    while len(data) >= 12:
        length, level, kind = struct.unpack_from("=III", data)
        yield level, kind, data[12:length].hex()
        data = data[(length + 3) & ~3 :]
