# SPDX-License-Identifier: GPL-2.0-only
"""X. The example interceptor."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP

from harness.machine import Machine
from harness.shell import Shell
from harness.wire import Wire
from tests.guest.chains import TARGET, Chains
from tests.guest.conftest import Listen
from tests.guest.programs import Calls
from tests.guest.traffic import FAR, NEAR, OTHER, PLACES, Traffic, ip_packets

statement = pytest.mark.statement

PORT = 1234


@statement("X1")
def test_usage_line_and_status_1(shell: Shell) -> None:
    for words in ("", "1 2", "0", "65536", "many", "12x", "-1", "--nonsense 1234"):
        result = shell.run(f"interceptor {words}")
        assert result.status == 1, words
        assert result.stdout == "", words
        assert re.search("^usage: interceptor ", result.stderr, re.MULTILINE), words


@statement("X2", "X1")
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


@statement("X3", "I2/bytes")
@pytest.mark.parametrize("program", ["interceptor --reinject", "interceptor-built"])
def test_reinject_sends_back_and_says_how_many(
    shell: Shell, chains: Chains, traffic: Traffic, program: str
) -> None:
    process = shell.start(f"{program} {PORT}", ready=r"listening on divert port \d+\n")
    chains.append(PLACES[2].rule(f"DIVERT {PORT}"))
    flow = traffic.send("through", "udp")
    process.expect(rf"reinjected {len(flow.sent)} bytes\n")
    assert traffic.arrived([flow]) == [flow.arrives_as()]


@statement("X3", "R4/append")
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


@statement("X3")
@pytest.mark.parametrize("link", [NEAR, FAR], ids=["eth1", "eth2"])
def test_multicast_sets_the_outgoing_interface(
    guest: Machine,
    listen: Listen,
    chains: Chains,
    near: Wire,
    far: Wire,
    calls: Calls,
    link: object,
) -> None:
    interface = NEAR if link is NEAR else FAR
    # Taken on input, changed into a packet to a group, and injected outbound.
    group = bytes([239, 1, 2, 3])
    listener = listen(
        PORT, "--multicast", interface.guest_ip, "--to", "zero", "--patch", f"16:{group.hex()}"
    )
    chains.append(f"input -i {NEAR.interface} -j DIVERT {PORT}")
    sent: Any = IP(src="192.0.2.50", dst=NEAR.guest_ip, id=5, ttl=4, proto=OTHER) / b"to a group"
    near.send(IP(bytes(sent)))
    sent.dst = "239.1.2.3"
    packet = bytes(IP(bytes(sent)))
    seen = listener.next()
    assert seen.error is None
    guest.barrier()
    left = {wire.name: ip_packets(wire.captured()) for wire in (near, far)}
    assert left == {
        near.name: [packet] if link is NEAR else [],
        far.name: [packet] if link is FAR else [],
    }


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


@statement("X4/no-divert", "S2/told")
def test_without_divert_the_rule_of_firewall_fails_plainly(shell: Shell) -> None:
    result = shell.run(f"interceptor --firewall {PORT}")
    assert result.status == 2
    assert "setsockopt IP_FW_APPEND" in result.stderr
    assert "(ENOENT)" in result.stderr


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
