# SPDX-License-Identifier: GPL-2.0-only
"""S7. What is read is a complete packet: this host's TCP, whose headers the stack ends late."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers.inet import IP, TCP

from harness.machine import Machine
from harness.shell import Shell
from harness.wire import Wire
from tests.guest.chains import Chains
from tests.guest.conftest import Listen
from tests.guest.programs import Calls
from tests.guest.sockets import bound, received, transport_is_right
from tests.guest.traffic import NEAR, header_is_right, ip_packets

statement = pytest.mark.statement

PORT = 1234
SERVICE = 8000
RULE = f"output -i {NEAR.interface} -p TCP -j DIVERT {PORT}"
MSS = [("MSS", 1460)]


class Peer:
    """The far end of one TCP connection with the guest, on wire 0."""

    def __init__(self, wire: Wire, port: int, guest_port: int) -> None:
        self.wire = wire
        self.port, self.guest_port = port, guest_port
        self.seq, self.ack = 1000, 0

    def send(self, flags: str, options: Any = ()) -> None:
        """Send a segment without data."""
        ports = {"sport": self.port, "dport": self.guest_port}
        header = TCP(**ports, seq=self.seq, ack=self.ack, flags=flags, options=list(options))
        self.wire.send(IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=self.seq) / header)
        self.seq += len({*flags} & {*"SF"})

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


def connection_to(calls: Calls, near: Wire, port: int) -> None:
    """The guest connects to us, sends, and is reset."""
    calls.ok("socket", "client", "inet", "stream", 0)
    calls.ok("bind", "client", f"in:{NEAR.guest_ip}:{port}")
    calls.ok("mode", "client", "nonblock")
    assert calls.error("connect", "client", f"in:{NEAR.host_ip}:{port}") == "EINPROGRESS"
    peer = Peer(near, port, port)
    peer.expect("S")
    peer.send("SA", MSS)
    peer.expect("A")
    assert calls("poll", "client", "out", 2000)["result"] == 1
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


def segments(guest: Machine, near: Wire, port: int) -> list[bytes]:
    """The guest's segments to a port of ours, as they left."""
    guest.barrier()
    return [data for data in ip_packets(near.captured()) if IP(data)[TCP].dport == port]


@pytest.mark.parametrize(
    "connection",
    [
        pytest.param(connection_from, marks=statement("S7/syn-ack", "S7/tcp", "S7/transport")),
        pytest.param(connection_to, marks=statement("S7/tcp", "S7/transport")),
    ],
)
@pytest.mark.parametrize("discovery", ["want", "dont"])
def test_segments_are_taken_as_they_would_have_left(
    connection: Any,
    discovery: str,
    guest: Machine,
    shell: Shell,
    calls: Calls,
    near: Wire,
    chains: Chains,
    listen: Listen,
) -> None:
    """With and without path MTU discovery, which sets DF after the chain."""
    no_discovery = {"want": 0, "dont": 1}[discovery]
    shell.check(f"echo {no_discovery} >/proc/sys/net/ipv4/ip_no_pmtu_disc")
    serve(calls)
    connection(calls, near, 3001)
    expected = segments(guest, near, 3001)
    assert {str(IP(data).flags) for data in expected} == {"" if no_discovery else "DF"}
    chains.append(RULE)
    listener = listen(PORT, "--reinject")
    connection(calls, near, 3002)
    left = segments(guest, near, 3002)
    read = [seen.data for seen in listener.finish()]
    assert read == left
    assert list(map(shape, read)) == list(map(shape, expected))
    assert all(header_is_right(data) and transport_is_right(data) for data in read)


@statement("S7/private", "S7/tcp")
def test_segment_in_the_queue_is_not_changed_by_its_retransmission(
    guest: Machine, shell: Shell, calls: Calls, near: Wire, chains: Chains
) -> None:
    serve(calls)
    peer = Peer(near, 3003, SERVICE)
    peer.send("S", MSS)
    peer.expect("SA")
    peer.send("A")
    calls.ok("accept", "server", "c")
    # From this TCP learns that the way is short, and it will not wait for seconds.
    calls.ok("send", "c", "text:how-far")
    peer.expect("PA")
    peer.send("A")
    guest.barrier()
    bound(calls, "d", PORT)
    chains.append(RULE)
    calls.ok("send", "c", "text:once-more")
    first = received(calls.ok("recv", "d", 65535, "peek"))
    # Nobody has acknowledged it, so TCP sends it again, in the same buffer with a new header.
    twice = f"until grep -q '^ *{PORT} *[0-9]* *2 ' /proc/net/divert; do :; done"
    shell.check(f"{twice}", seconds=5)
    segments_read = calls.drain("d")
    assert len(segments_read) == 2
    assert segments_read[0] == first
    assert header_is_right(first)
    again = IP(segments_read[1])
    assert (again[TCP].seq, bytes(again[TCP].payload)) == (IP(first)[TCP].seq, b"once-more")
    assert again.id != IP(first).id
