# SPDX-License-Identifier: GPL-2.0-only
"""C. Against the firewall's netlink (C4), and all four mechanisms side by side."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP

from divert_reference.chains import Chains
from divert_reference.divert import left
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls
from divert_reference.traffic import NEAR, NUMBERS, OTHER, Traffic, is_of
from harness.guest.machine import Machine
from harness.network.wire import Wire
from tests.guest.support.copies import (
    Copy,
    captured,
    copies,
    copy_of,
    netlink_socket,
    packet_socket,
    raw_socket,
)

statement = pytest.mark.statement
needs = pytest.mark.needs

DEVICE = "/dev/fwmonitor"
PORT = 1234
ON_NEAR = f"-i {NEAR.interface}"


@statement("C4/copy")
@pytest.mark.parametrize(("target", "passes"), [("ACCEPT", True), ("DENY", False)])
def test_gives_a_copy_and_the_rules_target_decides(
    calls: Calls, chains: Chains, traffic: Traffic, target: str, passes: bool
) -> None:
    netlink_socket(calls, "n")
    chains.append(f"input {ON_NEAR} -p icmp -m 77 -o -j {target}")
    flow = traffic.send("in", "icmp")
    # The copy was not read yet, nor will the socket's end change what became of the packet.
    assert traffic.arrived([flow]) == [flow.sent] * passes
    assert copies(calls, "n") == [Copy(77, NEAR.interface, flow.sent)]


@statement("C4/copy")
def test_cannot_be_a_target(chains: Chains) -> None:
    """2.2.12 knows the verdict QUEUE, but not as a target."""
    result = chains.run("-A input -j QUEUE")
    assert result.status != 0
    assert "No target by that name" in result.stderr
    assert chains.rows("input") == []


@statement("C4/copy")
def test_copy_is_as_long_as_the_rule_says(calls: Calls, chains: Chains, traffic: Traffic) -> None:
    netlink_socket(calls, "n")
    chains.append(f"input {ON_NEAR} -p icmp -o 20")
    flow = traffic.send("in", "icmp")
    assert traffic.arrived([flow]) == [flow.sent]
    assert copies(calls, "n") == [Copy(0, NEAR.interface, flow.sent[:20])]


@statement("C4/every-socket")
def test_every_socket_sees_everything(calls: Calls, chains: Chains, traffic: Traffic) -> None:
    names = ("a", "b", "c")
    for name in names:
        netlink_socket(calls, name)
    # Whatever tells the rules apart, here the marks, it chooses no reader.
    chains.append(
        f"output {ON_NEAR} -p icmp -m 1 -o -j ACCEPT",
        f"output {ON_NEAR} -p udp -m 2 -o -j ACCEPT",
        f"output {ON_NEAR} -p {OTHER} -m 3 -o -j DENY",
    )
    flows = [traffic.send("out", name) for name in ("icmp", "udp", "other")]
    left_by_wire = traffic.arrived(flows)
    first, *others = [copies(calls, name) for name in names]
    assert others == [first, first]
    assert [copy.data for copy in first[:2]] == left_by_wire
    assert [(copy.mark, copy.interface) for copy in first] == [
        (mark, NEAR.interface) for mark in (1, 2, 3)
    ]
    assert [is_of(flow, copy.data) for flow, copy in zip(flows, first, strict=True)] == [True] * 3


@statement("C4/device")
def test_device_admits_one_reader(calls: Calls, chains: Chains, traffic: Traffic) -> None:
    netlink_socket(calls, "socket")
    calls.ok("open", "device", DEVICE, "both")
    assert calls.error("open", "other", DEVICE, "both") == "EBUSY"
    chains.append(f"output {ON_NEAR} -p udp -o")
    flow = traffic.send("out", "udp")
    copy = Copy(0, NEAR.interface, *traffic.arrived([flow]))
    assert copy_of(bytes.fromhex(calls.ok("read", "device", 65535)["hex"])) == copy
    assert copies(calls, "socket") == [copy], "the sockets see it too"
    calls.ok("close", "device")
    calls.ok("open", "other", DEVICE, "both")


@statement("C4/disjoint", "R6/disjoint")
@needs("netlink-firewall")
def test_divert_ports_see_disjoint_sets(
    calls: Calls, chains: Chains, traffic: Traffic, divert: Divert
) -> None:
    protocols = ("icmp", "udp", "other")
    takers = [divert(PORT + number) for number in range(3)]
    chains.append(
        *(
            f"output {ON_NEAR} -p {NUMBERS[name]} -o -j DIVERT {taker.port}"
            for name, taker in zip(protocols, takers, strict=True)
        )
    )
    readers = ("n", "m")
    for name in readers:
        netlink_socket(calls, name)
    flows = [traffic.send("out", name) for name in (*protocols, *protocols)]
    assert traffic.arrived(flows) == []
    assert {flow.error for flow in flows} == {""}
    sets = [taker.rest() for taker in takers]
    for number, taken in enumerate(sets):
        first, second = flows[number], flows[number + 3]
        assert [is_of(first, taken[0]), is_of(second, taken[1])] == [True, True]
        assert len(taken) == 2
    # The same rules' copies go to every socket of the netlink, all of them.
    together = [Copy(0, NEAR.interface, taken[turn]) for turn in range(2) for taken in sets]
    assert {name: copies(calls, name) for name in readers} == dict.fromkeys(readers, together)
    assert chains.counts("output") == [2, 2, 2]
    traffic.control(chains, "out", flows)


@statement("C1/raw", "C3/copy", "C4/copy")
def test_three_mechanisms_that_copy_see_the_same_packet(
    guest: Machine, near: Wire, calls: Calls, chains: Chains, traffic: Traffic
) -> None:
    raw_socket(calls, "raw", 1)
    packet_socket(calls, "packet", NEAR.interface)
    netlink_socket(calls, "netlink")
    chains.append(f"input {ON_NEAR} -p icmp -o")
    flow = traffic.send("in", "icmp")
    (reply,) = left(guest, near)
    assert IP(reply)[ICMP].type == 0, "the packet was answered: none of them stops it"
    assert calls.drain("raw") == [flow.sent]
    assert captured(calls, "packet", flow) == [flow.sent]
    assert [copy.data for copy in copies(calls, "netlink")] == [flow.sent]


@statement("C1/stops", "C1/unseen", "C3/input", "C4/disjoint", "T4")
@needs("netlink-firewall")
def test_four_mechanisms_side_by_side(
    guest: Machine, near: Wire, calls: Calls, chains: Chains, traffic: Traffic, divert: Divert
) -> None:
    raw_socket(calls, "raw", 1)
    packet_socket(calls, "packet", NEAR.interface)
    netlink_socket(calls, "netlink")
    taker = divert(PORT)
    chains.append(f"input {ON_NEAR} -p icmp -o -j DIVERT {PORT}")
    flow = traffic.send("in", "icmp")
    assert left(guest, near) == [], "the divert socket stops it"
    assert calls.drain("raw") == []
    assert captured(calls, "packet", flow) == [flow.sent]
    assert [copy.data for copy in copies(calls, "netlink")] == [flow.sent]
    taken = taker.take()
    assert taken.data == flow.sent
    taker.reinject(taken)
    # Of them all only the raw socket is behind the input chain. Matches on the way there are quiet.
    (reply,) = left(guest, near)
    assert IP(reply)[ICMP].type == 0
    assert calls.drain("raw") == [flow.sent]
    assert captured(calls, "packet", flow) == []
    assert copies(calls, "netlink") == []
    assert taker.rest() == []
