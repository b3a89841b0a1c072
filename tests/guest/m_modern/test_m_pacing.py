# SPDX-License-Identifier: GPL-2.0-only
"""M11. What a queue that paces (sch_fq) makes of what is given back."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, TCP

from divert_reference.chains import Chains
from divert_reference.divert import DivertSocket, Taken
from divert_reference.programs import Calls
from divert_reference.traffic import NEAR, UDP_PORT
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.kept import Keeper
from tests.guest.support.netlink import Links
from tests.guest.support.peer import Peer, connected_to
from tests.guest.support.stack import load

statement = pytest.mark.statement
kinds = pytest.mark.parametrize("kind", [DivertSocket, Keeper])

PORT = 1234
THEIRS = 7000
# TCP paces nothing before it has sent ten segments of data.
BEFORE = 12
MAX_PACING_RATE = 47
# What is behind the first segment is to wait for 8 seconds, less half at most for time unused.
FIRST, RATE = b"a" * 400, 50
LEAST = 4
SECOND = b"the second"
# sch_fq itself waits a second at most for one packet.
PACED = 0.5


@pytest.fixture
def peer(shell: Shell, calls: Calls, near: Wire) -> Peer:
    """The far end of a connection of the guest's `client`, whose segments are paced."""
    load(shell, "sch_fq")
    Links(calls).queue(NEAR.interface, "fq")
    far_end = connected_to(calls, near, THEIRS)
    calls.ok("setsockopt", "client", "tcp", "nodelay", "int:1")
    for _ in range(BEFORE):
        calls.ok("send", "client", "text:before")
        far_end.expect("PA")
        far_end.send("A")
    calls.ok("setsockopt", "client", "socket", MAX_PACING_RATE, f"int:{RATE}")
    return far_end


def send_both(calls: Calls) -> None:
    """Two segments, of which TCP wants the second to leave later."""
    for body in (FIRST, SECOND):
        calls.ok("send", "client", f"hex:{body.hex()}")


def leaves(near: Wire, body: bytes, seconds: float) -> float:
    """When a segment with these data leaves first."""

    def has(packet: object) -> bool:
        return bytes(packet)[-len(body) :] == body  # type: ignore[call-overload, no-any-return]

    near.expect(has, seconds=seconds, what=f"segment that ends with {body[-10:]!r}")
    return next(frame.seconds for frame in near.captured() if frame.data.endswith(body))


@statement("M11/pacing")
def test_second_segment_waits_that_nobody_takes(calls: Calls, near: Wire, peer: Peer) -> None:
    send_both(calls)
    first = leaves(near, FIRST, 3)
    peer.expect("PA")
    peer.send("A")
    assert leaves(near, SECOND, 30) - first > LEAST - 1


@statement("M11/pacing")
@kinds
def test_segment_leaves_when_it_is_given_back(
    kind: type[DivertSocket], calls: Calls, near: Wire, peer: Peer, chains: Chains
) -> None:
    """Whenever TCP wanted it sent."""
    socket = kind(calls, PORT)
    chains.append(f"output -p TCP -d {NEAR.host_ip} {peer.port} -j DIVERT {PORT}")
    send_both(calls)
    # Of the first TCP may send a copy meanwhile.
    while True:
        taken = socket.take()
        if bytes(IP(taken.data)[TCP].payload) == SECOND:
            break
    gives_back(socket, taken)
    leaves(near, SECOND, LEAST - 0.5)


@statement("M11/turn")
@kinds
def test_queue_knows_whose_it_is(
    kind: type[DivertSocket], shell: Shell, calls: Calls, near: Wire, chains: Chains
) -> None:
    """What is given back at once leaves as its own socket's limit says, one after the other."""
    load(shell, "sch_fq")
    Links(calls).queue(NEAR.interface, "fq")
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("setsockopt", "sender", "socket", MAX_PACING_RATE, f"int:{RATE}")
    socket = kind(calls, PORT)
    chains.append(f"output -i {NEAR.interface} -p UDP -j DIVERT {PORT}")
    for body in (FIRST, SECOND):
        calls.ok("sendto", "sender", f"hex:{body.hex()}", f"in:{NEAR.host_ip}:{UDP_PORT}")
    for taken in [socket.take(), socket.take()]:
        gives_back(socket, taken)
    first, second = leaves(near, FIRST, 3), leaves(near, SECOND, 10)
    assert second - first > PACED


def gives_back(socket: DivertSocket, taken: Taken) -> None:
    """Let it go on as it was, kept or not."""
    if isinstance(socket, Keeper):
        socket.go_on(taken)
    else:
        socket.reinject(taken)
