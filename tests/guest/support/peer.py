# SPDX-License-Identifier: GPL-2.0-only
"""The far end of TCP connections with the guest, segment by segment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from scapy.layers.inet import IP, TCP

from divert_reference.programs import Calls
from divert_reference.traffic import NEAR, ip_packets
from harness.guest.machine import Machine
from harness.network.wire import Wire

# The guest's port for `serve`.
SERVICE = 8000
MSS = [("MSS", 1460)]


class Peer:
    """The far end of one TCP connection with the guest, on wire 0."""

    def __init__(self, wire: Wire, port: int, guest_port: int) -> None:
        self.wire = wire
        self.port, self.guest_port = port, guest_port
        self.seq, self.ack = 1000, 0

    def send(self, flags: str, options: Any = (), body: bytes = b"") -> None:
        """Send a segment; the next one follows it."""
        ports = {"sport": self.port, "dport": self.guest_port}
        header = TCP(**ports, seq=self.seq, ack=self.ack, flags=flags, options=list(options))
        self.wire.send(IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=self.seq) / header / body)
        self.seq += len(body) + len({*flags} & {*"SF"})

    def expect(self, flags: str) -> Any:
        """The guest's next segment, which has these flags; taken in, and not yet acknowledged."""

        def ours(packet: Any) -> bool:
            return (
                packet.haslayer(TCP)
                and packet[TCP].dport == self.port
                and (not self.ack or packet[TCP].seq == self.ack)
                and str(packet[TCP].flags) == flags
            )

        packet = self.wire.expect(ours, what=f"segment with {flags}")[IP]
        segment = packet[TCP]
        length = packet.len - packet.ihl * 4 - segment.dataofs * 4
        self.ack = segment.seq + length + len({*flags} & {*"SF"})
        return packet


def serve(calls: Calls) -> None:
    """The guest listens for one connection."""
    calls.ok("socket", "server", "inet", "stream", 0)
    calls.ok("setsockopt", "server", "socket", "reuseaddr", "int:1")
    calls.ok("bind", "server", f"in:{NEAR.guest_ip}:{SERVICE}")
    calls.ok("listen", "server", 5)


def connection_from(calls: Calls, near: Wire, port: int) -> None:
    """Connect to the guest, which sends three segments of data and closes."""
    peer = Peer(near, port, SERVICE)
    peer.send("S", MSS)
    peer.expect("SA")
    peer.send("A")
    calls.ok("accept", "server", "c")
    for size in (1, 1460, 333):
        calls.ok("send", "c", f"fill:{size}:{0x616263 + size:06x}")
        peer.expect("PA")
        peer.send("A")
    calls.ok("close", "c")
    peer.expect("FA")
    peer.send("FA")
    peer.expect("A")


def connected_to(calls: Calls, near: Wire, port: int) -> Peer:
    """The guest's `client` is connected to us."""
    calls.ok("socket", "client", "inet", "stream", 0)
    calls.ok("bind", "client", f"in:{NEAR.guest_ip}:{port}")
    calls.ok("mode", "client", "nonblock")
    assert calls.error("connect", "client", f"in:{NEAR.host_ip}:{port}") == "EINPROGRESS"
    peer = Peer(near, port, port)
    peer.expect("S")
    peer.send("SA", MSS)
    peer.expect("A")
    assert calls("poll", "client", "out", 2000)["result"] == 1
    return peer


def connection_to(calls: Calls, near: Wire, port: int) -> None:
    """The guest connects to us, sends, and is reset."""
    peer = connected_to(calls, near, port)
    calls.ok("send", "client", "text:to-you")
    peer.expect("PA")
    peer.send("RA")


def shape(data: bytes) -> tuple[Any, ...]:
    """What is the same in the segments of two connections."""
    packet = IP(data)
    segment = packet[TCP]
    options = [name for name, _ in segment.options]
    body = bytes(segment.payload)
    return (packet.tos, packet.ttl, str(packet.flags), str(segment.flags), options, body)


def shapes(packets: Iterable[bytes]) -> list[tuple[Any, ...]]:
    """The shape of each segment, but once if it was sent again; a kernel of today is quick to."""
    seen: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for number, data in enumerate(packets):
        segment = IP(data)[TCP]
        takes_room = bytes(segment.payload) or segment.flags.S or segment.flags.F
        key = (segment.seq, str(segment.flags), bytes(segment.payload)) if takes_room else (number,)
        seen.setdefault(key, shape(data))
    return list(seen.values())


def segments(guest: Machine, near: Wire, port: int) -> list[bytes]:
    """The guest's segments to a port of ours, as they left."""
    guest.barrier()
    return [data for data in ip_packets(near.captured()) if IP(data)[TCP].dport == port]


def completed(taken: list[bytes], given_back: list[bytes]) -> list[bytes]:
    """`taken`, each without an ID with that of its like in `given_back`: I5 has it filled in."""
    return [
        with_id(data, left) if data[4:6] == bytes(2) else data
        for data, left in zip(taken, given_back, strict=True)
    ]


def with_id(data: bytes, other: bytes) -> bytes:
    """`data` with the ID of `other`."""
    packet = IP(data)
    packet.id = IP(other).id
    del packet.chksum
    return bytes(packet)
