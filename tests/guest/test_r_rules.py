# SPDX-License-Identifier: GPL-2.0-only
"""R. Rules."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP

from harness.machine import Machine
from harness.wire import Wire
from tests.guest.chains import PACKETS, TARGET, Chains
from tests.guest.conftest import Listen
from tests.guest.programs import Calls, ProcDivert
from tests.guest.traffic import FAR, NEAR, PLACES, PROTOCOLS, Traffic, ip_packets

statement = pytest.mark.statement

PORT = 1234

UDP_A = UDP(sport=1000, dport=2000)
SYN, ACK = TCP(sport=1, dport=2, flags="S"), TCP(sport=1, dport=2, flags="A")
ECHO, REPLY = ICMP(type=8), ICMP(type=0)
HERE = {"src": NEAR.host_ip, "dst": NEAR.guest_ip}


def packet(layers: object, **header: object) -> IP:
    """A packet of wire 0's host for the guest, with these changes to its header."""
    return IP(bytes(IP(**{**HERE, **header}) / layers))


# What a rule can match: the words of ipchains, a packet that it takes, and one that it does not.
MATCH_TABLE = (
    ("source", f"-s {NEAR.host_ip}", packet(UDP_A), packet(UDP_A, src="192.0.2.77")),
    ("source-net", "-s 192.0.2.64/26", packet(UDP_A, src="192.0.2.77"), packet(UDP_A)),
    ("destination", f"-d {FAR.guest_ip}", packet(UDP_A, dst=FAR.guest_ip), packet(UDP_A)),
    ("protocol", "-p UDP", packet(UDP_A), packet(SYN)),
    ("protocol-number", "-p 99", packet(b"x", proto=99), packet(UDP_A)),
    ("source-ports", "-p UDP -s 0/0 990:1000", packet(UDP_A), packet(UDP(sport=1001, dport=9))),
    ("destination-port", "-p TCP -d 0/0 2", packet(SYN), packet(TCP(sport=2, dport=3))),
    ("icmp-type", "-p ICMP --icmp-type echo-request", packet(ECHO), packet(REPLY)),
    ("syn", "-p TCP -y", packet(SYN), packet(ACK)),
    ("not-source", f"-s ! {NEAR.host_ip}", packet(UDP_A, src="192.0.2.77"), packet(UDP_A)),
    ("not-protocol", "-p ! UDP", packet(ECHO), packet(UDP_A)),
    ("not-interface", f"-i ! {FAR.interface} -s 192.0.2.0/24", packet(UDP_A), None),
)


@statement("R1")
def test_takes_what_the_rule_matches_and_nothing_else(
    guest: Machine, near: Wire, calls: Calls, chains: Chains
) -> None:
    calls.ok("socket", "d", "inet", "raw", 254)
    calls.ok("bind", "d", f"in:0.0.0.0:{PORT}")
    for name, words, matching, other in MATCH_TABLE:
        chains("-F input")
        # Whatever else it says, no rule here may match the management network.
        interface = "" if "-i" in words.split() else f"-i {NEAR.interface}"
        chains.append(f"input {interface} {words} -j DIVERT {PORT}")
        for each in (other, matching, other):
            if each is not None:
                near.send(each)
        guest.barrier()
        assert calls.drain("d") == [bytes(matching)], name


@statement("R1", "F1/input")
def test_rule_for_fragments_takes_those_behind_the_first(
    guest: Machine, near: Wire, calls: Calls, chains: Chains
) -> None:
    calls.ok("socket", "d", "inet", "raw", 254)
    calls.ok("bind", "d", f"in:0.0.0.0:{PORT}")
    chains.append(f"input -i {NEAR.interface} -f -j DIVERT {PORT}")
    later = packet(b"x" * 24, id=5, frag=3, proto=17)
    for each in (packet(UDP_A), later):
        near.send(each)
    guest.barrier()
    assert calls.drain("d") == [bytes(later)]


@statement("R1")
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
    assert listener.finish() == []


@statement("R2/path")
@pytest.mark.parametrize(
    ("path", "counts"), [("in", (1, 0, 0)), ("through", (1, 1, 1)), ("out", (0, 0, 1))]
)
def test_path_through_the_chains(
    traffic: Traffic, chains: Chains, path: str, counts: tuple[int, int, int]
) -> None:
    """A rule without a target counts, and the packet goes on: 2.2.12's own path."""
    names = ("input", "forward", "output")
    chains.append(
        f"input -i {NEAR.interface} -p UDP",
        f"forward -i {FAR.interface} -p UDP",
        f"output -i {FAR.interface if path == 'through' else NEAR.interface} -p UDP",
    )
    flow = traffic.send(path, "udp")
    assert len(traffic.arrived([flow])) == 1
    assert tuple(chains.counts(name)[0] for name in names) == counts


@statement("R2/user-chains")
@pytest.mark.parametrize("chain", ["input", "forward", "output"])
def test_works_in_chains_reached_from_them(
    traffic: Traffic, listen: Listen, chains: Chains, chain: str
) -> None:
    listener = listen(PORT)
    place = next(place for place in PLACES if place.chain == chain and place.path == "through")
    chains("-N first")
    chains("-N second")
    chains.append(place.rule("first"), "first -p UDP -j second", f"second -j DIVERT {PORT}")
    udp, icmp = traffic.send("through", "udp"), traffic.send("through", "icmp")
    assert listener.next().data == udp.at(chain)
    assert traffic.arrived([udp, icmp]) == [icmp.arrives_as()]
    assert len(listener.finish()) == 1


@statement("R2/order", "T2")
def test_forwarded_packet_meets_input_then_forward_then_output(
    traffic: Traffic, listen: Listen, chains: Chains
) -> None:
    listeners = {
        name: listen(port, "--reinject")
        for port, name in enumerate(("input", "forward", "output"), PORT)
    }
    chains.append(
        f"input -i {NEAR.interface} -j DIVERT {PORT}",
        f"forward -i {FAR.interface} -j DIVERT {PORT + 1}",
        f"output -i {FAR.interface} -j DIVERT {PORT + 2}",
    )
    flow = traffic.send("through", "udp")
    for name, listener in listeners.items():
        assert listener.next().data == flow.at(name)
    assert traffic.arrived([flow]) == [flow.arrives_as()]
    for listener in listeners.values():
        assert len(listener.finish()) == 1


@statement("R3")
def test_ipchains_lists_what_was_set(chains: Chains) -> None:
    chains(f"-A input -p ICMP -j DIVERT {PORT}")
    chains("-I input -p UDP -d 0/0 53 -j DIVERT 65535")
    chains("-A input -i eth1 -j DIVERT 1")

    def listed() -> list[tuple[str, str]]:
        return [(row[TARGET], row[-1]) for row in chains.rows("input")]

    assert listed() == [("DIVERT", "65535"), ("DIVERT", str(PORT)), ("DIVERT", "1")]
    assert all(f" {port}" in chains("-L input -n") for port in (1, PORT, 65535))
    chains("-R input 2 -p ICMP -j DIVERT 4321")
    assert listed() == [("DIVERT", "65535"), ("DIVERT", "4321"), ("DIVERT", "1")]
    # -D knows the port too: one that differs in it is not the same rule.
    assert chains.run(f"-D input -p ICMP -j DIVERT {PORT}").status != 0
    chains("-D input -p ICMP -j DIVERT 4321")
    chains("-D input 1")
    assert listed() == [("DIVERT", "1")]


@statement("R3")
def test_ipchains_saves_what_restores(chains: Chains, guest: Machine) -> None:
    chains(f"-A input -p ICMP -s 192.0.2.0/24 -j DIVERT {PORT}")
    chains("-A forward -p TCP -y -j DIVERT 65535")
    saved = chains("-S")

    def listed() -> list[list[list[str]]]:
        return [chains.rows(name) for name in ("input", "forward", "output")]

    before = listed()
    assert f"-j DIVERT {PORT}" in saved
    assert "-j DIVERT 65535" in saved
    chains.flush()
    for line in saved.splitlines():
        if line.startswith("-A"):
            chains(line)
    assert listed() == before
    assert [len(rows) for rows in before] == [1, 1, 0]


@statement("R3")
@pytest.mark.parametrize("listening", [False, True], ids=["nobody", "listener"])
def test_ipchains_check_answers_diverted(chains: Chains, listen: Listen, listening: bool) -> None:
    listener = listen(PORT) if listening else None
    chains(f"-A input -i {NEAR.interface} -p UDP -j DIVERT {PORT}")
    probe = f"-C input -i {NEAR.interface} -s {NEAR.host_ip} 1 -d {NEAR.guest_ip} 2"
    assert chains(f"{probe} -p UDP").split() == ["diverted"]
    assert chains(f"{probe} -p TCP").split() == ["accepted"]
    if listener is not None:
        assert listener.finish() == [], "a test diverts nothing"


@statement("R3")
def test_ipchains_refuses_what_is_no_port(chains: Chains) -> None:
    ports = ("", " 0", " 65536", " -1", " many", " 12x")
    refused = [f"-A input -i {NEAR.interface} -j DIVERT{port}" for port in ports]
    for words in (*refused, "-P input DIVERT", f"-P input DIVERT {PORT}"):
        result = chains.run(words)
        assert result.status not in (0, 126, 127), words
        assert not result.signal, words
        assert "ipchains:" in result.stderr, words
    assert chains("-L -n").count("DIVERT") == 0
    assert "Chain input (policy ACCEPT):" in chains("-L input -n")


def rule(chain: str, label: str, port: int, protocol: int = 17) -> bytes:
    """struct ip_fwchange of 2.2.12: struct ip_fw, the target's label, the chain's label."""
    everywhere = bytes(16)  # source, destination and their masks
    numbers = struct.pack(
        "<IHHH4HHH", 0, protocol, 0, 0, 0, 0xFFFF, 0, 0xFFFF, port, 0
    )  # mark, protocol, flags, inversions, ports, the divert port, output size
    interface, tos = bytes(16), b"\xff\x00"
    fw = everywhere + numbers + interface + tos
    labels = label.encode().ljust(9, b"\0"), chain.encode().ljust(9, b"\0")
    user = (fw + labels[0]).ljust(68, b"\0")
    return (user + labels[1]).ljust(80, b"\0")


def insert(number: int, change: bytes) -> bytes:
    """struct ip_fwnew: the rule's number before struct ip_fwchange."""
    return struct.pack("<I", number) + change


@statement("R4")
def test_program_sets_rules_by_setsockopt(
    calls: Calls, chains: Chains, traffic: Traffic, listen: Listen
) -> None:
    assert len(rule("input", "DIVERT", PORT)) == 80
    listener = listen(PORT)
    calls.ok("socket", "fw", "inet", "raw", 255)
    divert = rule("forward", "DIVERT", PORT).hex()
    calls.ok("setsockopt", "fw", "ip", "fw_append", f"hex:{rule('forward', 'DENY', 0).hex()}")
    calls.ok("setsockopt", "fw", "ip", "fw_insert", f"hex:{insert(1, bytes.fromhex(divert)).hex()}")
    first, _ = chains.rows("forward")
    assert (first[TARGET], first[-1]) == ("DIVERT", str(PORT))
    flow = traffic.send("through", "udp")
    assert listener.next().data == flow.at("forward")
    calls.ok("setsockopt", "fw", "ip", "fw_delete", f"hex:{divert}")
    assert [row[TARGET] for row in chains.rows("forward")] == ["DENY"]
    calls.ok("setsockopt", "fw", "ip", "fw_append", f"hex:{divert}")
    assert [row[TARGET] for row in chains.rows("forward")] == ["DENY", "DIVERT"]
    assert len(listener.finish()) == 1


@statement("R4")
def test_errors_of_setsockopt(calls: Calls, chains: Chains) -> None:
    calls.ok("socket", "fw", "inet", "raw", 255)
    change = rule("input", "DIVERT", PORT)
    for wrong in (change[:-1], change + b"\0", change[:40], b""):
        value = f"hex:{wrong.hex()}"
        assert calls.error("setsockopt", "fw", "ip", "fw_append", value) == "EINVAL", len(wrong)
    for option, structure in (
        ("fw_append", rule("input", "DIVERT", 0)),
        ("fw_insert", insert(1, rule("input", "DIVERT", 0))),
    ):
        value = f"hex:{structure.hex()}"
        assert calls.error("setsockopt", "fw", "ip", option, value) == "EINVAL"
    assert chains.rows("input") == []
    calls.ok("capdrop", "net_admin")
    value = f"hex:{change.hex()}"
    assert calls.error("setsockopt", "fw", "ip", "fw_append", value) == "EACCES"
    assert chains.rows("input") == []


@statement("R5")
def test_kernel_without_divert_refuses_the_target(calls: Calls, chains: Chains) -> None:
    calls.ok("socket", "fw", "inet", "raw", 255)
    value = f"hex:{rule('input', 'DIVERT', PORT).hex()}"
    assert calls.error("setsockopt", "fw", "ip", "fw_append", value) == "ENOENT"
    result = chains.run(f"-A input -p ICMP -j DIVERT {PORT}")
    assert result.status == 1
    assert result.stderr.startswith("ipchains: No target by that name")
    assert chains.rows("input") == []


@statement("R6")
def test_each_listener_sees_its_own_packets(
    traffic: Traffic, listen: Listen, chains: Chains
) -> None:
    listeners = {name: listen(port) for port, name in enumerate(PROTOCOLS, 2000)}
    numbers = {"icmp": "ICMP", "udp": "UDP", "tcp": "TCP", "other": "99"}
    chains.append(
        *(
            f"forward -i {FAR.interface} -p {numbers[name]} -j DIVERT {listener.port}"
            for name, listener in listeners.items()
        )
    )
    flows = {name: [traffic.send("through", name) for _ in range(3)] for name in PROTOCOLS}
    for name, listener in listeners.items():
        assert [seen.data for seen in listener.take(3)] == [
            flow.at("forward") for flow in flows[name]
        ], name
    assert traffic.arrived([flow for some in flows.values() for flow in some]) == []
    for name, listener in listeners.items():
        assert len(listener.finish()) == 3, name


@statement("R1")
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
