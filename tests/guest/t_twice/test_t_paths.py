# SPDX-License-Identifier: GPL-2.0-only
"""T. No packet is taken twice: paths through several ports, the path in the name of the test.

A test's name is the way of its packet: in, out, fwd where it goes, div where it is taken. What goes
out is counted by the wire's host, what comes in by a socket of the guest's.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import ICMP, IP, UDP

from divert_reference.chains import Chains
from divert_reference.divert import DivertSocket, built, left
from divert_reference.fixtures import Divert, Listen
from divert_reference.programs import Calls, ProcDivert
from divert_reference.traffic import FAR, NEAR, PROTOCOLS, UDP_PORT, Traffic, hop
from harness.guest.machine import Machine
from harness.network.wire import Wire

statement = pytest.mark.statement

A, B, C = 1001, 1002, 1003


def heard(calls: Calls) -> Callable[[], list[bytes]]:
    """Opens a UDP socket; what it has received since it was asked last."""
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", f"in:0.0.0.0:{UDP_PORT}")
    return lambda: calls.drain("receiver")


def nothing_waits(*sockets: DivertSocket) -> bool:
    """Whether no socket has a packet that was not asked for."""
    return [socket.rest() for socket in sockets] == [[] for _ in sockets]


@statement("I1", "T4")
def test_in_div(guest: Machine, near: Wire, calls: Calls, divert: Divert, chains: Chains) -> None:
    received, socket = heard(calls), divert(A)
    chains.append(f"input -i eth1 -j DIVERT {A}")
    near.send(IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=1) / UDP(dport=UDP_PORT) / b"in")
    near.send(IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=2) / ICMP())
    assert [IP(socket.take().data).id for _ in range(2)] == [1, 2]
    assert left(guest, near) == []
    assert received() == []
    assert nothing_waits(socket)


@statement("I2/stack", "T1/way", "T4")
def test_in_div_in(
    guest: Machine, near: Wire, calls: Calls, divert: Divert, chains: Chains
) -> None:
    received, socket = heard(calls), divert(A)
    chains.append(f"input -i eth1 -j DIVERT {A}")
    near.send(IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=1) / UDP(dport=UDP_PORT) / b"in")
    near.send(IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=2) / ICMP(id=2, seq=2))
    for _ in range(2):
        socket.reinject(socket.take())
    (reply,) = (IP(data) for data in left(guest, near))
    assert (reply[ICMP].type, reply[ICMP].seq) == (0, 2)
    assert received() == [b"in"]
    assert nothing_waits(socket)


@statement("I1", "T4")
def test_out_div(
    guest: Machine, near: Wire, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    socket = divert(A)
    chains.append(f"output -i eth1 -j DIVERT {A}")
    flow = traffic.send("out", "udp")
    assert flow.error == "", "its sender sees success"
    assert flow.body in socket.take().data
    assert left(guest, near) == []
    assert nothing_waits(socket)
    traffic.control(chains, "out", [flow])


@statement("I2/bytes", "T1/way", "T4")
def test_out_div_out(
    guest: Machine, near: Wire, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    socket = divert(A)
    chains.append(f"output -i eth1 -j DIVERT {A}")
    traffic.send("out", "udp")
    taken = socket.take()
    socket.reinject(taken)
    assert left(guest, near) == [taken.data]
    assert nothing_waits(socket)


@statement("T2", "T1/way", "T4")
@pytest.mark.parametrize("between", [False, True], ids=["two-ports", "three-ports"])
def test_in_div_in_fwd_out_div_out(
    between: bool,
    traffic: Traffic,
    listen: Listen,
    chains: Chains,
    proc_divert: Callable[[], ProcDivert],
) -> None:
    """Input to A, forward to C in one of the cases, output to B; each once, and the wire once."""
    ports = [A, C, B] if between else [A, B]
    listeners = [listen(port, "--reinject") for port in ports]
    chains.append(f"input -i eth1 -j DIVERT {A}", f"output -i eth2 -j DIVERT {B}")
    if between:
        chains.append(f"forward -i eth2 -j DIVERT {C}")
    flows = []
    for protocol in PROTOCOLS:
        flow = traffic.send("through", protocol)
        flows.append(flow)
        seen = [each.next().data for each in listeners]
        assert seen == [flow.sent, *[flow.arrives_as()] * (len(ports) - 1)]
    assert traffic.arrived(flows) == [flow.arrives_as() for flow in flows]
    assert [len(each.finish()) for each in listeners] == [len(flows)] * len(ports)
    assert proc_divert().ports == {}


@statement("T2", "T1/untagged", "T4")
def test_injected_in_fwd_out_div_out(
    guest: Machine, far: Wire, divert: Divert, chains: Chains
) -> None:
    """What A injects inbound, untagged, meets B's rules on forward and output, A's nowhere."""
    first, second, third = divert(A), divert(B), divert(C)
    chains.append(*(f"{chain} -p UDP -j DIVERT {A}" for chain in ("input", "forward", "output")))
    chains.append(f"forward -p UDP -j DIVERT {B}", f"output -p UDP -j DIVERT {C}")
    packet = built(IP(src=NEAR.host_ip, dst=FAR.host_ip, id=1, ttl=9) / UDP() / b"injected")
    first.inject(packet, f"in:{NEAR.guest_ip}:0")
    for socket in (second, first, third):
        # Last injected through B, A may have it again on output; and C has its rule behind A's.
        taken = socket.take()
        assert taken.data == hop(packet)
        socket.reinject(taken)
    assert left(guest, far) == [hop(packet)]
    assert nothing_waits(first, second, third)


@statement("T1/last", "T2", "T4")
def test_in_div_in_fwd_div_fwd_out_div_out(
    traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    """A on input and on output with B between: A sees it twice, since B was the last."""
    first, second = divert(A), divert(B)
    chains.append(
        f"input -i eth1 -j DIVERT {A}",
        f"forward -i eth2 -j DIVERT {B}",
        f"output -i eth2 -j DIVERT {A}",
    )
    flow = traffic.send("through", "udp")
    for socket in (first, second, first):
        socket.reinject(socket.take())
    assert traffic.arrived([flow]) == [flow.arrives_as()]
    assert nothing_waits(first, second)


@statement("I2/ttl", "T1/way", "T4")
def test_in_div_in_fwd_out(traffic: Traffic, divert: Divert, chains: Chains) -> None:
    """FreeBSD's in>div>in>fwd>out: counted once by the far host, its TTL lowered once."""
    socket = divert(A)
    chains.append(*(f"{chain} -s {NEAR.host_ip} -j DIVERT {A}" for chain in ("input", "forward")))
    chains.append(f"output -s {NEAR.host_ip} -j DIVERT {A}")
    flow = traffic.send("through", "udp")
    socket.reinject(socket.take())
    assert traffic.arrived([flow]) == [hop(flow.sent)]
    assert nothing_waits(socket)


@statement("I3/zero", "T1/untagged", "T4")
def test_in_div_out(
    guest: Machine, near: Wire, calls: Calls, divert: Divert, chains: Chains
) -> None:
    """in>div>out: the program answers in the place of the stack, which never sees the question."""
    received, socket = heard(calls), divert(A)
    chains.append(f"input -i eth1 -j DIVERT {A}", f"output -i eth1 -j DIVERT {A}")
    question = IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=1) / UDP(sport=53, dport=UDP_PORT)
    near.send(question / b"a question")
    asked = IP(socket.take().data)
    answer = IP(src=asked.dst, dst=asked.src, id=2, ttl=64)
    answer = answer / UDP(sport=asked[UDP].dport, dport=asked[UDP].sport) / b"an answer"
    socket.inject(built(answer), "in:0.0.0.0:0")
    assert left(guest, near) == [built(answer)]
    assert received() == []
    assert nothing_waits(socket)


@statement("I3/inbound", "T1/untagged", "T4")
def test_out_div_in(
    guest: Machine, near: Wire, calls: Calls, divert: Divert, chains: Chains
) -> None:
    """out>div>in: what the guest sends comes back to it as if its neighbour had answered."""
    received, socket = heard(calls), divert(A)
    chains.append(f"output -i eth1 -j DIVERT {A}", f"input -i eth1 -j DIVERT {A}")
    calls.ok("sendto", "receiver", "text:question", f"in:{NEAR.host_ip}:53")
    sent = IP(socket.take().data)
    back = IP(src=sent.dst, dst=sent.src, id=2, ttl=64)
    back = back / UDP(sport=sent[UDP].dport, dport=sent[UDP].sport) / b"an answer"
    socket.inject(built(back), f"in:{NEAR.guest_ip}:0")
    assert left(guest, near) == []
    assert received() == [b"an answer"]
    assert nothing_waits(socket)
    chains.flush()
    calls.ok("sendto", "receiver", "text:question", f"in:{NEAR.host_ip}:53")
    assert len(left(guest, near)) == 1, "without the rule the question leaves"


@statement("T1/loopback", "T1/sent", "T4")
@pytest.mark.parametrize("address", ["127.0.0.1", NEAR.guest_ip])
def test_out_div_out_lo_in_div_in(
    address: str, guest: Machine, calls: Calls, divert: Divert, chains: Chains
) -> None:
    """The loopback has sent it, so its way has ended: the same port takes it again on input."""
    received, socket = heard(calls), divert(A)
    chains.append(f"output -i lo -p UDP -j DIVERT {A}", f"input -i lo -p UDP -j DIVERT {A}")
    calls.ok("sendto", "receiver", "text:around", f"in:{address}:{UDP_PORT}")
    out = socket.take()
    assert out.interface == "0.0.0.0"
    assert nothing_waits(socket)
    socket.reinject(out)
    come_in = socket.take()
    assert (come_in.data, come_in.interface) == (out.data, "127.0.0.1")
    assert received() == []
    socket.reinject(come_in)
    guest.barrier()
    assert received() == [b"around"]
    assert nothing_waits(socket)


@statement("T1/loopback", "I3/zero")
def test_injected_out_lo_in_div_in(
    guest: Machine, calls: Calls, divert: Divert, chains: Chains
) -> None:
    """Injected outbound to this host itself it comes in by the loopback, as a new packet."""
    received, socket = heard(calls), divert(A)
    chains.append(f"input -i lo -p UDP -j DIVERT {A}", f"output -i lo -p UDP -j DIVERT {A}")
    header = IP(src=NEAR.guest_ip, dst=NEAR.guest_ip, id=1)
    packet = built(header / UDP(sport=9, dport=UDP_PORT) / b"to myself")
    socket.inject(packet)
    taken = socket.take()
    assert (taken.data, taken.interface) == (packet, "127.0.0.1")
    socket.reinject(taken)
    guest.barrier()
    assert received() == [b"to myself"]
    assert nothing_waits(socket)


@statement("T2", "R6/disjoint", "T4")
def test_two_ports_at_once(traffic: Traffic, listen: Listen, chains: Chains) -> None:
    """Two programs, two kinds of packet, interleaved: none sees or delays the other's."""
    udp, icmp = listen(A, "--reinject"), listen(B, "--reinject")
    chains.append(f"input -i eth1 -p UDP -j DIVERT {A}", f"input -i eth1 -p ICMP -j DIVERT {B}")
    kinds = ["udp", "icmp", "icmp", "udp", "icmp", "udp"]
    flows = [traffic.send("in", kind) for kind in kinds]
    for listener, kind in ((udp, "udp"), (icmp, "icmp")):
        wanted = [flow.sent for flow in flows if flow.protocol == kind]
        assert [seen.data for seen in listener.take(3)] == wanted
    assert len(traffic.arrived(flows)) == len(kinds)
    assert len(udp.finish()) == len(icmp.finish()) == 3
