# SPDX-License-Identifier: GPL-2.0-only
"""R1. What a rule does besides taking a packet; and what 2.2.12 blocks before any rule."""

from __future__ import annotations

import re

import pytest
from scapy.layers.inet import IP, TCP, UDP

from divert_reference.chains import Chains
from divert_reference.divert import built, left
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, PLACES, Place, Traffic, header_is_right, hop
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.sockets import hexed

statement = pytest.mark.statement
needs = pytest.mark.needs
INPUT, INPUT_THROUGH, FORWARD, OUTPUT_THROUGH, OUTPUT = PLACES
places = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)

PORT = 1234


@statement("R1/tos")
@places
def test_what_is_read_has_the_tos_of_the_rule(
    place: Place, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    """And so has what goes on, its header checksum right."""
    socket = divert(PORT)
    chains.append(f"{place.chain} {place.match} -p UDP -t 01 10 -j DIVERT {PORT}")
    flow = traffic.send(place.path, "udp")
    taken = socket.take()
    assert header_is_right(taken.data)
    assert taken.data[1] == 0x10
    if flow.sent:
        expected = IP(flow.at(place.chain))
        expected.tos = 0x10
        del expected.chksum
        assert taken.data == bytes(expected)
    socket.reinject(taken)
    (arrived,) = traffic.arrived([flow])
    assert header_is_right(arrived)
    assert arrived[1] == 0x10


@statement("R1/mark", "R1/netlink")
@places
@needs("netlink-firewall")
def test_netlink_copy_has_packet_mark_and_interface(
    place: Place, traffic: Traffic, divert: Divert, calls: Calls, chains: Chains
) -> None:
    """Length and mark in 32 bits each, 16 bytes of name, the packet: of what the rule takes."""
    socket = divert(PORT)
    calls.ok("socket", "netlink", "netlink", "raw", 3)
    calls.ok("bind", "netlink", "nl:0:1")
    chains.append(f"{place.chain} {place.match} -p UDP -m 7 -o -j DIVERT {PORT}")
    traffic.send(place.path, "icmp")
    traffic.send(place.path, "udp")
    taken = socket.take()
    (copy,) = calls.drain("netlink")
    assert int.from_bytes(copy[4:8], "little") == 7
    assert copy[8:24].split(b"\0")[0].decode() == place.match.split()[-1]
    assert copy[24 : 24 + len(taken.data)] == taken.data
    assert socket.rest() == []


@statement("R1/log")
@places
def test_log_names_target_and_port(
    place: Place, shell: Shell, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    socket = divert(PORT)
    chains.append(f"{place.chain} {place.match} -p UDP -l -j DIVERT {PORT}")
    traffic.send(place.path, "icmp")
    traffic.send(place.path, "udp")
    assert len(socket.take().data) > 28
    logged = re.findall(r"Packet log: (.*) PROTO=(\d+)", shell.check("dmesg"))
    interface = place.match.split()[-1]
    assert logged == [(f"{place.chain} DIVERT {PORT} {interface}", "17")]


@statement("R1/both-ways")
def test_rule_for_both_directions(
    guest: Machine, near: Wire, far: Wire, divert: Divert, chains: Chains
) -> None:
    """-b sets two rules, with source and destination the other way round, and removes both."""
    socket = divert(PORT)
    words = f"forward -b -p UDP -s {NEAR.host_ip} 1000 -d {FAR.host_ip} 2000 -j DIVERT {PORT}"
    chains.append(words)
    there = IP(src=NEAR.host_ip, dst=FAR.host_ip, id=1, ttl=9) / UDP(sport=1000, dport=2000)
    back = IP(src=FAR.host_ip, dst=NEAR.host_ip, id=2, ttl=9) / UDP(sport=2000, dport=1000)
    neither = IP(src=FAR.host_ip, dst=NEAR.host_ip, id=3, ttl=9) / UDP(sport=1000, dport=2000)
    near.send(there)
    assert left(guest, far) == []
    far.send(back)
    far.send(neither)
    assert left(guest, near) == [hop(built(neither))]
    assert socket.rest() == [hop(built(there)), hop(built(back))]
    assert chains.counts("forward") == [1, 1]
    chains(f"-D {words}")
    assert chains.rows("forward") == []


def header(number: int, **fields: object) -> IP:
    """A header from wire 0's host to wire 1's."""
    return IP(src=NEAR.host_ip, dst=FAR.host_ip, id=number, ttl=9, **fields)


SEGMENT = bytes(TCP(sport=1, dport=2, flags="S") / (b"data" * 6))

# What 2.2.12 blocks before any rule, beside what differs from it by the least that matters.
BLOCKED = {
    "tcp-at-8": built(header(1, proto=6, frag=1) / SEGMENT[8:]),
    "tcp-at-8-more": built(header(2, proto=6, frag=1, flags="MF") / SEGMENT[8:32]),
    "short-tcp": built(header(3, proto=6, flags="MF") / SEGMENT[:8]),
    "empty-udp": built(header(4, proto=17, flags="MF")),
    "empty-icmp": built(header(5, proto=1, flags="MF")),
}
NOT_BLOCKED = {
    "tcp-at-16": built(header(11, proto=6, frag=2) / SEGMENT[16:]),
    "udp-at-8": built(header(12, proto=17, frag=1) / (b"data" * 4)),
    "tcp-of-16": built(header(13, proto=6, flags="MF") / SEGMENT[:16]),
    "udp-of-8": built(header(14, proto=17, flags="MF") / bytes(UDP(sport=1, dport=2))),
    "other-of-0": built(header(15, proto=99, flags="MF")),
    "short-but-whole": built(header(16, proto=6) / SEGMENT[:8]),
}


@statement("R1/blocked-wire")
@pytest.mark.parametrize("place", PLACES[1:3], ids=lambda place: place.name)
def test_blocked_before_any_rule_from_the_wire(
    place: Place, guest: Machine, near: Wire, far: Wire, chains: Chains
) -> None:
    """A rule that matches everything counts none of them (input sees to it, before forward)."""
    chains.append(f"{place.chain} {place.match} -j ACCEPT")
    for name, data in BLOCKED.items():
        near.send(IP(data))
        assert left(guest, far) == [], name
    assert chains.counts(place.chain) == [0]
    for name, data in NOT_BLOCKED.items():
        near.send(IP(data))
        assert left(guest, far) == [hop(data)], name
    assert chains.counts(place.chain) == [len(NOT_BLOCKED)]


@statement("R1/blocked")
def test_blocked_before_any_rule_on_output(
    guest: Machine, far: Wire, calls: Calls, chains: Chains
) -> None:
    """Sent by a raw socket with IP_HDRINCL, which is told."""
    calls.ok("socket", "h", "inet", "raw", "raw")
    chains.append(f"output -i {FAR.interface} -j ACCEPT")
    for name, data in BLOCKED.items():
        assert calls.error("sendto", "h", hexed(data), f"in:{FAR.host_ip}:0") == "EPERM", name
    assert left(guest, far) == []
    assert chains.counts("output") == [0]
    for data in NOT_BLOCKED.values():
        calls.ok("sendto", "h", hexed(data), f"in:{FAR.host_ip}:0")
    assert left(guest, far) == list(NOT_BLOCKED.values())
    assert chains.counts("output") == [len(NOT_BLOCKED)]


@statement("R1/blocked-divert", "R1/leaves", "I6/deny")
def test_no_divert_rule_takes_what_is_blocked(
    guest: Machine, near: Wire, far: Wire, calls: Calls, divert: Divert, chains: Chains
) -> None:
    """On output, and on input, where always-defragment keeps them back besides."""
    socket, injector = divert(PORT), divert(PORT + 1)
    chains.append(f"output -i {FAR.interface} -j DIVERT {PORT}")
    chains.append(f"input -i {NEAR.interface} -j DIVERT {PORT}")
    calls.ok("socket", "h", "inet", "raw", "raw")
    for name, data in BLOCKED.items():
        assert calls.error("sendto", "h", hexed(data), f"in:{FAR.host_ip}:0") == "EPERM", name
        assert injector.refused(data) == "EPERM", name
        near.send(IP(data))
    assert left(guest, far) == []
    assert socket.rest() == []
    for data in NOT_BLOCKED.values():
        calls.ok("sendto", "h", hexed(data), f"in:{FAR.host_ip}:0")
    assert socket.rest() == list(NOT_BLOCKED.values())
    # And so on input, of what always-defragment does not wait for the rest of.
    whole = NOT_BLOCKED["short-but-whole"]
    near.send(IP(whole))
    guest.barrier()
    assert socket.rest() == [whole]
    chains.flush()
    calls.ok("sendto", "h", hexed(whole), f"in:{FAR.host_ip}:0")
    assert left(guest, far) == [whole], "without a rule it leaves"


# The kind, the header, and no rule's number.
SUSPECT = re.compile(
    r"Suspect (.*) fragment\.\n.*?(\S+) PROTO=(\d+) (\S+):\d+ (\S+):\d+ L=(\d+) S=0x00 I=(\d+) "
    r"F=0x(....) T=9 +\(#0\)"
)


@statement("R1/blocked-log")
def test_log_tells_of_what_is_blocked(shell: Shell, calls: Calls, chains: Chains) -> None:
    # Without a rule or a socket the module looks at nothing.
    chains.append(f"output -i {FAR.interface} -j ACCEPT")
    calls.ok("socket", "h", "inet", "raw", "raw")
    kinds = {"tcp-at-8": "TCP", "short-tcp": "short first", "empty-udp": "short first"}
    expected = []
    for name, kind in kinds.items():
        data = BLOCKED[name]
        assert calls.error("sendto", "h", hexed(data), f"in:{FAR.host_ip}:0") == "EPERM", name
        ip = IP(data)
        fragment = int.from_bytes(data[6:8], "big")
        words = (FAR.interface, str(ip.proto), NEAR.host_ip, FAR.host_ip, str(ip.len), str(ip.id))
        expected.append((kind, *words, f"{fragment:04X}"))
    assert SUSPECT.findall(shell.check("dmesg")) == expected


@statement("R1/fragment")
def test_fragments_on_output_by_a_raw_socket(
    guest: Machine, far: Wire, calls: Calls, divert: Divert, chains: Chains
) -> None:
    """Where always-defragment shows fragments too: they were made by the program."""
    socket = divert(PORT)
    calls.ok("socket", "h", "inet", "raw", "raw")
    late, whole = NOT_BLOCKED["tcp-at-16"], NOT_BLOCKED["short-but-whole"]
    chains.append(f"output -i {FAR.interface} -f -s {NEAR.host_ip} -p UDP -j DIVERT {PORT}")
    for data in (late, NOT_BLOCKED["udp-at-8"], NOT_BLOCKED["udp-of-8"], whole):
        calls.ok("sendto", "h", hexed(data), f"in:{FAR.host_ip}:0")
    assert left(guest, far) == [late, NOT_BLOCKED["udp-of-8"], whole]
    assert socket.rest() == [NOT_BLOCKED["udp-at-8"]]


@statement("R1/user-chain", "R2/user-chains")
@places
def test_user_defined_chains(
    place: Place, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    """Through two of them; RETURN, and one that is fallen off, lead on behind the jump."""
    first, second = divert(PORT), divert(PORT + 1)
    chains("-N one")
    chains("-N two")
    chains("-N three")
    chains.append(
        place.rule("three"),
        place.rule("one"),
        f"{place.chain} {place.match} -p TCP -j DIVERT {PORT + 1}",
        "one -p TCP -j RETURN",
        "one -p UDP -j two",
        "one -p 99 -j DENY",
        f"two -j DIVERT {PORT}",
    )
    flows = {name: traffic.send(place.path, name) for name in ("udp", "tcp", "other", "icmp")}
    assert traffic.arrived([flows["icmp"]])
    assert traffic.arrived([flows["udp"], flows["tcp"], flows["other"]]) == []
    (udp,), (tcp,) = first.rest(), second.rest()
    if place.path != "out":
        assert (udp, tcp) == (flows["udp"].at(place.chain), flows["tcp"].at(place.chain))
    assert (udp[9], tcp[9]) == (17, 6)
    assert flows["other"].error == ("EPERM" if place.path == "out" else "")
