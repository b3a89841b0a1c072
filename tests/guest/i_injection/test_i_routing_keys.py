# SPDX-License-Identifier: GPL-2.0-only
"""I2. A way is looked up by the mark and the type of service that the packet had when it came."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, UDP

from divert_reference.chains import Chains
from divert_reference.divert import built, left
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, UDP_PORT, hop
from harness.guest.machine import Machine
from harness.network.wire import Wire
from tests.guest.support.copies import copies, netlink_socket
from tests.guest.support.policy import Policy
from tests.guest.support.ways import (
    BEYOND,
    FORWARDED,
    MAIN,
    OTHER,
    PORT,
    Way,
    passed_on,
)

statement = pytest.mark.statement
pytestmark = pytest.mark.needs("rtnetlink", "policy-routing", "mark-routing", "multicast")


@statement("I2/way-mark", "T3/tos")
@pytest.mark.parametrize("hook", ["input", "forward", "output"])
def test_it_has_the_mark_that_it_had(
    hook: str,
    guest: Machine,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """Marks are added up (-m +N): those of rules before the one that took it count once.

    Behind it another program sees to it that the mark is looked at.
    """
    policy = Policy(calls)
    policy.route(*MAIN)
    policy.route(*OTHER)
    policy.rule("fwmark", "5", "table", "100")
    chains.append("input -p UDP -m +3")
    sockets = [divert(PORT), divert(PORT + 1)]
    for socket in sockets[: 1 if hook != "input" else 2]:
        chains.append(f"input -p UDP -j DIVERT {socket.port}")
    chains.append("input -p UDP -m +2")
    if hook != "input":
        chains.append(f"{hook} -p UDP -j DIVERT {sockets[1].port}")
    packet = IP(src=NEAR.host_ip, dst=BEYOND, id=7, ttl=9) / UDP(sport=9, dport=9) / b"beyond"
    near.send(packet)
    for socket in sockets:
        socket.reinject(socket.take())
    assert left(guest, far) == [hop(built(packet))]
    assert left(guest, near) == []


@statement("I2/way-mark", "T4")
@pytest.mark.parametrize("hook", ["forward", "output"])
def test_mark_that_it_was_given_later_does_not_choose(
    hook: str,
    guest: Machine,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    by_mark = next(way for way in FORWARDED if way.name == "mark")
    by_mark.prepare(guest, calls, chains)
    chains.append(f"{hook} -p UDP -m 9")
    packet = IP(src=NEAR.host_ip, dst=BEYOND, id=7, ttl=9) / UDP(sport=9, dport=9) / b"beyond"
    data = passed_on(divert, chains, f"{hook} {hook}", lambda: near.send(packet), "given-back")
    assert left(guest, far) == [data]
    assert left(guest, near) == []


@statement("I2/way-mark")
@pytest.mark.needs("netlink-firewall")
def test_rules_behind_see_the_mark_that_it_was_given_last(
    guest: Machine, calls: Calls, near: Wire, far: Wire, divert: Divert, chains: Chains
) -> None:
    """Not that by which its way was looked up."""
    socket = divert(PORT)
    chains.append("input -p UDP -m 5", "forward -p UDP -m 9", f"forward -p UDP -j DIVERT {PORT}")
    chains.append("output -p UDP -o")
    netlink_socket(calls, "copies")
    near.send(IP(src=NEAR.host_ip, dst=FAR.host_ip, id=7, ttl=9) / UDP(sport=9, dport=9) / b"on")
    taken = socket.take()
    socket.reinject(taken)
    assert left(guest, far) == [taken.data]
    assert [(copy.mark, copy.data) for copy in copies(calls, "copies")] == [(9, taken.data)]


BY_TOS = Way("tos", rule=("tos", "8", "table", "100"))


@statement("I2/way-tos", "I2/changed")
@pytest.mark.parametrize("given_back", [0, 8])
@pytest.mark.parametrize("sent", [0, 8])
def test_sent_by_its_type_of_service(
    sent: int,
    given_back: int,
    guest: Machine,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """As it is; and what a program has changed."""
    BY_TOS.prepare(guest, calls, chains)
    socket = divert(PORT)
    chains.append(f"output -p UDP -j DIVERT {PORT}")
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("setsockopt", "sender", "ip", "tos", f"int:{sent}")
    calls.ok("sendto", "sender", "text:away", f"in:{BEYOND}:{UDP_PORT}")
    taken = socket.take()
    packet = IP(taken.data)
    packet.tos = given_back
    del packet.chksum
    changed = built(packet)
    socket.reinject(taken, changed)
    assert left(guest, far) == [changed] * (given_back == 8)
    assert left(guest, near) == [changed] * (given_back == 0)


@statement("I2/way-tos", "T3/tos")
@pytest.mark.parametrize("hooks", ["forward", "output", "forward forward", "output output"])
def test_forwarded_by_the_type_of_service_that_it_came_with(
    hooks: str,
    guest: Machine,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """A rule has given it another before it was taken."""
    BY_TOS.prepare(guest, calls, chains)
    chains.append(f"{hooks.split(maxsplit=1)[0]} -p UDP -t 01 10")
    header = IP(src=NEAR.host_ip, dst=BEYOND, id=7, ttl=9, tos=8)
    packet = header / UDP(sport=9, dport=9) / b"beyond"
    data = passed_on(divert, chains, hooks, lambda: near.send(packet), "given-back")
    assert data[1] == 0x10
    assert left(guest, far) == [data]
    assert left(guest, near) == []
