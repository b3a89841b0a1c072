# SPDX-License-Identifier: GPL-2.0-only
"""T. No packet is taken twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import ICMP, IP

from divert_reference.chains import Chains
from divert_reference.fixtures import Listen
from divert_reference.programs import GUARD, GUARDED, Calls, ProcDivert
from divert_reference.traffic import FAR, NEAR, OTHER, PROTOCOLS, Traffic, hop, ip_packets
from harness.guest.machine import Machine
from harness.network.wire import Wire

statement = pytest.mark.statement

PORT = 1234
EVERYWHERE = tuple(f"{chain} -s 192.0.2.0/24 -j" for chain in ("input", "forward", "output"))


@statement("T1/way", "T4")
@pytest.mark.parametrize("path", ["in", "through", "out"])
def test_port_takes_a_packet_once_on_its_whole_way(
    path: str,
    traffic: Traffic,
    listen: Listen,
    chains: Chains,
    proc_divert: Callable[[], ProcDivert],
) -> None:
    """One port in all three chains, for all packets of the wire's hosts and this host's to them."""
    listener = listen(PORT, "--reinject")
    chains.append(*(f"{rule} DIVERT {PORT}" for rule in EVERYWHERE))
    flows = []
    for protocol in PROTOCOLS:
        flows.append(traffic.send(path, protocol))
        while flows[-1].body not in listener.next().data:
            pass  # An answer of the guest's to the packet before.
    arrived = traffic.arrived(flows)
    assert len(arrived) == len(PROTOCOLS)
    if path != "out":
        assert arrived == [flow.arrives_as() for flow in flows]
    counts = proc_divert().ports[PORT]
    assert counts.queued == 0
    seen = [each.data for each in listener.finish()]
    assert len(seen) == counts.delivered
    assert len(seen) == len(set(seen)), "one packet was taken twice"
    assert counts.injected == counts.delivered


@statement("T1/untagged", "I3/first", "T4")
@pytest.mark.parametrize("address", ["none", f"in:{NEAR.guest_ip}:0"], ids=["outbound", "inbound"])
def test_injected_untagged_is_not_taken_by_its_own_port(
    guest: Machine,
    calls: Calls,
    near: Wire,
    far: Wire,
    chains: Chains,
    proc_divert: Callable[[], ProcDivert],
    address: str,
) -> None:
    calls.ok("socket", "d", "inet", "raw", 254)
    calls.ok("bind", "d", f"in:0.0.0.0:{PORT}")
    chains.append(*(f"{rule} DIVERT {PORT}" for rule in EVERYWHERE))
    packet = bytes(IP(bytes(IP(src=NEAR.host_ip, dst=FAR.host_ip, id=21) / ICMP() / b"mine")))
    calls.ok("sendto", "d", f"hex:{packet.hex()}", address)
    guest.barrier()
    expected = packet if address == "none" else hop(packet)
    assert ip_packets(far.captured()) == [expected]
    assert calls.drain("d") == []
    assert proc_divert().ports[PORT].delivered == 0
    near.send(IP(packet))
    guest.barrier()
    assert calls.drain("d") == [packet], "come by the wire it is taken"


@statement("T1/last", "T2", "T4")
def test_another_port_takes_what_this_one_injected(
    guest: Machine, calls: Calls, far: Wire, chains: Chains, listen: Listen
) -> None:
    calls.ok("socket", "d", "inet", "raw", 254)
    calls.ok("bind", "d", f"in:0.0.0.0:{PORT}")
    other = listen(PORT + 1, "--reinject")
    chains.append(f"output -i {FAR.interface} -j DIVERT {PORT + 1}")
    packet = bytes(IP(bytes(IP(src=NEAR.host_ip, dst=FAR.host_ip, id=22) / ICMP() / b"mine")))
    calls.ok("sendto", "d", f"hex:{packet.hex()}", "none")
    assert other.next().data == packet
    guest.barrier()
    assert ip_packets(far.captured()) == [packet]
    assert len(other.finish()) == 1


@statement("T1/sent")
def test_mark_ends_when_the_packet_is_sent(
    traffic: Traffic, listen: Listen, chains: Chains, far: Wire, near: Wire, guest: Machine
) -> None:
    """What left comes back by wire as a new packet, and is taken again."""
    listener = listen(PORT, "--reinject")
    chains.append(f"input -p UDP -j DIVERT {PORT}")
    flow = traffic.send("through", "udp")
    assert listener.next().data == flow.sent
    (sent,) = traffic.arrived([flow])
    # The far host sends it back into the guest, as a router with a wrong route would.
    far.send(IP(sent))
    assert listener.next().data == sent
    assert traffic.arrived([flow]) == [sent, hop(sent)]
    assert len(listener.finish()) == 2


@statement("T4")
def test_guard_of_the_program_stops_a_loop(
    guest: Machine, near: Wire, listen: Listen, chains: Chains
) -> None:
    listener = listen(PORT)
    chains.append(f"input -i {NEAR.interface} -j DIVERT {PORT}")
    for number in range(GUARD + 5):
        near.send(IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=number + 1) / ICMP())
    assert len(listener.take(GUARD)) == GUARD
    result = listener.process.wait()
    assert result.status == GUARDED
    assert result.stdout.count('"event":"packet"') == GUARD


@statement("T4", "T1/last")
def test_two_programs_that_inject_untagged_go_on_until_their_guards_end_them(
    calls: Calls, listen: Listen, chains: Chains
) -> None:
    """Each is the last port only until the other has injected: nothing in the kernel ends it."""
    listeners = [listen(port, "--to", "zero") for port in (PORT, PORT + 1)]
    chains.append(*(f"output -i {FAR.interface} -j DIVERT {each.port}" for each in listeners))
    calls.ok("socket", "sender", "inet", "raw", OTHER)
    calls.ok("sendto", "sender", "text:round-and-round", f"in:{FAR.host_ip}:0")
    for listener in listeners:
        result = listener.process.wait()
        assert result.status == GUARDED
        assert result.stdout.count('"event":"packet"') == GUARD
