# SPDX-License-Identifier: GPL-2.0-only
"""T. No packet is taken twice: whole TCP connections through two divert ports, without loss."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import IP, TCP

from divert_reference.chains import Chains
from divert_reference.fixtures import Listen
from divert_reference.programs import Calls, ProcDivert
from divert_reference.traffic import TCP_PORT, header_is_right
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.peer import MSS, Peer, completed

statement = pytest.mark.statement

A, B = 1001, 1002
BYTES = 60000
ROUNDS = 8
# None of these connections has so many packets.
LIMIT = 1000


@statement("T1/loopback", "T1/way", "I2/loopback", "I2/bytes")
def test_tcp_through_two_queues_on_the_loopback(
    guest: Machine,
    shell: Shell,
    calls: Calls,
    listen: Listen,
    chains: Chains,
    proc_divert: Callable[[], ProcDivert],
    expected: Callable[[str], str],
) -> None:
    """Both ends are the guest's: each segment leaves through one port and comes in by the other."""
    server, client = Calls(shell), calls
    server.ok("socket", "listener", "inet", "stream", 0)
    server.ok("bind", "listener", f"in:127.0.0.1:{TCP_PORT}")
    server.ok("listen", "listener", 5)
    out, come_in = (listen(port, "--reinject", limit=LIMIT) for port in (A, B))
    chains.append(f"output -i lo -p TCP -j DIVERT {A}", f"input -i lo -p TCP -j DIVERT {B}")
    client.ok("socket", "client", "inet", "stream", 0)
    client.ok("connect", "client", f"in:127.0.0.1:{TCP_PORT}")
    server.ok("accept", "listener", "peer")
    drained = server.begin("drain", "peer")
    sent = client.ok("pump", "client", BYTES)
    client.ok("shutdown", "client", "write")
    received = drained()
    assert (received["result"], received["value"]) == (BYTES, sent["value"])
    server.ok("close", "peer")
    assert client.ok("drain", "client")["result"] == 0
    seen: list[IP] = []
    while not is_over(seen):
        seen.append(come_in.next().packet)
    # What either end sends again from now on is no matter of these ports any more.
    chains("-F output")
    for _ in range(len(seen), proc_divert().ports[A].delivered):
        come_in.next()
    counts = proc_divert().ports
    for port in (A, B):
        assert counts[port].dropped == 0
        assert counts[port].injected == counts[port].delivered
    # Nothing was lost between the two, and nothing made twice.
    assert counts[A] == counts[B]
    first = [seen.data for seen in out.finish()]
    second = [seen.data for seen in come_in.finish()]
    if expected("segments-with-dont-fragment") == "may have none":
        first = completed(first, second)
    assert first == second
    assert len(first) == counts[A].delivered
    payload = b"".join(bytes(IP(data)[TCP].payload) for data in unique(first))
    assert len(payload) == BYTES


def is_over(packets: list[IP]) -> bool:
    """Whether both ends have ended their stream and know that the other knows it."""
    ends = {
        each[TCP].sport: each[TCP].seq + len(bytes(each[TCP].payload)) + 1
        for each in packets
        if each[TCP].flags.F
    }
    known = {each[TCP].dport for each in packets if each[TCP].ack == ends.get(each[TCP].dport)}
    return len(known) == 2


def unique(packets: list[bytes]) -> list[bytes]:
    """Packets with data, without those that TCP sent again, in the order of the stream."""
    by_place: dict[int, bytes] = {}
    for data in packets:
        segment = IP(data)[TCP]
        if segment.dport == TCP_PORT and bytes(segment.payload):
            by_place.setdefault(segment.seq, data)
    return [by_place[place] for place in sorted(by_place)]


@statement("T1/way", "I2/stack", "I2/bytes")
def test_tcp_through_two_queues_by_wire(
    guest: Machine,
    near: Wire,
    calls: Calls,
    listen: Listen,
    chains: Chains,
    proc_divert: Callable[[], ProcDivert],
    expected: Callable[[str], str],
) -> None:
    """A connection with the wire's host: handshake, data both ways, and its end."""
    calls.ok("socket", "listener", "inet", "stream", 0)
    calls.ok("bind", "listener", f"in:0.0.0.0:{TCP_PORT}")
    calls.ok("listen", "listener", 5)
    come_in, out = (listen(port, "--reinject", limit=LIMIT) for port in (A, B))
    chains.append(f"input -i eth1 -j DIVERT {A}", f"output -i eth1 -j DIVERT {B}")
    peer = Peer(near, 5555, TCP_PORT)
    peer.send("S", MSS)
    peer.expect("SA")
    peer.send("A")
    calls.ok("accept", "listener", "server")
    for number in range(ROUNDS):
        body = bytes([number]) * 500
        peer.send("PA", body=body)
        assert bytes.fromhex(calls.ok("recv", "server", 500, "waitall")["hex"]) == body
        calls.ok("send", "server", f"fill:100:{number:02x}")
        assert bytes(peer.expect("PA")[TCP].payload)[:100] == bytes([number]) * 100
        peer.send("A")
    peer.send("FA")
    assert calls.ok("recv", "server", 1)["result"] == 0
    calls.ok("close", "server")
    peer.expect("FA")
    peer.send("A")
    # Two for the beginning, two a round, two for the end.
    sent = 2 + 2 * ROUNDS + 2
    come_in.take(sent)
    guest.barrier()
    counts = proc_divert().ports
    assert [counts[port].dropped for port in (A, B)] == [0, 0]
    assert [counts[port].injected for port in (A, B)] == [counts[port].delivered for port in (A, B)]
    frames = [bytes(each[IP]) for each in near.received(lambda each: TCP in each)]
    left = [data[: int.from_bytes(data[2:4], "big")] for data in frames]
    assert all(header_is_right(data) for data in left)
    taken = [seen.data for seen in out.finish()]
    if expected("segments-with-dont-fragment") == "may have none":
        taken = completed(taken, left)
    assert taken == left
    assert len(come_in.finish()) == counts[A].delivered == sent
