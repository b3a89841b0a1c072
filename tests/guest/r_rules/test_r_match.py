# SPDX-License-Identifier: GPL-2.0-only
"""R1. A DIVERT rule takes what it matches, and nothing else: every kind of match of ipchains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP

from divert_reference.chains import PACKETS, Chains
from divert_reference.divert import built, left
from divert_reference.fixtures import Divert, Listen
from divert_reference.programs import ProcDivert
from divert_reference.traffic import (
    FAR,
    NEAR,
    PLACES,
    PROTOCOLS,
    Place,
    Traffic,
    hop,
    ip_packets,
)
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire

statement = pytest.mark.statement
through = pytest.mark.parametrize("place", PLACES[1:4], ids=lambda place: place.name)

PORT = 1234


def packet(layers: object, **header: object) -> bytes:
    """A packet from wire 0's host to wire 1's, with these changes to its header."""
    values = {"src": NEAR.host_ip, "dst": FAR.host_ip, "id": 0x71, "ttl": 9, **header}
    return built(IP(**values) / layers)


U = packet(UDP(sport=1000, dport=2000) / b"udp")
SYN, ACK, SYN_ACK = (packet(TCP(sport=1, dport=2, flags=flags)) for flags in ("S", "A", "SA"))
ECHO, REPLY = packet(ICMP(type=8)), packet(ICMP(type=0))
ODD = packet(b"protocol 99", proto=99)
FROM_77 = packet(UDP(sport=1000, dport=2000), src="192.0.2.77")
# Another host on wire 1.
OTHER_HOST = "198.51.100.77"
TO_77 = packet(UDP(sport=1000, dport=2000), dst=OTHER_HOST)
UNREACHABLE = {code: packet(ICMP(type=3, code=code)) for code in (0, 1, 3, 9)}


def ports(source: int, destination: int) -> bytes:
    """A UDP datagram with these ports."""
    return packet(UDP(sport=source, dport=destination) / b"ports")


@dataclass(frozen=True)
class Row:
    """A match in ipchains' words ({own}, {other}: interfaces), what it takes and what it leaves."""

    case: str
    words: str
    takes: tuple[bytes, ...]
    leaves: tuple[bytes, ...]


TABLE = (
    Row("source", f"-s {NEAR.host_ip}", (U,), (FROM_77,)),
    Row("source", "-s 192.0.2.64/26", (FROM_77,), (U,)),
    Row("source", "-s 192.0.2.77/255.255.0.255", (FROM_77,), (U,)),
    Row("source", f"-s ! {NEAR.host_ip}", (FROM_77,), (U,)),
    Row("source", "-s ! 192.0.2.64/26", (U,), (FROM_77,)),
    Row("destination", f"-d {FAR.host_ip}", (U,), (TO_77,)),
    Row("destination", "-d 198.51.100.64/26", (TO_77,), (U,)),
    Row("destination", f"-d ! {FAR.host_ip}", (TO_77,), (U,)),
    Row("destination", f"-s {NEAR.host_ip} -d {FAR.host_ip}", (U,), (TO_77, FROM_77)),
    Row("protocol", "-p UDP", (U,), (SYN, ECHO, ODD)),
    Row("protocol", "-p TCP", (SYN, ACK), (U, ECHO)),
    Row("protocol", "-p ICMP", (ECHO, REPLY), (U, SYN)),
    Row("protocol", "-p 99", (ODD,), (U,)),
    Row("protocol", "-p all", (U, SYN, ECHO, ODD), ()),
    Row("protocol", "-p ! UDP", (SYN, ECHO, ODD), (U,)),
    Row("ports", "-p UDP -s 0/0 1000", (U,), (ports(999, 2000), ports(1001, 2000), ports(9, 1000))),
    Row("ports", "-p UDP -s 0/0 990:1000", (ports(990, 1), U), (ports(989, 1), ports(1001, 1))),
    Row("ports", "-p UDP -d 0/0 2000", (U,), (ports(1000, 1999), ports(2000, 1000), SYN)),
    Row("ports", "-p UDP -d 0/0 2000:", (U, ports(1, 65535)), (ports(1, 1999),)),
    Row("ports", "-p UDP -d 0/0 :2000", (U, ports(1, 1)), (ports(1, 2001),)),
    Row("ports", "-p UDP -s 0/0 ! 1000", (ports(999, 1), ports(1001, 1)), (U,)),
    Row(
        "ports", "-p UDP -d 0/0 ! 1990:2000", (ports(1, 1989), ports(1, 2001)), (U, ports(1, 1990))
    ),
    Row("ports", "-p UDP -s 0/0 1000 -d 0/0 2000", (U,), (ports(1000, 1), ports(1, 2000))),
    Row("ports", "-p TCP -d 0/0 2", (SYN, ACK), (packet(TCP(sport=2, dport=3)), ports(1, 2))),
    Row("icmp", "-p ICMP --icmp-type echo-request", (ECHO,), (REPLY, UNREACHABLE[0])),
    Row("icmp", "-p ICMP -s 0/0 3", tuple(UNREACHABLE.values()), (ECHO, REPLY)),
    Row("icmp", "-p ICMP --icmp-type host-unreachable", (UNREACHABLE[1],), (UNREACHABLE[0], ECHO)),
    Row("icmp", "-p ICMP -s 0/0 3 -d 0/0 1:3", (UNREACHABLE[1], UNREACHABLE[3]), (UNREACHABLE[9],)),
    Row("icmp", "-p ICMP -s 0/0 ! 8", (REPLY,), (ECHO,)),
    Row("interface", "-i {own}", (U,), ()),
    Row("interface", "-i {other}", (), (U,)),
    Row("interface", "-i eth+ -s 192.0.2.0/24", (U,), ()),
    Row("interface", "-i lo+", (), (U,)),
    Row("interface", "-i ! {other} -s 192.0.2.0/24", (U,), ()),
    Row("interface", "-i ! {own} -s 192.0.2.0/24", (), (U,)),
    Row("interface", "-i ! eth+ -s 192.0.2.0/24", (), (U,)),
    Row("syn", "-p TCP -y", (SYN,), (ACK, SYN_ACK, U)),
    Row("syn", "-p TCP ! -y", (ACK, SYN_ACK), (SYN,)),
    Row("fragment", "! -f", (U, SYN), ()),
    Row("fragment", "-f", (), (U, SYN)),
)
CASES = sorted({row.case for row in TABLE})


@statement("R1/takes", "R1/leaves", "R2/hooks")
@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case, marks=statement(f"R1/{case}")) for case in CASES]
)
@through
def test_takes_what_the_rule_matches_and_nothing_else(
    case: str,
    place: Place,
    guest: Machine,
    near: Wire,
    far: Wire,
    shell: Shell,
    divert: Divert,
    chains: Chains,
) -> None:
    shell.check(f"arp -s {OTHER_HOST} {FAR.host_mac}")
    socket = divert(PORT)
    own, other = (
        (NEAR.interface, FAR.interface)
        if place.chain == "input"
        else (FAR.interface, NEAR.interface)
    )
    for row in (row for row in TABLE if row.case == case):
        chains.flush()
        words = row.words.format(own=own, other=other)
        # Whatever else it says, no rule here may match the management network.
        interface = "" if "-i" in words.split() else place.match
        chains.append(f"{place.chain} {interface} {words} -j DIVERT {PORT}")
        for each in (*row.leaves, *row.takes, *row.leaves):
            near.send(IP(each))
        passed = left(guest, far)
        seen = row.takes if place.chain == "input" else tuple(map(hop, row.takes))
        assert tuple(socket.rest()) == seen, words
        assert passed == [hop(each) for each in row.leaves * 2], words
        assert chains.counts(place.chain) == [len(row.takes)], words


FRAGMENT = packet(b"x" * 24, frag=3, proto=17)
FIRST = packet(UDP(sport=1000, dport=2000) / (b"x" * 16), flags="MF")


@statement("R1/fragment", "F1/input", "F1/forward", "F1/output")
@through
def test_rule_for_fragments_takes_those_behind_the_first(
    place: Place, guest: Machine, near: Wire, far: Wire, divert: Divert, chains: Chains
) -> None:
    """Neither a SYN's presence nor its absence, nor any port, is seen in one."""
    socket = divert(PORT)
    late_tcp = packet(b"x" * 24, frag=3, proto=6)
    rows = (
        ("-f", [FRAGMENT, late_tcp], [U, FIRST]),
        ("! -f", [U, FIRST], [FRAGMENT, late_tcp]),
        ("-p UDP -d 0/0 2000", [U, FIRST], [FRAGMENT]),
        ("-p UDP -d 0/0 ! 9", [U, FIRST], [FRAGMENT]),
        ("-p UDP", [U, FIRST, FRAGMENT], [late_tcp]),
        ("-p TCP -y", [SYN], [late_tcp]),
        ("-p TCP ! -y", [ACK], [late_tcp]),
    )
    for words, takes, leaves in rows:
        chains.flush()
        chains.append(f"{place.chain} {place.match} {words} -j DIVERT {PORT}")
        for each in (*takes, *leaves):
            near.send(IP(each))
        passed = left(guest, far)
        assert socket.rest() == (takes if place.chain == "input" else list(map(hop, takes))), words
        assert passed == list(map(hop, leaves)), words


@statement("R1/takes", "R1/leaves")
def test_rule_that_does_not_match_does_not_take(
    traffic: Traffic, listen: Listen, chains: Chains, proc_divert: Callable[[], ProcDivert]
) -> None:
    listener = listen(PORT)
    chains.append(
        *(f"{chain} -s 203.0.113.1 -j DIVERT {PORT}" for chain in ("input", "forward", "output"))
    )
    flows = [traffic.send("through", protocol) for protocol in PROTOCOLS]
    assert traffic.arrived(flows) == [flow.arrives_as() for flow in flows]
    assert proc_divert().ports[PORT].delivered == 0
    chains.append(f"forward -s {NEAR.host_ip} -j DIVERT {PORT}")
    control = traffic.send("through", "udp")
    assert listener.next().data == control.at("forward"), "one that matches does"
    assert len(listener.finish()) == 1


@statement("R1/takes", "R1/leaves")
def test_rule_counts_what_it_takes(
    traffic: Traffic, listen: Listen, chains: Chains, far: Wire
) -> None:
    listener = listen(PORT)
    chains.append(f"forward -i {FAR.interface} -p UDP -j DIVERT {PORT}")
    flows = [traffic.send("through", protocol) for protocol in ("udp", "icmp", "udp")]
    assert [seen.data for seen in listener.take(2)] == [
        flow.at("forward") for flow in (flows[0], flows[2])
    ]
    assert traffic.arrived(flows) == [flows[1].arrives_as()]
    assert ip_packets(far.captured()) == [flows[1].arrives_as()]
    assert [row[PACKETS] for row in chains.rows("forward")] == ["2"]
