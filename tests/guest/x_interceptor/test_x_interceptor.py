# SPDX-License-Identifier: GPL-2.0-only
"""X. The example interceptor."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP

from divert_reference.chains import TARGET, Chains
from divert_reference.fixtures import Listen
from divert_reference.programs import GUARD, Calls
from divert_reference.traffic import FAR, NEAR, OTHER, PLACES, Traffic, ip_packets
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire

statement = pytest.mark.statement

PORT = 1234


@statement("X1/usage")
def test_usage_line_and_status_1(shell: Shell) -> None:
    for words in ("", "1 2", "0", "65536", "many", "12x", "-1", "--nonsense 1234"):
        result = shell.run(f"interceptor {words}")
        assert result.status == 1, words
        assert result.stdout == "", words
        assert re.search("^usage: interceptor ", result.stderr, re.MULTILINE), words


@statement("X2/hex", "X2/addresses", "X2/interface", "X2/protocol", "X1/port")
def test_prints_every_packet(shell: Shell, chains: Chains, traffic: Traffic) -> None:
    process = shell.start(f"interceptor {PORT}", ready=rf"listening on divert port {PORT}\n")
    chains.append(PLACES[0].rule(f"DIVERT {PORT}"))
    flow = traffic.send("in", "icmp")
    text = process.expect(r"packet 1: (?s:.*)protocol \d+\n")[0]
    assert text.startswith(f"packet 1: {len(flow.sent)} bytes\n")
    hexadecimal = " ".join(f"{byte:02x}" for byte in flow.sent[:40])
    assert hexadecimal in " ".join(text.split())
    assert f"source {NEAR.host_ip}, destination {NEAR.guest_ip}" in text
    assert f"interface {NEAR.guest_ip}, protocol 1\n" in text


@statement("X2/every", "X2/hex", "X2/interface", "X3/neither", "I1")
def test_prints_packets_of_every_length_on_both_ways_and_drops_them(
    guest: Machine, shell: Shell, near: Wire, far: Wire, chains: Chains, calls: Calls
) -> None:
    process = shell.start(f"interceptor {PORT}", ready=rf"listening on divert port {PORT}\n")
    chains.append(
        f"input -i {NEAR.interface} -p {OTHER} -j DIVERT {PORT}",
        f"output -i {FAR.interface} -p {OTHER} -j DIVERT {PORT}",
    )
    lengths = (20, 39, 40, 41, 1500)
    packets = [
        bytes(IP(src=NEAR.host_ip, dst=FAR.host_ip, id=9, proto=OTHER) / bytes(length - 20))
        for length in lengths
    ]
    for packet in packets:
        near.send(IP(packet))
    calls.ok("socket", "raw", "inet", "raw", OTHER)
    calls.ok("sendto", "raw", "text:outbound", f"in:{FAR.host_ip}:0")
    text = process.expect(rf"packet {len(lengths) + 1}: (?s:.*)protocol \d+\n")[0]
    whole = process.output.decode()
    assert text in whole
    blocks = whole.split("packet ")[1:]
    for number, (block, packet) in enumerate(zip(blocks, packets, strict=False), 1):
        head, *rest = block.splitlines()
        assert head == f"{number}: {len(packet)} bytes"
        dump = [line for line in rest if re.fullmatch(r" +([0-9a-f]{2} ?)+", line)]
        assert bytes.fromhex("".join(dump)) == packet[:40]
        assert f"  source {NEAR.host_ip}, destination {FAR.host_ip}" in rest
        assert f"  interface {NEAR.guest_ip}, protocol {OTHER}" in rest
    assert f"  interface 0.0.0.0, protocol {OTHER}" in blocks[-1].splitlines()
    assert len(blocks) == len(lengths) + 1
    assert "reinjected" not in whole
    guest.barrier()
    assert ip_packets(far.captured()) == []
    assert len(chains.rows("output")) == 1, "no rule of its own"


@statement("X2/every", "X1/port")
def test_goes_on_for_ever_unless_told(shell: Shell, near: Wire, chains: Chains) -> None:
    """As the HOWTO's does: the guard of T4 is `--limit`, which nobody has given here."""
    process = shell.start(f"interceptor {PORT}", ready=rf"listening on divert port {PORT}\n")
    chains.append(f"input -i {NEAR.interface} -p {OTHER} -j DIVERT {PORT}")
    for number in range(1, GUARD + 6):
        near.send(IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=number, proto=OTHER) / b"again")
        process.expect(rf"packet {number}: 25 bytes\n")
    process.signal("INT")
    assert process.wait().status == 0


@statement("X3/reinject", "X3/reinject-built", "I2/bytes")
@pytest.mark.parametrize("program", ["interceptor --reinject", "interceptor-built"])
def test_reinject_sends_back_and_says_how_many(
    shell: Shell, chains: Chains, traffic: Traffic, program: str
) -> None:
    process = shell.start(f"{program} {PORT}", ready=r"listening on divert port \d+\n")
    chains.append(PLACES[2].rule(f"DIVERT {PORT}"))
    flow = traffic.send("through", "udp")
    process.expect(rf"reinjected {len(flow.sent)} bytes\n")
    assert traffic.arrived([flow]) == [flow.arrives_as()]


@statement("X3/firewall", "X3/firewall-built", "X3/sigint", "R4/append")
@pytest.mark.parametrize("program", ["interceptor --firewall --reinject", "interceptor-built"])
def test_firewall_sets_its_rule_and_removes_it(
    guest: Machine, shell: Shell, near: Wire, chains: Chains, program: str
) -> None:
    process = shell.start(f"{program} {PORT}", ready=r"listening on divert port \d+\n")
    (row,) = chains.rows("output")
    assert (row[TARGET], row[TARGET + 1], row[-1]) == ("DIVERT", "icmp", str(PORT))
    near.send(IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=1) / ICMP(type=8, seq=4) / b"ping")
    process.expect(r"reinjected \d+ bytes\n")
    guest.barrier()
    (reply,) = ip_packets(near.captured())
    assert IP(reply)[ICMP].type == 0
    process.signal("INT")
    assert process.wait().status == 0
    assert chains.rows("output") == []


@statement("X3/multicast", "X3/multicast-built")
@pytest.mark.parametrize(
    ("program", "number"),
    [
        (f"interceptor --multicast {NEAR.guest_ip}", 0),
        (f"interceptor --multicast {FAR.guest_ip}", 1),
        # Built with the address of the second.
        ("interceptor-built", 1),
    ],
    ids=["eth1", "eth2", "built"],
)
def test_multicast_sets_the_outgoing_interface(
    guest: Machine, shell: Shell, chains: Chains, program: str, number: int
) -> None:
    # Taken on input, changed into a packet to a group, and injected outbound.
    group = bytes([239, 1, 2, 3])
    words = f"--to zero --patch 16:{group.hex()} {PORT}"
    process = shell.start(f"{program} {words}", ready=r"listening on divert port \d+\n")
    chains.append(f"input -i {NEAR.interface} -j DIVERT {PORT}")
    sent: Any = IP(src="192.0.2.50", dst=NEAR.guest_ip, id=5, ttl=4, proto=OTHER) / b"to a group"
    guest.wires[0].send(IP(bytes(sent)))
    process.expect(rf"reinjected {len(sent)} bytes\n")
    sent.dst = "239.1.2.3"
    guest.barrier()
    left = [ip_packets(wire.captured()) for wire in guest.wires]
    assert left[number] == [bytes(IP(bytes(sent)))]
    assert left[1 - number] == []


@statement("X4/says-why", "S4/in-use")
def test_says_what_failed_and_why(shell: Shell, listen: Listen) -> None:
    listen(PORT)
    result = shell.run(f"interceptor {PORT}")
    assert result.status == 2
    assert result.stderr == "interceptor: bind: Address already in use (EADDRINUSE)\n"
    rows = [
        json.loads(line) for line in shell.run(f"interceptor --json {PORT}").stdout.split("\n")[:-1]
    ]
    assert rows[0]["event"] == "error"
    assert (rows[0]["call"], rows[0]["error"]) == ("bind", "EADDRINUSE")


@statement("X4/injection", "I6/address")
def test_says_why_a_packet_was_not_sent_back(
    guest: Machine, near: Wire, listen: Listen, chains: Chains
) -> None:
    listener = listen(PORT, "--to", "203.0.113.1")
    chains.append(f"input -i {NEAR.interface} -j DIVERT {PORT}")
    near.send(IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=1) / ICMP())
    seen = listener.next()
    assert (seen.reinjected, seen.error) == (None, "EADDRNOTAVAIL")
    assert listener.stop().status == 2


@statement("X4/calls")
@pytest.mark.parametrize("form", ["", "--json "], ids=["text", "json"])
def test_a_call_that_fails_before_the_first_packet(shell: Shell, form: str) -> None:
    result = shell.run(f"interceptor {form}--multicast 203.0.113.1 {PORT}")
    assert result.status == 2
    assert re.search(r"IP_MULTICAST_IF.*EADDRNOTAVAIL", result.stdout if form else result.stderr)


@statement("X4/calls", "X3/sigint")
def test_a_rule_that_cannot_be_removed_is_told(shell: Shell, chains: Chains) -> None:
    process = shell.start(f"interceptor --firewall {PORT}", ready=r"listening on .*\n")
    chains.flush()
    process.signal("INT")
    result = process.wait()
    assert result.status == 2
    assert re.search(r"interceptor: setsockopt IP_FW_DELETE: .*\(EINVAL\)", result.stderr)


@statement("X4/no-divert", "S2/told")
def test_without_divert_the_rule_of_firewall_fails_plainly(
    shell: Shell, expected: Callable[[str], str]
) -> None:
    result = shell.run(f"interceptor --firewall {PORT}")
    assert result.status == 2
    assert "setsockopt IP_FW_APPEND" in result.stderr
    assert f"({expected('rule-without-divert-sockets')})" in result.stderr


@statement("X4/packets")
def test_json_has_one_object_a_line(listen: Listen, chains: Chains, traffic: Traffic) -> None:
    listener = listen(PORT, "--reinject", "--count", "2")
    chains.append(PLACES[2].rule(f"DIVERT {PORT}"))
    for protocol in ("udp", "icmp"):
        traffic.send("through", protocol)
    result = listener.process.wait()
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["event"] for row in rows] == ["listening", "packet", "packet", "end"]
    assert (rows[-1]["reason"], rows[-1]["packets"]) == ("count", 2)
    assert result.status == 0


@statement("X5/run")
def test_program_in_the_howtos_manner_works(
    guest: Machine, shell: Shell, near: Wire, chains: Chains
) -> None:
    process = shell.start(f"howto {PORT} 2", ready=rf"waiting on port {PORT}\n")
    for number in range(2):
        near.send(IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=9 + number) / ICMP(type=8) / b"howto")
        process.expect(
            rf"33 bytes, protocol 1, type 0, from {NEAR.guest_ip} to {NEAR.host_ip} at 0\.0\.0\.0\n"
        )
        process.expect(r"sent 33 bytes\n")
    assert process.wait().status == 0
    guest.barrier()
    assert [IP(data)[ICMP].type for data in ip_packets(near.captured())] == [0, 0]
    assert chains.rows("output") == [], "it has removed its rule"
