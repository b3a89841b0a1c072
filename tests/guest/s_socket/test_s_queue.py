# SPDX-License-Identifier: GPL-2.0-only
"""S9, S10. The queue: when it is full, and what becomes of it when nobody will read it."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable

import pytest
from scapy.layers.inet import IP, IPOption

from divert_reference.chains import Chains
from divert_reference.fixtures import Listen
from divert_reference.programs import Calls, Counters, ProcDivert
from divert_reference.traffic import FAR, NEAR, PLACES, PROTOCOLS, Place, Traffic, ip_packets
from harness.guest import memory
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.sockets import LARGEST, SMALL, Filler, bound, hexed, ipv4, smallest

statement = pytest.mark.statement
places = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
Proc = Callable[[], ProcDivert]

PORT = 1234
# So many small packets fit any queue, and are more than what is always in flux.
QUEUED = 250
# sizeof(struct sk_buff) of 2.2.12 with divert sockets, in bytes.
SK_BUFF = 156


@statement("S9/dropped", "S9/counted", "S9/sender")
@places
def test_full_queue_drops_and_counts(
    place: Place, calls: Calls, chains: Chains, traffic: Traffic, proc_divert: Proc
) -> None:
    filler = Filler(calls, chains, PORT)
    bound(calls, "d", PORT)
    smallest(calls, "d")
    filler.send(LARGEST)
    # Behind the rule one that counts: a packet that passes through meets it.
    chains.append(place.rule(f"DIVERT {PORT}"), f"{place.chain} {place.match}")
    flows = [traffic.send(place.path, protocol) for protocol in PROTOCOLS]
    assert traffic.arrived(flows) == []
    if place.path == "out":
        assert [flow.error for flow in flows] == ["", "", "EINPROGRESS", ""]
    *_, taken, passed = chains.counts(place.chain)
    assert (taken, passed) == (len(PROTOCOLS), 0)
    assert proc_divert().ports[PORT] == Counters(LARGEST, 1, len(PROTOCOLS), 0)
    assert proc_divert().no_listener == 0
    # It was for want of room: once there is some, the same traffic is taken.
    calls.ok("recv", "d", 1)
    calls.ok("setsockopt", "d", "socket", "rcvbuf", "int:32768")
    for protocol in PROTOCOLS:
        traffic.send(place.path, protocol)
    assert traffic.arrived(flows) == []
    assert len(calls.drain("d")) == len(PROTOCOLS)
    assert proc_divert().ports[PORT] == Counters(0, 1 + len(PROTOCOLS), len(PROTOCOLS), 0)
    traffic.control(chains, place.path, flows)


@statement("S9/sender", "S9/counted")
def test_injecting_into_a_full_queue_is_a_success(
    guest: Machine, calls: Calls, near: Wire, chains: Chains, proc_divert: Proc
) -> None:
    """A divert socket is a local sender too: another port's full queue drops what it injects."""
    filler = Filler(calls, chains, PORT)
    bound(calls, "d", PORT)
    smallest(calls, "d")
    filler.send(LARGEST)
    chains.append(f"output -i {NEAR.interface} -j DIVERT {PORT}")
    packet = ipv4(src=NEAR.guest_ip, dst=NEAR.host_ip)
    calls.ok("send", "filler", hexed(packet))
    guest.barrier()
    assert ip_packets(near.captured()) == []
    assert proc_divert().ports[PORT].dropped == 1
    chains.flush()
    calls.ok("send", "filler", hexed(packet))
    guest.barrier()
    assert ip_packets(near.captured()) == [packet], "without the rule it leaves"


@statement("S9/counted", "S9/room-again", "S11/queued", "S11/dropped")
def test_queue_is_full_at_its_bound(calls: Calls, chains: Chains, proc_divert: Proc) -> None:
    filler = Filler(calls, chains, PORT)
    fits = filler.fits()
    bound(calls, "d", PORT)
    filler.send(SMALL, fits + 50)
    assert proc_divert().ports[PORT] == Counters(fits * SMALL, fits, 50, 0)
    # One is read: there is room for one, and no more.
    calls.ok("recv", "d", LARGEST)
    filler.send(SMALL, 3)
    assert proc_divert().ports[PORT] == Counters(fits * SMALL, fits + 1, 52, 0)


@statement("S9/larger")
def test_receive_buffer_makes_the_queue_longer(
    shell: Shell,
    calls: Calls,
    chains: Chains,
    proc_divert: Proc,
) -> None:
    shell.check("echo 500000 >/proc/sys/net/core/rmem_max")
    filler = Filler(calls, chains, PORT)
    bound(calls, "d", PORT)
    # The largest take twice their length of memory, and a little; it doubles what it is given.
    calls.ok("setsockopt", "d", "socket", "rcvbuf", "int:210000")
    filler.send(LARGEST, 5)
    assert proc_divert().ports[PORT] == Counters(3 * LARGEST, 3, 2, 0)


@statement("S9/caches")
@pytest.mark.parametrize(
    ("length", "piece"), [(20, 128), (60, 256), (600, 1024), (1500, 2048), (9000, 16384)]
)
def test_queue_takes_no_more_memory_than_its_buffer(
    length: int, piece: int, shell: Shell, calls: Calls, chains: Chains, proc_divert: Proc
) -> None:
    """However small the packets are: each takes a piece of a cache, and a struct sk_buff."""
    filler = Filler(calls, chains, PORT)
    bound(calls, "d", PORT)
    most = calls("getsockopt", "d", "socket", "rcvbuf", 4)["value"]
    before = memory.in_use(shell)
    filler.send(length, 1000)
    after = memory.in_use(shell)
    queued = proc_divert().ports[PORT].delivered
    assert most - piece - SK_BUFF < queued * (piece + SK_BUFF) <= most
    for cache in (f"size-{piece}", memory.BUFFERS):
        given = after.counts[cache] - before.counts.get(cache, 0)
        assert abs(given - queued) <= memory.SLACK


@statement("S10/close")
def test_close_frees_what_was_queued(shell: Shell, calls: Calls, chains: Chains) -> None:
    filler = Filler(calls, chains, PORT)
    fits = filler.fits()
    before = memory.in_use(shell)
    for _ in range(3):
        bound(calls, "d", PORT)
        # Those for which there is no room are freed too.
        filler.send(SMALL, fits + 500)
        full = memory.in_use(shell)
        assert abs(full.buffers - before.buffers - fits) <= before.slack[memory.BUFFERS]
        calls.ok("close", "d")
        assert memory.lost(before, memory.in_use(shell)) == {}
    for _ in range(2 * memory.SLACK):
        bound(calls, "d", PORT)
        calls.ok("close", "d")
    assert memory.lost(before, memory.in_use(shell)) == {}


@statement("S10/close")
def test_close_with_a_packet_still_on_its_way_out(
    guest: Machine, shell: Shell, calls: Calls, near: Wire
) -> None:
    """It waits for an answer by ARP, leaves when that comes, and then nobody is told."""
    nobody = "192.0.2.77"
    bound(calls, "d", PORT)
    packet = ipv4(src=NEAR.guest_ip, dst=nobody)
    calls.ok("send", "d", hexed(packet))
    calls.ok("close", "d")
    guest.barrier()
    assert ip_packets(near.captured()) == []
    shell.check(f"arp -s {nobody} {NEAR.host_mac}")
    guest.barrier()
    assert ip_packets(near.captured()) == [packet]
    bound(calls, "d", PORT)


def references(shell: Shell) -> set[int]:
    """How often the routes from wire 0's host to wire 1's are used (/proc/net/rt_cache)."""
    rows = [line.split() for line in shell.check("cat /proc/net/rt_cache").splitlines()[1:]]
    ends = [struct.unpack("<I", socket.inet_aton(link.host_ip))[0] for link in (FAR, NEAR)]
    # The columns: interface, destination, gateway, flags, references, uses, metric, source.
    return {int(row[4]) for row in rows if [int(row[1], 16), int(row[7], 16)] == ends}


@statement("S10/routes")
@pytest.mark.parametrize("place", PLACES[1:4], ids=lambda place: place.name)
def test_routes_are_let_go(
    place: Place, guest: Machine, shell: Shell, calls: Calls, near: Wire, chains: Chains
) -> None:
    """A packet with options is one that needs its route to be completed."""
    bound(calls, "d", PORT)
    chains.append(place.rule(f"DIVERT {PORT}"))
    record = IPOption(bytes.fromhex("070704000000" + "0000"))
    packet = IP(src=NEAR.host_ip, dst=FAR.host_ip, proto=99, options=record) / b"routed"
    near.send_all([packet] * 4)
    calls.ok("recvfrom", "d", LARGEST, "dontwait")
    calls.ok("sendto", "d", "last", "last")
    calls.ok("recvfrom", "d", LARGEST, "dontwait")
    calls.ok("close", "d")
    guest.barrier()
    assert references(shell) == {0}


@statement("S10/kill", "S10/next", "P3/goes")
@pytest.mark.parametrize("name", ["KILL", "TERM"])
def test_killing_the_process_frees_what_was_queued(
    name: str,
    shell: Shell,
    calls: Calls,
    chains: Chains,
    traffic: Traffic,
    listen: Listen,
    proc_divert: Proc,
    expected: Callable[[str], str],
) -> None:
    filler = Filler(calls, chains, PORT)
    chains.append(PLACES[2].rule(f"DIVERT {PORT}"))
    before = memory.in_use(shell)
    listener = listen(PORT, "--idle")
    filler.send(SMALL, QUEUED)
    more = memory.in_use(shell).buffers - before.buffers
    assert more >= QUEUED - before.slack[memory.BUFFERS]
    listener.stop(name)
    assert memory.lost(before, memory.in_use(shell)) == {}
    assert proc_divert() == ProcDivert({40000: Counters(0, 0, 0, QUEUED)}, 0)
    # The next packet meets the rule of those on whose port nobody listens.
    flow = traffic.send("through", "udp")
    arrived = {"passes": [flow.arrives_as()], "dropped": []}[expected("no-listener")]
    assert traffic.arrived([flow]) == arrived
    assert proc_divert().no_listener == 1


@statement("S10/close", "S10/next")
@places
def test_close_with_packets_queued_at_every_hook(
    place: Place,
    calls: Calls,
    chains: Chains,
    traffic: Traffic,
    proc_divert: Proc,
    expected: Callable[[str], str],
) -> None:
    bound(calls, "d", PORT)
    chains.append(place.rule(f"DIVERT {PORT}"))
    queued = [traffic.send(place.path, protocol) for protocol in ("udp", "icmp", "other")]
    assert traffic.arrived(queued) == []
    assert proc_divert().ports[PORT].delivered == len(queued)
    calls.ok("close", "d")
    later = [traffic.send(place.path, protocol) for protocol in ("udp", "icmp", "other")]
    passes = {"passes": len(later), "dropped": 0}[expected("no-listener")]
    assert len(traffic.arrived(later)) == passes
    assert proc_divert().no_listener >= len(later)
    assert traffic.arrived(queued) == [], "what was queued is gone"
    traffic.control(chains, place.path, queued)


@statement("S10/under-way", "P3/comes", "P3/goes")
def test_close_while_packets_arrive(
    guest: Machine,
    shell: Shell,
    near: Wire,
    far: Wire,
    chains: Chains,
    proc_divert: Proc,
    expected: Callable[[str], str],
) -> None:
    """Listeners that come, take three packets and go, one after another, under constant load."""
    chains.append(f"forward -i {FAR.interface} -p UDP -j DIVERT {PORT}")
    before = memory.in_use(shell)
    loop = f"for n in 1 2 3 4; do interceptor --json --count 3 {PORT} || exit; done"
    listeners = shell.start(f"sh -c '{loop}'")
    sent = 0
    packet = Traffic.packet("through", "udp", b"under way", 0)
    limit = time.monotonic() + 10
    while sum('"event":"end"' in line for line in listeners.lines) < 4:
        near.send_all([packet] * 16)
        sent += 16
        assert time.monotonic() < limit, "the listeners do not end"
    assert listeners.wait().status == 0
    guest.barrier()
    assert chains.counts("forward") == [sent]
    now = proc_divert()
    assert now.ports == {}
    assert 0 <= now.no_listener <= sent - 12
    arrived = {"passes": now.no_listener, "dropped": 0}[expected("no-listener")]
    assert len(ip_packets(far.captured())) == arrived
    assert memory.lost(before, memory.in_use(shell)) == {}
