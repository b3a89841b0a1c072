# SPDX-License-Identifier: GPL-2.0-only
"""T. No packet is taken twice: which rules see it after the one that took it, and how often."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, UDP

from divert_reference.chains import Chains
from divert_reference.divert import DivertSocket, Taken, built
from divert_reference.fixtures import Divert, Listen
from divert_reference.traffic import FAR, NEAR, PLACES, PROTOCOLS, UDP_PORT, Flow, Place, Traffic

statement = pytest.mark.statement
places = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
hooks = pytest.mark.parametrize(
    "place", [PLACES[0], PLACES[2], PLACES[4]], ids=lambda place: place.name
)

A, B, C = 1001, 1002, 1003
OTHER_UDP_PORT = 4999


def with_port(data: bytes, port: int) -> bytes:
    """A UDP packet to another port, its checksum right."""
    packet = IP(data)
    packet[UDP].dport = port
    del packet[UDP].chksum
    return built(packet)


def goes_on_as(place: Place, data: bytes) -> bytes:
    """What arrives of a packet given back at a place."""
    if place.name != "input-through":
        return data
    packet = IP(data)
    packet.ttl -= 1
    del packet.chksum
    return bytes(packet)


@statement("T3/in-order", "R6/disjoint", "T4")
@places
def test_two_rules_in_one_chain_see_a_packet_once_each(
    place: Place, traffic: Traffic, listen: Listen, chains: Chains
) -> None:
    """What the first changes the second sees: it counts up the type of service."""
    first = listen(A, "--reinject", "--patch", "1:08")
    second = listen(B, "--reinject", "--patch", "1:10")
    chains.append(place.rule(f"DIVERT {A}"), place.rule(f"DIVERT {B}"))
    flows: list[Flow] = []
    for protocol in PROTOCOLS:
        flows.append(traffic.send(place.path, protocol))
        assert [IP(each.next().data).tos for each in (first, second)] == [0, 0x08]
    assert [IP(data).tos for data in traffic.arrived(flows)] == [0x10] * len(flows)
    assert len(first.finish()) == len(second.finish()) == len(flows)
    assert chains.counts(place.chain) == [len(flows)] * 2


@statement("T1/wins", "T1/last", "T4")
@places
def test_same_port_in_three_rules_sees_a_packet_once_unless_another_came_between(
    place: Place, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    first, second = divert(A), divert(B)
    chains.append(*(place.rule(f"DIVERT {port}") for port in (A, A, B, A)))
    flow = traffic.send(place.path, "udp")
    for socket, other in ((first, second), (second, first), (first, second)):
        taken = socket.take()
        assert other.rest() == [], "the next sees it when it has been given back, not before"
        socket.reinject(taken)
    assert traffic.arrived([flow]) == [goes_on_as(place, taken.data)]
    assert first.rest() == second.rest() == []


@statement("T3/in-order", "T3/rule-gone")
@hooks
def test_rules_inserted_meanwhile(
    place: Place, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    """One before the rule that took the packet is passed over, one behind it takes the packet."""
    sockets = {port: divert(port) for port in (A, B, C)}
    chains.append(place.rule(f"DIVERT {A}"))
    flow = traffic.send(place.path, "udp")
    taken = sockets[A].take()
    chains(f"-I {place.chain} 1 {place.match} -j DIVERT {B}")
    chains.append(place.rule(f"DIVERT {C}"))
    sockets[A].reinject(taken)
    sockets[C].reinject(sockets[C].take())
    assert traffic.arrived([flow]) == [goes_on_as(place, taken.data)]
    assert [socket.rest() for socket in sockets.values()] == [[], [], []]
    assert chains.counts(place.chain) == [0, 1, 1]


# What may become of the second rule of a chain, which has taken a packet.
CHANGES = (
    ("-D {chain} 2",),
    ("-D {chain} 2", "-I {chain} 2 {match} -j DIVERT {a}"),
    ("-R {chain} 2 {match} -j DIVERT {a}",),
    ("-R {chain} 2 {match} -j ACCEPT",),
)


@statement("T3/rule-gone")
@hooks
def test_rule_that_took_a_packet_has_gone(
    place: Place, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    """No rule of this hook takes what comes back, a new one with the same words neither."""
    sockets = {port: divert(port) for port in (A, B, C)}
    for change in CHANGES:
        chains.flush()
        chains.append(*(place.rule(f"DIVERT {port}") for port in (B, A, C)))
        flow = traffic.send(place.path, "udp")
        sockets[B].reinject(sockets[B].take())
        taken = sockets[A].take()
        for words in change:
            chains(words.format(chain=place.chain, match=place.match, a=A))
        sockets[A].reinject(taken)
        assert traffic.arrived([flow]) == [goes_on_as(place, taken.data)], change
        assert [socket.rest() for socket in sockets.values()] == [[], [], []], change


@statement("T3/rule-gone")
def test_rules_of_other_ports_come_and_go(traffic: Traffic, divert: Divert, chains: Chains) -> None:
    """The rule that took the packet is known again though its number in the chain is another."""
    place = PLACES[0]
    first, second = divert(A), divert(B)
    chains.append(place.rule(f"DIVERT {A}"), place.rule(f"DIVERT {B}"))
    flow = traffic.send(place.path, "udp")
    taken = first.take()
    for _ in range(3):
        chains(f"-I input 1 {place.match} -p 77 -j DENY")
    chains("-D input 2")
    first.reinject(taken)
    second.reinject(second.take())
    assert traffic.arrived([flow]) == [flow.sent]
    assert first.rest() == second.rest() == []


@statement("T3/passed", "I2/changed")
@places
def test_packet_rewritten_past_its_rule_is_seen_by_those_behind(
    place: Place, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    """The first rule takes what the program then makes something else, as a translator does."""
    first, second = divert(A), divert(B)
    match = f"{place.chain} {place.match} -p UDP -d 0/0"
    chains.append(f"{match} {UDP_PORT} -j DIVERT {A}", f"{match} {OTHER_UDP_PORT} -j DIVERT {B}")
    flow = traffic.send(place.path, "udp")
    taken = first.take()
    changed = with_port(taken.data, OTHER_UDP_PORT)
    first.reinject(taken, changed)
    again = second.take()
    assert again.data == changed
    second.reinject(again)
    assert traffic.arrived([flow]) == [goes_on_as(place, changed)]
    assert first.rest() == second.rest() == []


@statement("T3/missed")
@hooks
def test_rewritten_packet_that_does_not_come_by_its_rule_is_taken_by_none(
    place: Place, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    """It was taken in a chain of the user's into which it does not jump any more."""
    first, second = divert(A), divert(B)
    match = f"{place.chain} {place.match} -p UDP -d 0/0"
    chains("-N special")
    chains.append(
        f"special -j DIVERT {A}",
        f"{match} {UDP_PORT} -j special",
        f"{match} {OTHER_UDP_PORT} -j DIVERT {B}",
    )
    flow = traffic.send(place.path, "udp")
    taken = first.take()
    changed = with_port(taken.data, OTHER_UDP_PORT)
    first.reinject(taken, changed)
    assert traffic.arrived([flow]) == [goes_on_as(place, changed)]
    assert first.rest() == second.rest() == []
    # Unchanged it comes by that rule, and the packet's way goes on behind it.
    chains.append(place.rule(f"DIVERT {B}"))
    first.reinject(taken)
    second.reinject(second.take())
    assert first.rest() == second.rest() == []


@statement("T3/held", "T4")
@hooks
def test_given_back_in_another_order(
    place: Place, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    first, second = divert(A), divert(B)
    chains.append(place.rule(f"DIVERT {A}"), place.rule(f"DIVERT {B}"))
    flows = [traffic.send(place.path, "udp") for _ in range(3)]
    taken: list[Taken] = [first.take() for _ in flows]
    for number in (2, 0, 1):
        first.reinject(taken[number])
    again = [second.take() for _ in flows]
    assert [each.data for each in again] == [taken[number].data for number in (2, 0, 1)]
    for each in reversed(again):
        second.reinject(each)
    assert traffic.arrived(flows) == [goes_on_as(place, each.data) for each in taken]
    assert first.rest() == second.rest() == []


@statement("T1/last", "T3/held")
@hooks
def test_given_back_by_another_port(
    place: Place, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    """What counts is through which port it was injected, and where it was taken."""
    first, second = divert(A), divert(B)
    chains.append(place.rule(f"DIVERT {A}"), place.rule(f"DIVERT {B}"))
    flow = traffic.send(place.path, "udp")
    taken = first.take()
    second.reinject(taken)
    assert traffic.arrived([flow]) == [goes_on_as(place, taken.data)]
    assert first.rest() == second.rest() == []


@statement("T3/user-chain", "T3/in-order", "T4")
@hooks
def test_chain_come_by_twice_is_two_places(
    place: Place, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    """Two ports in a chain that is jumped into twice: each sees the packet once a way."""
    sockets: list[DivertSocket] = [divert(A), divert(B)]
    for name in ("user", "left", "right"):
        chains(f"-N {name}")
    for jumps in (["user", "user"], ["left", "right"], ["left", "left"]):
        chains.flush()
        chains.append(f"user -j DIVERT {A}", f"user -j DIVERT {B}", "left -j user", "right -j user")
        chains.append(*(place.rule(jump) for jump in jumps))
        flow = traffic.send(place.path, "udp")
        for socket in sockets * 2:
            taken = socket.take()
            socket.reinject(taken)
        assert traffic.arrived([flow]) == [goes_on_as(place, taken.data)], jumps
        assert [socket.rest() for socket in sockets] == [[], []], jumps
        assert chains.counts(place.chain) == [1, 1]
        assert chains.counts("user") == [2, 2]


@statement("T3/user-chain", "T1/wins")
def test_chain_come_by_twice_with_one_port(
    traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    socket = divert(A)
    chains("-N user")
    chains.append(f"user -j DIVERT {A}", f"input -i {NEAR.interface} -j user")
    chains.append(f"input -i {NEAR.interface} -j user")
    flow = traffic.send("in", "udp")
    socket.reinject(socket.take())
    assert traffic.arrived([flow]) == [flow.sent]
    assert socket.rest() == []
    assert chains.counts("user") == [2]


@statement("T3/hooks", "T2", "T4")
def test_in_div_fwd_div(traffic: Traffic, listen: Listen, chains: Chains) -> None:
    """A rule on input and one on forward: what the HOWTO warns of is safe here."""
    listeners = [listen(port, "--reinject") for port in (A, B)]
    chains.append(f"input -i {NEAR.interface} -j DIVERT {A}")
    chains.append(f"forward -i {FAR.interface} -j DIVERT {B}")
    flows = []
    for protocol in PROTOCOLS:
        flows.append(traffic.send("through", protocol))
        assert [each.next().data for each in listeners] == [
            flows[-1].at("input"),
            flows[-1].at("forward"),
        ]
    assert traffic.arrived(flows) == [flow.arrives_as() for flow in flows]
    assert [len(each.finish()) for each in listeners] == [len(flows)] * 2
