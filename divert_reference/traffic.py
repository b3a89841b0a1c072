# SPDX-License-Identifier: GPL-2.0-only
"""Packets of every protocol on every path through the guest, and what of them arrived.

Paths: `in` is from wire 0's host to the guest itself, `through` from wire 0's host to wire 1's,
`out` from a program in the guest to wire 0's host. A place is a path and a chain on it.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from divert_reference.chains import Chains
from divert_reference.programs import Calls
from harness.guest.machine import Machine
from harness.network.addresses import LINKS
from harness.network.frames import checksum
from harness.network.packets import inet

NEAR, FAR = LINKS
PROTOCOLS = ("icmp", "udp", "tcp", "other")
# No stack knows it; 2.2.12 has no header for it.
OTHER = 99
UDP_PORT = 4000
TCP_PORT = 4001
# Identifications begin here; what the guest's own packets carry is smaller in a test's time.
FIRST_ID = 0x5100

NUMBERS = {"icmp": 1, "udp": 17, "tcp": 6, "other": OTHER}


@dataclass(frozen=True)
class Place:
    """A chain on a path. `match` confines a rule there to the packets of that path."""

    name: str
    chain: str
    path: str
    match: str
    # What S5 says of the packets that are taken there.
    interface: str

    def rule(self, target: str) -> str:
        """A rule for Chains.append."""
        return f"{self.chain} {self.match} -j {target}"


PLACES = (
    Place("input", "input", "in", f"-i {NEAR.interface}", NEAR.guest_ip),
    Place("input-through", "input", "through", f"-i {NEAR.interface}", NEAR.guest_ip),
    Place("forward", "forward", "through", f"-i {FAR.interface}", NEAR.guest_ip),
    Place("output-through", "output", "through", f"-i {FAR.interface}", "0.0.0.0"),
    Place("output", "output", "out", f"-i {NEAR.interface}", "0.0.0.0"),
)


@dataclass(frozen=True)
class Flow:
    """One packet on its way; `sent` is the packet as it came in by wire, `body` what tells it."""

    path: str
    protocol: str
    body: bytes
    sent: bytes = b""
    error: str = ""

    def at(self, chain: str) -> bytes:
        """The packet as it is at a chain, for one that came in by wire."""
        if self.path == "through" and chain != "input":
            return hop(self.sent)
        return self.sent

    def arrives_as(self) -> bytes:
        """The packet as it has to arrive at its destination, for one that came in by wire."""
        return hop(self.sent) if self.path == "through" else self.sent


def hop(data: bytes) -> bytes:
    """The packet one router on: TTL lowered by one, header checksum anew."""
    packet = inet().IP(data)
    packet.ttl -= 1
    del packet.chksum
    return bytes(packet)


def header_is_right(data: bytes) -> bool:
    """Whether a packet's total length and header checksum are valid."""
    header = data[: (data[0] & 15) * 4]
    return checksum(header) == 0 and int.from_bytes(data[2:4], "big") == len(data)


class Traffic:
    """Sends flows, each with an identification and a body of its own, and looks for them."""

    def __init__(self, guest: Machine, calls: Calls) -> None:
        self.guest = guest
        self.calls = calls
        self._numbers = itertools.count()
        self._sockets: set[str] = set()

    def send(self, path: str, protocol: str) -> Flow:
        """Send one packet on a path. For `out`, `error` is what the sender was told."""
        number = next(self._numbers)
        body = f"flow {number:05d} {protocol:5}".encode()
        if path == "out":
            return self._send_out(protocol, body, number)
        if path == "in":
            self._observe(protocol)
        packet = self.packet(path, protocol, body, number)
        self.guest.wires[0].send(packet)
        return Flow(path, protocol, body, sent=bytes(packet))

    @staticmethod
    def packet(path: str, protocol: str, body: bytes, number: int) -> Any:
        """A packet of wire 0's host, complete."""
        destination = NEAR.guest_ip if path == "in" else FAR.host_ip
        packet = inet().IP(src=NEAR.host_ip, dst=destination, id=FIRST_ID + number, ttl=61)
        match protocol:
            case "icmp":
                packet = packet / inet().ICMP(type=8, id=77, seq=number) / body
            case "udp":
                packet = packet / inet().UDP(sport=3000, dport=UDP_PORT) / body
            case "tcp":
                packet = (
                    packet
                    / inet().TCP(sport=3000 + number, dport=TCP_PORT, seq=7, flags="S")
                    / body
                )
            case _:
                packet = inet().IP(bytes(packet / body))
                packet.proto = OTHER
                del packet.chksum
        return inet().IP(bytes(packet))

    def arrived(self, flows: list[Flow]) -> list[bytes]:
        """What arrived of these flows, in the order of their list, copies beside each other.

        For `in` what raw sockets in the guest received, for the other paths what left by wire; all
        that was under way when this is called has arrived when it looks.
        """
        self.guest.barrier()
        found: list[bytes] = []
        seen = {path: self._seen(path) for path in {flow.path for flow in flows}}
        for flow in flows:
            found += [data for data in seen[flow.path] if is_of(flow, data)]
        return found

    def control(self, chains: Chains, path: str, lost: Sequence[Flow] = ()) -> None:
        """See that without any rule a packet goes this way, by the looks that found none of `lost`.

        The last that a test does which is to show that something does not appear: else it would
        pass as well where nothing can.
        """
        chains.flush()
        flow = self.send(path, "udp")
        found = self.arrived([*lost, flow])
        assert [flow.body in data for data in found] == [True], "nothing at all is seen on this way"

    def _seen(self, path: str) -> list[bytes]:
        if path == "in":
            sockets = [f"raw-{name}" for name in PROTOCOLS if f"raw-{name}" in self._sockets]
            return [data for name in sockets for data in self.calls.drain(name)]
        return ip_packets(self.guest.wires[1 if path == "through" else 0].captured())

    def _observe(self, protocol: str) -> None:
        # A raw socket gets a copy of what the stack delivers, header and all.
        name = f"raw-{protocol}"
        if name not in self._sockets:
            self.calls.ok("socket", name, "inet", "raw", NUMBERS[protocol])
            # To this address alone: else it sees the SSH session too, and each look makes more.
            self.calls.ok("bind", name, f"in:{NEAR.guest_ip}:0")
            self._sockets.add(name)

    def _send_out(self, protocol: str, body: bytes, number: int) -> Flow:
        name = f"out-{protocol}"
        calls = self.calls
        if protocol == "tcp":
            # Nobody answers, so it takes a socket of its own; the source port tells it.
            name, port = f"out-tcp-{number}", 5000 + number
            calls.ok("socket", name, "inet", "stream", 0)
            calls.ok("bind", name, f"in:0.0.0.0:{port}")
            calls.ok("mode", name, "nonblock")
            error = calls.error("connect", name, f"in:{NEAR.host_ip}:{TCP_PORT}")
            # Else it sends a second SYN in three seconds, which on a busy host is within a test.
            calls.ok("close", name)
            return Flow("out", protocol, struct.pack("!HH", port, TCP_PORT), error=error)
        if name not in self._sockets:
            kind = ("dgram", 17) if protocol == "udp" else ("raw", NUMBERS[protocol])
            calls.ok("socket", name, "inet", *kind)
            self._sockets.add(name)
        data = bytes(inet().ICMP(type=8, id=78, seq=number) / body) if protocol == "icmp" else body
        port = UDP_PORT if protocol == "udp" else 0
        row = calls("sendto", name, f"hex:{data.hex()}", f"in:{NEAR.host_ip}:{port}")
        return Flow("out", protocol, body, error=row.get("error", ""))


def is_of(flow: Flow, data: bytes) -> bool:
    """Whether a packet is of a flow: by protocol, and by the ports or the body."""
    payload = data[(data[0] & 15) * 4 :]
    if data[9] != NUMBERS[flow.protocol]:
        return False
    if flow.path == "out" and flow.protocol == "tcp":
        return payload[:4] == flow.body
    # An answer of the guest's, as an echo reply, carries the body too.
    return flow.body in payload and (data[9] != 1 or payload[0] == 8)


def ip_packets(frames: Any) -> list[bytes]:
    """The IP packets in captured frames, without Ethernet's header and padding."""
    return [
        frame.data[14 : 14 + int.from_bytes(frame.data[16:18], "big")]
        for frame in frames
        if frame.data[12:14] == b"\x08\x00"
    ]
