# SPDX-License-Identifier: GPL-2.0-only
"""S7. What is read is a complete packet: this host's TCP, whose headers the stack ends late."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP

from divert_reference.chains import Chains
from divert_reference.fixtures import Listen
from divert_reference.programs import Calls
from divert_reference.traffic import NEAR, header_is_right
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.peer import (
    MSS,
    SERVICE,
    Peer,
    completed,
    connection_from,
    connection_to,
    segments,
    serve,
    shapes,
)
from tests.guest.support.sockets import bound, received, transport_is_right

statement = pytest.mark.statement

PORT = 1234
RULE = f"output -i {NEAR.interface} -p TCP -j DIVERT {PORT}"


def is_syn_ack(data: bytes) -> bool:
    """Whether it is the answer to a connection's first segment."""
    return str(IP(data)[TCP].flags) == "SA"


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
    expected: Callable[[str], str],
) -> None:
    """With and without path MTU discovery, which sets DF after the chain."""
    no_discovery = {"want": 0, "dont": 1}[discovery]
    shell.check(f"echo {no_discovery} >/proc/sys/net/ipv4/ip_no_pmtu_disc")
    serve(calls)
    connection(calls, near, 3001)
    plain = segments(guest, near, 3001)
    with_discovery = {"" if no_discovery else "DF"}
    flags = {
        name: {str(IP(data).flags) for data in plain if is_syn_ack(data) == name}
        for name in (True, False)
    }
    assert flags[False] == with_discovery
    if connection is connection_from:
        always = expected("small-syn-ack") == "always DF"
        assert flags[True] == ({"DF"} if always else with_discovery)
    chains.append(RULE)
    listener = listen(PORT, "--reinject")
    connection(calls, near, 3002)
    left = segments(guest, near, 3002)
    read = [seen.data for seen in listener.finish()]
    if expected("segments-with-dont-fragment") == "may have none":
        read = completed(read, left)
    assert read == left
    assert shapes(read) == shapes(plain)
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
