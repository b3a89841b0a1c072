# SPDX-License-Identifier: GPL-2.0-only
"""The hooks that only multicast routing comes by: taken there, a packet goes on from there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP, IPOption

from divert_reference.chains import Chains
from divert_reference.divert import built, left
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, UDP_PORT, header_is_right, hop
from harness.guest.machine import Machine
from harness.network.wire import Wire
from tests.guest.support.groups import GROUP, route_groups

statement = pytest.mark.statement
needs = pytest.mark.needs
at_each = pytest.mark.parametrize("chain", ["input", "forward", "output"])

PORT = 1234
# Where a packet to the group is at each chain, to match it there alone.
INTERFACE = {"input": NEAR.interface, "forward": FAR.interface, "output": FAR.interface}
RECORD_ROUTE = bytes.fromhex("070704") + bytes(4)


def to_group(size: int = 40, **fields: Any) -> bytes:
    """A datagram to the group from the host of wire 0."""
    header = IP(**{"src": NEAR.host_ip, "dst": GROUP, "id": 0x77, "ttl": 9, **fields})
    return built(header / UDP(sport=1, dport=UDP_PORT) / bytes(size))


def rule(chain: str, target: str) -> str:
    """A rule for the packets to the group; this host's reports of membership go there as well."""
    return f"{chain} -i {INTERFACE[chain]} -p UDP -d {GROUP} -j {target}"


def joined(calls: Calls, address: str) -> None:
    """A member of the group on this host."""
    calls.ok("socket", "member", "inet", "dgram", 17)
    calls.ok("bind", "member", f"in:0.0.0.0:{UDP_PORT}")
    calls.ok("setsockopt", "member", "ip", "add_membership", f"mreq:{GROUP}:{address}")


def routed(guest: Machine, wire: Wire) -> list[bytes]:
    """What left by a wire, but for reports of membership (IGMP)."""
    return [data for data in left(guest, wire) if data[9] != 2]


@statement("I2/bytes", "T1/copies", "T4")
@at_each
@pytest.mark.parametrize("member", [False, True], ids=["no-member", "member"])
@needs("multicast-routing")
def test_given_back_it_is_routed_once(
    chain: str,
    member: bool,
    guest: Machine,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """Its port takes it at no later hook; for a member on this host, the router makes a copy."""
    route_groups(calls)
    if member:
        joined(calls, NEAR.guest_ip)
    socket = divert(PORT)
    chains.append(*(rule(each, f"DIVERT {PORT}") for each in INTERFACE))
    if chain != "input":
        chains(f"-D {rule('input', f'DIVERT {PORT}')}")
    if chain == "output":
        chains(f"-D {rule('forward', f'DIVERT {PORT}')}")
    near.send(IP(to_group()))
    taken = socket.take()
    assert taken.data == (to_group() if chain == "input" else hop(to_group()))
    assert taken.interface == ("0.0.0.0" if chain == "output" else NEAR.guest_ip)
    assert routed(guest, far) == []
    socket.reinject(taken)
    assert routed(guest, far) == [hop(to_group())]
    assert routed(guest, near) == []
    assert socket.rest() == []
    if member:
        assert calls.drain("member") == [bytes(40)]


@statement("T2", "T3/hooks", "T4")
@needs("multicast-routing")
def test_two_ports_on_forward_and_output(
    guest: Machine,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
    expected: Callable[[str], str],
) -> None:
    """Each chain is walked once for it, and at both it is as it leaves without rules.

    But for the checksum: 2.2.12 writes its entry into the options of what it routes to a group,
    and leaves the checksum wrong; what is read and given back has a right one.
    """
    route_groups(calls)
    packet = to_group(options=IPOption(RECORD_ROUTE))
    near.send(IP(packet))
    (plain,) = routed(guest, far)
    first, second = divert(PORT), divert(PORT + 1)
    chains.append(rule("forward", f"DIVERT {PORT}"), rule("output", f"DIVERT {PORT + 1}"))
    chains.append(f"input -i {FAR.interface} -p UDP -d {GROUP}")
    near.send(IP(packet))
    taken = first.take()
    assert header_is_right(taken.data)
    assert header_is_right(plain) == (expected("routed-to-group-with-options") == "right")
    assert taken.data[:10] + taken.data[12:] == plain[:10] + plain[12:]
    # Success, for another port has it now.
    first.reinject(taken)
    again = second.take()
    assert again.data == taken.data
    assert routed(guest, far) == []
    second.reinject(again)
    assert routed(guest, far) == [taken.data]
    assert first.rest() == second.rest() == []
    assert chains.counts("forward") == chains.counts("output") == [1]
    # Nor is it looped back, as if this host had sent it.
    assert chains.counts("input") == [0]


@statement("T3/verdicts", "I6/deny", "I6/reject")
@pytest.mark.parametrize("target", ["DENY", "REJECT"])
@pytest.mark.parametrize(
    ("taken_on", "refused_on"),
    [("forward", "forward"), ("forward", "output"), ("output", "output")],
)
@needs("multicast-routing")
def test_verdict_behind_the_rule_holds(
    taken_on: str,
    refused_on: str,
    target: str,
    guest: Machine,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    route_groups(calls)
    socket = divert(PORT)
    chains.append(rule(taken_on, f"DIVERT {PORT}"), rule(refused_on, target))
    near.send(IP(to_group()))
    taken = socket.take()
    row = calls("sendto", socket.name, f"hex:{taken.data.hex()}", taken.address)
    assert (row["result"], row.get("error")) == (-1, "EPERM")
    assert routed(guest, far) == []


@statement("I2/type", "I2/interface")
@at_each
@needs("multicast-routing")
def test_it_is_not_looped_back_to_this_host(
    chain: str,
    guest: Machine,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """Nobody here is a member: what was forwarded does not meet the input chain of its way out."""
    route_groups(calls)
    socket = divert(PORT)
    looped = f"input -i {FAR.interface} -p UDP -d {GROUP}"
    chains.append(rule(chain, f"DIVERT {PORT}"), looped)
    near.send(IP(to_group()))
    socket.reinject(socket.take())
    assert routed(guest, far) == [hop(to_group())]
    assert chains.counts("input")[-1] == 0


@statement("I2/changed", "T1/copies")
@needs("multicast-routing")
def test_copy_for_this_host_of_what_was_routed_is_not_routed_again(
    guest: Machine,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
    expected: Callable[[str], str],
) -> None:
    """Changed, it is of a flow that the router does not know; it asks its daemon for none."""
    route_groups(calls)
    joined(calls, FAR.guest_ip)
    socket = divert(PORT)
    chains.append(f"input -i {FAR.interface} -p UDP -d {GROUP} -j DIVERT {PORT}")
    near.send(IP(to_group()))
    taken = socket.take()
    assert routed(guest, far) == [hop(to_group())]
    stranger = "192.0.2.77"
    socket.reinject(taken, to_group(ttl=8, src=stranger))
    assert calls.drain("member") == [bytes(40)]
    assert routed(guest, far) == []
    # What the kernel asks has protocol 0 (struct igmpmsg); it asks of our own reports too.
    asked = [IP(data).src for data in calls.drain("igmp") if data[9] == 0]
    assert (stranger in asked) == (expected("copy-of-what-was-routed") == "as any packet")
