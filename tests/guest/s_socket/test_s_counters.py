# SPDX-License-Identifier: GPL-2.0-only
"""S11, S12. /proc/net/divert; and protocol 254 on the wire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, IPOption_Router_Alert

from divert_reference.chains import Chains
from divert_reference.programs import Calls, Counters, ProcDivert
from divert_reference.traffic import FAR, NEAR, PLACES, Place, Traffic, hop, ip_packets
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.sockets import (
    FILLER_PORT,
    LARGEST,
    Filler,
    bound,
    hexed,
    ipv4,
    received,
    smallest,
)

statement = pytest.mark.statement
needs = pytest.mark.needs
Proc = Callable[[], ProcDivert]

PORT = 1234
DIVERT = 254


@statement("S11/filter")
@needs("socket-filters")
def test_what_a_socket_filter_refuses_is_not_dropped_for_a_full_queue(
    guest: Machine, calls: Calls, near: Wire, chains: Chains, proc_divert: Proc
) -> None:
    """It is gone all the same, and its sender sees success."""
    filler = Filler(calls, chains, PORT)
    bound(calls, "d", PORT)
    calls.ok("setsockopt", "d", "socket", "attach_filter", "filter:0")
    filler.send(LARGEST)
    chains.append(f"output -i {NEAR.interface} -j DIVERT {PORT}")
    calls.ok("send", "filler", hexed(ipv4(src=NEAR.guest_ip, dst=NEAR.host_ip)))
    guest.barrier()
    assert ip_packets(near.captured()) == []
    assert calls.drain("d") == []
    assert proc_divert() == ProcDivert(
        {PORT: Counters(0, 0, 0, 0), FILLER_PORT: Counters(0, 0, 0, 2)}, 0
    )
    # What it lets through is delivered; without room for it, that is what is counted.
    calls.ok("setsockopt", "d", "socket", "attach_filter", "filter:65535")
    smallest(calls, "d")
    filler.send(LARGEST, 2)
    assert proc_divert().ports[PORT] == Counters(LARGEST, 1, 1, 0)
    chains.flush()
    packet = ipv4(src=NEAR.guest_ip, dst=NEAR.host_ip)
    calls.ok("send", "filler", hexed(packet))
    guest.barrier()
    assert ip_packets(near.captured())[-1] == packet, "without the rule it leaves"


@statement("S11/bound")
def test_lists_the_bound_sockets_and_no_others(calls: Calls, proc_divert: Proc) -> None:
    assert proc_divert() == ProcDivert({}, 0)
    # In one bucket of the table: each is found, and each can go, first, last and in the middle.
    ports = [PORT + 1024 * number for number in range(5)]
    for port in ports:
        calls.ok("socket", f"s{port}", "inet", "raw", "divert")
    assert proc_divert().ports == {}
    for port in ports:
        calls.ok("bind", f"s{port}", f"in:0.0.0.0:{port}")
    left = set(ports)
    assert set(proc_divert().ports) == left
    for number in (4, 2, 0, 3, 1):
        calls.ok("close", f"s{ports[number]}")
        left.remove(ports[number])
        assert set(proc_divert().ports) == left


@statement("S11/queued", "S11/delivered", "S11/dropped", "S11/injected", "S11/no-listener")
def test_counts_exactly(calls: Calls, chains: Chains, proc_divert: Proc) -> None:
    filler = Filler(calls, chains, PORT)
    bound(calls, "idle", PORT + 1)
    bound(calls, "d", PORT)
    filler.send(100, 3)
    filler.send(77)
    assert proc_divert().ports[PORT] == Counters(377, 4, 0, 0)
    # What is looked at stays queued; what is read, in part or whole, is not queued any more.
    calls.ok("recv", "d", 65535, "peek")
    calls.ok("recv", "d", 1)
    calls.ok("recv", "d", 65535)
    assert proc_divert().ports[PORT] == Counters(177, 4, 0, 0)
    calls.drain("d")
    smallest(calls, "d")
    filler.send(LARGEST, 3)
    filler.send(20)
    assert proc_divert().ports[PORT] == Counters(LARGEST, 5, 3, 0)
    calls.ok("close", "d")
    filler.send(20, 6)
    # What is refused is not injected.
    for packet in (ipv4()[:19], ipv4(version=5), ipv4()):
        calls("sendto", "filler", hexed(packet), "in:203.0.113.1:0")
    # A number of its own for each socket, and a new one with the same port begins anew.
    bound(calls, "d", PORT)
    assert proc_divert() == ProcDivert(
        {
            FILLER_PORT: Counters(0, 0, 0, 4 + 4 + 6),
            PORT + 1: Counters(0, 0, 0, 0),
            PORT: Counters(0, 0, 0, 0),
        },
        6,
    )


@statement("S11/no-listener", "R6/disjoint")
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_counts_what_met_no_listener_at_every_hook(
    place: Place, chains: Chains, traffic: Traffic, calls: Calls, proc_divert: Proc
) -> None:
    bound(calls, "d", PORT)
    bound(calls, "other", PORT + 2)
    chains.append(f"{place.chain} {place.match} -p UDP -j DIVERT {PORT}")
    chains.append(f"{place.chain} {place.match} -p 99 -j DIVERT {PORT + 1}")
    flows = [traffic.send(place.path, protocol) for protocol in ("udp", "other", "other")]
    traffic.guest.barrier()
    now = proc_divert()
    assert now.no_listener == 2
    assert {port: row.delivered for port, row in now.ports.items()} == {PORT: 1, PORT + 2: 0}
    assert [flows[0].body in data for data in calls.drain("d")] == [True]


@statement("S11/many", "S11/bound")
def test_is_whole_in_whatever_pieces_it_is_read(shell: Shell) -> None:
    """300 sockets are four pages; some of them share buckets of the table."""
    for first in (1000, 2024, 65000):
        shell.start(f"binders --per-process 100 {first} 100", ready=r'"bound":100\b')
    text = shell.check("cat /proc/net/divert")
    assert sorted(ProcDivert.parse(text).ports) == [
        *range(1000, 1100),
        *range(2024, 2124),
        *range(65000, 65100),
    ]
    for size in (1, 7, 49, 50, 51, 1000, 3072, 4096, 65535):
        script = f"dd if=/proc/net/divert bs={size} 2>/dev/null"
        assert shell.check(script, seconds=60) == text, size
    # From anywhere, its end and what is behind it too.
    for skip in (49, 50, 51, 5000, len(text) - 51, len(text) - 1, len(text), len(text) + 100):
        script = f"dd if=/proc/net/divert bs={skip} skip=1 2>/dev/null"
        assert shell.check(script) == text[skip:], skip


@statement("S11/readable")
def test_everybody_may_read_it_and_nobody_write(shell: Shell, calls: Calls) -> None:
    bound(calls, "d", PORT)
    calls.ok("setuid", 1000)
    assert calls.error("open", "proc", "/proc/net/divert", "write") == "EACCES"
    calls.ok("open", "proc", "/proc/net/divert", "read")
    data = received(calls.ok("read", "proc", 4096))
    assert ProcDivert.parse(data.decode()).ports == {PORT: Counters(0, 0, 0, 0)}


def of_254(**fields: Any) -> bytes:
    """A packet of protocol 254 from wire 0's host."""
    return ipv4(DIVERT, b"protocol 254", **fields)


@pytest.mark.usefixtures("icmp_errors")
@statement("S12/wire", "S1/opens")
def test_protocol_254_on_the_wire_is_a_protocol_that_nobody_has(
    guest: Machine, calls: Calls, near: Wire, proc_divert: Proc
) -> None:
    """To the wire's host it looks as any unknown one: there is no socket for it."""
    calls.ok("socket", "unbound", "inet", "raw", "divert")
    # A raw socket of protocol 254 would have it as its number.
    for name, port in (("d", DIVERT), ("e", DIVERT << 8), ("f", PORT)):
        bound(calls, name, port)
    for packet in (of_254(), of_254(dst="192.0.2.255"), ipv4(body=b"protocol 99")):
        near.send(IP(packet))
    guest.barrier()
    for name in ("unbound", "d", "e", "f"):
        assert calls.error("recv", name, 65535, "dontwait") == "EAGAIN"
    assert all(row == Counters(0, 0, 0, 0) for row in proc_divert().ports.values())
    answers = [IP(data)[ICMP] for data in ip_packets(near.captured())]
    assert [(answer.type, answer.code) for answer in answers] == [(3, 2)] * 2
    assert [bytes(answer.payload)[9] for answer in answers] == [DIVERT, 99]


@statement("S12/rule", "S1/opens")
@pytest.mark.parametrize("path", ["in", "through"])
def test_a_rule_diverts_protocol_254_as_any_other(
    path: str, guest: Machine, calls: Calls, near: Wire, far: Wire, chains: Chains
) -> None:
    bound(calls, "d", PORT)
    bound(calls, "other", DIVERT)
    chains.append(f"input -i {NEAR.interface} -p {DIVERT} -j DIVERT {PORT}")
    packet = of_254(dst=NEAR.guest_ip if path == "in" else FAR.host_ip)
    near.send(IP(packet))
    near.send(IP(ipv4()))
    guest.barrier()
    assert calls.drain("d") == [packet]
    assert calls.drain("other") == []
    assert ip_packets(far.captured()) == []


@statement("S12/router-alert")
def test_router_alert_reaches_no_divert_socket(
    guest: Machine, calls: Calls, near: Wire, far: Wire
) -> None:
    """A raw socket may ask for forwarded packets with this option; a divert socket may not."""
    calls.ok("socket", "unbound", "inet", "raw", "divert")
    bound(calls, "d", PORT)
    for name in ("unbound", "d"):
        assert calls.error("setsockopt", name, "ip", "router_alert", "int:1") == "EINVAL"
    packet = of_254(dst=FAR.host_ip, options=[IPOption_Router_Alert()])
    near.send(IP(packet))
    guest.barrier()
    assert ip_packets(far.captured()) == [hop(packet)]
    assert calls.drain("d") == calls.drain("unbound") == []
