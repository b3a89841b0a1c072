# SPDX-License-Identifier: GPL-2.0-only
"""T. No packet is taken twice: the second walk, up to the rule that took the packet (T3)."""

from __future__ import annotations

import re

import pytest
from scapy.layers.inet import ICMP, IP, UDP

from divert_reference.chains import Chains
from divert_reference.divert import built
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls
from divert_reference.traffic import (
    NEAR,
    PLACES,
    PROTOCOLS,
    UDP_PORT,
    Place,
    Traffic,
    ip_packets,
)
from harness.guest.shell import Shell
from harness.network.wire import Wire

statement = pytest.mark.statement
needs = pytest.mark.needs
places = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
# One on each hook, where the paths through it do not differ.
hooks = pytest.mark.parametrize(
    "place", [PLACES[0], PLACES[2], PLACES[4]], ids=lambda place: place.name
)

PORT = 1234
OTHER_UDP_PORT = 4999
# What a program that gives a packet back is told when a rule of the hook refuses it.
TOLD = {"input": "", "forward": "", "output": "EPERM"}
# What REJECT sends to the source of a packet that came by wire: an ICMP code of type 3.
HOST_UNREACHABLE, PORT_UNREACHABLE = 1, 3
REJECTED = {
    "input": PORT_UNREACHABLE,
    "input-through": PORT_UNREACHABLE,
    "forward": HOST_UNREACHABLE,
    "output-through": HOST_UNREACHABLE,
}


def with_port(data: bytes, port: int) -> bytes:
    """A UDP packet to another port, its checksum right."""
    packet = IP(data)
    packet[UDP].dport = port
    del packet[UDP].chksum
    return built(packet)


@statement("T3/verdicts", "I6/deny", "I6/reject")
@pytest.mark.parametrize("target", ["DENY", "REJECT"])
@places
def test_rule_inserted_before_refuses_what_is_given_back(
    place: Place,
    target: str,
    traffic: Traffic,
    near: Wire,
    divert: Divert,
    calls: Calls,
    chains: Chains,
    icmp_errors: None,
) -> None:
    socket = divert(PORT)
    chains.append(place.rule(f"DIVERT {PORT}"))
    flow = traffic.send(place.path, "udp")
    taken = socket.take()
    chains(f"-I {place.chain} 1 {place.match} -p UDP -j {target}")
    row = calls("sendto", socket.name, f"hex:{taken.data.hex()}", taken.address)
    assert row.get("error", "") == TOLD[place.chain]
    assert traffic.arrived([flow]) == []
    # An error quotes the header of its packet, and in it the identification.
    codes = [
        IP(data)[ICMP].code
        for data in ip_packets(near.captured())
        if data[9] == 1 and data[20] == 3 and data[32:34] == flow.sent[4:6]
    ]
    refused = [REJECTED[place.name]] if target == "REJECT" and place.name in REJECTED else []
    assert codes == refused
    # The guest is well: without that rule the same packet goes on.
    chains(f"-D {place.chain} 1")
    socket.reinject(taken)
    assert traffic.arrived([flow]) == [taken.data if place.chain != "input" else flow.arrives_as()]
    assert socket.rest() == []


@statement("T3/verdicts")
@places
def test_changed_packet_meets_a_rule_that_it_did_not_match(
    place: Place, traffic: Traffic, divert: Divert, calls: Calls, chains: Chains
) -> None:
    socket = divert(PORT)
    chains.append(
        f"{place.chain} {place.match} -p UDP -d 0/0 {OTHER_UDP_PORT} -j DENY",
        place.rule(f"DIVERT {PORT}"),
    )
    flow = traffic.send(place.path, "udp")
    taken = socket.take()
    changed = with_port(taken.data, OTHER_UDP_PORT)
    row = calls("sendto", socket.name, f"hex:{changed.hex()}", taken.address)
    assert row.get("error", "") == TOLD[place.chain]
    assert traffic.arrived([flow]) == []
    assert socket.rest() == []
    traffic.control(chains, place.path, [flow])


@statement("T3/verdicts")
@hooks
def test_accepting_rule_inserted_before_ends_the_walk(
    place: Place, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    first, second = divert(PORT), divert(PORT + 1)
    chains.append(place.rule(f"DIVERT {PORT}"), place.rule(f"DIVERT {PORT + 1}"))
    flow = traffic.send(place.path, "udp")
    taken = first.take()
    chains(f"-I {place.chain} 1 {place.match} -j ACCEPT")
    first.reinject(taken)
    assert len(traffic.arrived([flow])) == 1
    assert first.rest() == second.rest() == []


@statement("T3/verdicts")
def test_rule_that_jumps_and_returns_is_walked_again(
    traffic: Traffic, divert: Divert, calls: Calls, chains: Chains
) -> None:
    """A user-defined chain before the rule still judges, here once by RETURN and once by DENY."""
    socket = divert(PORT)
    chains("-N guard")
    chains.append(
        f"guard -p UDP -d 0/0 {UDP_PORT} -j RETURN",
        "guard -p UDP -j DENY",
        f"output -i {NEAR.interface} -j guard",
        f"output -i {NEAR.interface} -j DIVERT {PORT}",
    )
    flow = traffic.send("out", "udp")
    taken = socket.take()
    changed = with_port(taken.data, OTHER_UDP_PORT)
    assert socket.refused(changed, taken.address) == "EPERM"
    socket.reinject(taken)
    assert traffic.arrived([flow]) == [taken.data]


@statement("T3/count", "I2/bytes", "T4")
@places
def test_each_rule_counts_a_packet_once(
    place: Place, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    socket = divert(PORT)
    chains("-N before")
    chains.append(
        "before",
        f"{place.chain} {place.match} -j before",
        f"{place.chain} {place.match}",
        place.rule(f"DIVERT {PORT}"),
        f"{place.chain} {place.match}",
        place.rule("ACCEPT"),
    )
    flows = []
    for number, protocol in enumerate(PROTOCOLS[:2], 1):
        flows.append(traffic.send(place.path, protocol))
        taken = socket.take()
        # ACCEPT and what comes before it count when the packet gets there, not when it is taken.
        assert chains.counts(place.chain) == [number, number, number, number - 1, number - 1]
        socket.reinject(taken)
        traffic.arrived([])
        assert chains.counts(place.chain) == [number] * 5
        assert chains.counts("before") == [number]
    assert len(traffic.arrived(flows)) == 2


@statement("T3/log")
@hooks
def test_each_rule_logs_a_packet_once(
    place: Place, traffic: Traffic, divert: Divert, shell: Shell, chains: Chains
) -> None:
    socket = divert(PORT)
    chains.append(
        f"{place.chain} {place.match} -p UDP -l",
        f"{place.chain} {place.match} -p UDP -l -j DIVERT {PORT}",
        f"{place.chain} {place.match} -p UDP -l",
    )
    flow = traffic.send(place.path, "udp")
    socket.reinject(socket.take())
    assert len(traffic.arrived([flow])) == 1
    words = re.findall(r"Packet log: (\w+) (.+) eth", shell.check("dmesg"))
    # A rule without a target is a dash.
    assert words == [(place.chain, "-"), (place.chain, f"DIVERT {PORT}"), (place.chain, "-")]


@statement("T3/copy")
@hooks
@needs("netlink-firewall")
def test_each_rule_copies_a_packet_to_the_netlink_once(
    place: Place, traffic: Traffic, divert: Divert, calls: Calls, chains: Chains
) -> None:
    socket = divert(PORT)
    calls.ok("socket", "netlink", "netlink", "raw", 3)
    calls.ok("bind", "netlink", "nl:0:1")
    chains.append(
        f"{place.chain} {place.match} -p UDP -o",
        f"{place.chain} {place.match} -p UDP -o -j DIVERT {PORT}",
    )
    flow = traffic.send(place.path, "udp")
    taken = socket.take()
    assert len(calls.drain("netlink")) == 2
    chains.append(f"{place.chain} {place.match} -p UDP -o")
    socket.reinject(taken)
    assert len(traffic.arrived([flow])) == 1
    assert len(calls.drain("netlink")) == 1, "that of the rule behind"


@statement("T3/tos")
@hooks
def test_type_of_service_is_not_changed_again_before_the_rule(
    place: Place, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    socket = divert(PORT)
    chains.append(
        f"{place.chain} {place.match} -t 01 10",
        f"{place.chain} {place.match} -t 01 10 -j DIVERT {PORT}",
    )
    flow = traffic.send(place.path, "udp")
    taken = socket.take()
    assert IP(taken.data).tos == 0x10, "the rule has set it before it took the packet"
    changed = IP(taken.data)
    changed.tos = 0x08
    del changed.chksum
    socket.reinject(taken, built(changed))
    (arrived,) = traffic.arrived([flow])
    assert IP(arrived).tos == 0x08


@statement("T3/tos", "I2/changed")
@hooks
def test_type_of_service_is_changed_by_a_rule_behind(
    place: Place, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    socket = divert(PORT)
    chains.append(place.rule(f"DIVERT {PORT}"), f"{place.chain} {place.match} -t 01 10")
    flow = traffic.send(place.path, "udp")
    socket.reinject(socket.take())
    (arrived,) = traffic.arrived([flow])
    assert IP(arrived).tos == 0x10


@statement("I2/mark")
@hooks
@needs("netlink-firewall")
def test_mark_is_set_as_before(
    place: Place, traffic: Traffic, divert: Divert, calls: Calls, chains: Chains
) -> None:
    """The netlink's copy tells it: length and mark in 32 bits each."""
    socket = divert(PORT)
    calls.ok("socket", "netlink", "netlink", "raw", 3)
    calls.ok("bind", "netlink", "nl:0:1")
    match = f"{place.chain} {place.match}"
    for marks, mark in ((("7",), 7), (("+7", "+2"), 9), (("+7", "5"), 5)):
        chains.flush()
        chains.append(*(f"{match} -m {each}" for each in marks))
        chains.append(f"{match} -j DIVERT {PORT}", f"{match} -o")
        traffic.send(place.path, "udp")
        socket.reinject(socket.take())
        (copy,) = calls.drain("netlink")
        assert int.from_bytes(copy[4:8], "little") == mark, marks
