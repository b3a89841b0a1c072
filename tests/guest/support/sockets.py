# SPDX-License-Identifier: GPL-2.0-only
"""Divert sockets driven call by call: opening them, filling their queues, packets for both."""

from __future__ import annotations

import struct
from typing import Any

from scapy.layers.inet import IP

from divert_reference.chains import Chains
from divert_reference.programs import Calls
from divert_reference.traffic import NEAR, NUMBERS, OTHER
from harness.network.frames import checksum

# The smallest queue that has one packet of this size has no room for any other.
LARGEST = 65535
SMALL = 28
# So many small packets fit no new socket's queue.
_MORE = 2000
MEMINFO, MEMINFO_BYTES = 55, 36  # SO_MEMINFO: numbers, of which these are the first two
# No packet of Traffic's is of this protocol, which only fillers and single packets here are.
FILLER = 77
FILLER_PORT = 40000


def bound(calls: Calls, name: str, port: int) -> None:
    """Open a divert socket by this name, and bind it."""
    calls.ok("socket", name, "inet", "raw", "divert")
    calls.ok("bind", name, f"in:0.0.0.0:{port}")


def smallest(calls: Calls, name: str) -> None:
    """Give a socket the smallest queue that it can have: room for one packet of any size."""
    calls.ok("setsockopt", name, "socket", "rcvbuf", "int:1")


def account(calls: Calls, name: str) -> tuple[int, int]:
    """What a socket's queue takes of the kernel's memory, and what it may (a kernel of today)."""
    row = calls.ok("getsockopt", name, "socket", MEMINFO, MEMINFO_BYTES)
    used, most = struct.unpack_from("=II", bytes.fromhex(row["hex"]))
    return used, most


def ipv4(protocol: int = OTHER, body: bytes = b"", **fields: Any) -> bytes:
    """A packet from wire 0's host to the guest, complete unless `fields` says otherwise."""
    values = {"src": NEAR.host_ip, "dst": NEAR.guest_ip, "id": 0x4321, "ttl": 61, **fields}
    return bytes(IP(proto=protocol, **values) / body)


def received(row: dict[str, Any]) -> bytes:
    """The bytes in the answer of a call that receives."""
    return bytes.fromhex(row["hex"])


def hexed(data: bytes) -> str:
    """Bytes as a word of a call."""
    return f"hex:{data.hex()}"


class Filler:
    """A divert socket that injects packets of a protocol of its own, as received by eth1."""

    def __init__(self, calls: Calls, chains: Chains, port: int) -> None:
        """A rule diverts its packets to `port`."""
        self._calls = calls
        self._port = port
        bound(calls, "filler", FILLER_PORT)
        chains.append(f"input -i {NEAR.interface} -p {FILLER} -j DIVERT {port}")

    def send(self, length: int, times: int = 1) -> bytes:
        """Inject packets of this length; each is then queued, or dropped for a full queue.

        Returns the packet.
        """
        # A pattern of up to 32 bytes is repeated, so that a long packet is a short line.
        pattern = _header(length) + bytes(range(1, 13))
        packets = f"fill:{length}:{pattern.hex()}"
        inbound = f"in:{NEAR.guest_ip}:0"
        row = self._calls("repeat", times, "sendto", "filler", packets, inbound)
        assert row["succeeded"] == times, row
        return (pattern * (length // len(pattern) + 1))[:length]

    def fits(self) -> int:
        """For how many SMALL packets a new socket's queue has room; none has the port yet."""
        bound(self._calls, "measured", self._port)
        self.send(SMALL, _MORE)
        row = self._calls("repeat", _MORE, "recvfrom", "measured", LARGEST, "dontwait")
        self._calls.ok("close", "measured")
        assert 0 < row["succeeded"] < _MORE
        return int(row["succeeded"])


def _header(length: int) -> bytes:
    packet = IP(ipv4(FILLER))
    packet.len = length
    del packet.chksum
    return bytes(packet)[:20]


def transport_is_right(data: bytes) -> bool:
    """Whether the transport checksum of a whole TCP, UDP or ICMP packet is valid, and there."""
    header = (data[0] & 15) * 4
    segment = data[header:]
    protocol = data[9]
    if protocol != NUMBERS["icmp"]:
        segment = data[12:20] + struct.pack("!BBH", 0, protocol, len(segment)) + segment
    if protocol == NUMBERS["udp"] and data[header + 6 : header + 8] == b"\0\0":
        return False
    return checksum(segment + b"\0" * (len(segment) % 2)) == 0
