# SPDX-License-Identifier: GPL-2.0-only
"""What `./inv ping`, `send` and `run --send` do with a guest's wires: here with this session's."""

from __future__ import annotations

from pathlib import Path

import pytest
from scapy.all import rdpcap, wrpcap
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import CookedLinux, Ether

from divert_reference.chains import Chains
from divert_reference.fixtures import Divert, Listen
from divert_reference.guest import Guest
from harness.base import paths
from harness.base.errors import TestsFailedError, UserError
from harness.guest import wiretap
from harness.interactive import farhosts, ownwires, trace, tracepicture
from harness.interactive.ownwires import Plan, Sender
from harness.network import packets
from harness.network.addresses import LINKS

NEAR, FAR = LINKS


@pytest.fixture(name="served")
def _served(guest: Guest, artifacts: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """The guest's wires, for whoever looks for such below build/runs/."""
    monkeypatch.setattr(paths, "RUNS", artifacts)
    with wiretap.Server("toy", artifacts, guest.wires) as server:
        yield server


@pytest.mark.statement("R1/takes")
def test_pings_of_the_guest_and_through_it(
    served: object, chains: Chains, divert: Divert, capsys: pytest.CaptureFixture[str]
) -> None:
    farhosts.ping(count=2)
    farhosts.ping(NEAR.host_ip, wire="far", count=1, size=1400)
    said = capsys.readouterr().out
    assert f"84 bytes from {NEAR.guest_ip}: icmp_seq=2 ttl=" in said
    assert f"1428 bytes from {NEAR.host_ip}: icmp_seq=1 ttl=63 " in said
    socket = divert(1000)
    chains.append("forward -p ICMP -j DIVERT 1000")
    with pytest.raises(TestsFailedError):
        farhosts.ping(FAR.host_ip, count=1)
    assert "1 sent, 0 answered" in capsys.readouterr().out
    assert socket.take().packet[ICMP].seq == 1


@pytest.mark.statement("R1/takes")
def test_what_is_sent_and_what_passes_is_shown(
    served: object,
    chains: Chains,
    listen: Listen,
    artifacts: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    farhosts.send(f'IP(dst="{FAR.host_ip}")/UDP(sport=4000, dport=[9, 10])/b"x"')
    ways = [" ".join(line.split()[:3]) for line in capsys.readouterr().out.splitlines()]
    # The second may be sent behind the first's arrival.
    assert ways[0] == "near -> guest"
    assert sorted(ways) == [*["guest -> far"] * 2, *["near -> guest"] * 2]
    # Through a program, by a capture of another host's, with link addresses of no use here.
    listen(1000, "--reinject")
    chains.append("forward -p UDP -j DIVERT 1000")
    packet = IP(src=FAR.host_ip, dst=NEAR.host_ip) / UDP(sport=1, dport=2) / b"y"
    for name, layer in (("ether", Ether(dst="02:00:00:00:00:99")), ("cooked", CookedLinux())):
        file = artifacts / f"{name}.pcap"
        wrpcap(str(file), [layer / packet])
        farhosts.send(str(file), wire="far")
        lines = [line for line in capsys.readouterr().out.splitlines() if "UDP" in line]
        ways = [" ".join(line.split()[:3]) for line in lines]
        assert ways == ["far -> guest", "guest -> near"], lines


@pytest.mark.statement("R1/takes")
def test_command_gets_its_packets_when_it_has_bound_its_port(
    guest: Guest, chains: Chains, listen: Listen, artifacts: Path
) -> None:
    packets = artifacts / "three.pcap"
    wrpcap(str(packets), [IP(dst=NEAR.guest_ip) / UDP(dport=9) / bytes([n]) for n in range(3)])
    plan = ownwires.planned([str(packets)], str(artifacts / "seen.pcap"), "")
    chains.append("input -p UDP -j DIVERT 1000")
    sender = Sender(plan, guest)
    with ownwires.recorded(plan, guest):
        sender.begin(pytest.fail)
        program = listen(1000)
        assert [seen.packet[UDP].load for seen in program.take(3)] == [b"\0", b"\1", b"\2"]
        sender.end()
    sent = [packet for packet in rdpcap(str(artifacts / "seen.pcap")) if UDP in packet]
    assert [packet[Ether].dst for packet in sent] == [NEAR.guest_mac] * 3


@pytest.mark.statement("R1/takes")
def test_command_that_never_binds_is_told_that_nothing_was_sent(guest: Guest) -> None:
    frame = bytes(Ether(dst=NEAR.guest_mac) / IP(dst=NEAR.guest_ip) / UDP(dport=9))
    for ready, words in (("", "bound a divert port"), ("listening", "it wrote listening")):
        sender = Sender(Plan(((0, frame),), ready), guest)
        sender.begin(pytest.fail)
        sender.hear(b"something else")
        with pytest.raises(UserError, match=words):
            sender.end()
    guest.barrier()
    assert guest.near.received(lambda packet: UDP in packet) == []


def _rows(guest: Guest, frame: bytes) -> list[tuple[str, str]]:
    """The way of a frame. What the interceptor tells meanwhile is packets too, which policies
    count.
    """
    rows = tracepicture.rows(trace._follow(guest, 0, frame))
    return [(row.place, row.words.partition("  (")[0]) for row in rows]


@pytest.mark.statement("R2/path")
@pytest.mark.needs("divert")
def test_way_of_a_packet_is_told_rule_by_rule(guest: Guest, chains: Chains, listen: Listen) -> None:
    chains("-N mine")
    chains.append(
        "input -p UDP -j mine",
        "mine -p ICMP -j DENY",
        f"mine -d {FAR.host_ip} -j DIVERT 1000",
        "forward -p UDP -j ACCEPT",
        "forward -j DENY",
    )
    listen(1000, "--reinject", "--patch", "28:4142")
    packet = IP(src=NEAR.host_ip, dst=FAR.host_ip) / UDP(sport=1, dport=9, chksum=0) / b"data"
    frame = packets.encode(packet, NEAR.host_mac, NEAR.guest_mac)
    rows = _rows(guest, frame)
    assert rows[1:7] == [
        ("input", "rule 1: -p udp -j mine"),
        ("mine", f"rule 2: -d {FAR.host_ip} -j DIVERT 1000"),
        ("port 1000", "the program reads 1 packet, 1 packet reinjected"),
        ("input", "policy ACCEPT"),
        ("forward", "rule 1: -p udp -j ACCEPT"),
        ("output", "policy ACCEPT"),
    ]
    assert rows[7][1].startswith("guest -> far ")
    assert ("", "Raw load: b'data' -> b'ABta'") in rows
    # What forward denies leaves nowhere.
    packet = IP(src=NEAR.host_ip, dst=FAR.host_ip) / ICMP() / b"data"
    frame = packets.encode(packet, NEAR.host_mac, NEAR.guest_mac)
    rows = _rows(guest, frame)
    assert rows[1:] == [
        ("input", "policy ACCEPT"),
        ("forward", "rule 2: -j DENY"),
        ("", "nothing leaves the guest"),
    ]
