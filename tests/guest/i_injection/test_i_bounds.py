# SPDX-License-Identifier: GPL-2.0-only
"""S9, I6. How much is kept of what was read and not given back; beyond it the oldest goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP

from divert_reference.chains import Chains
from divert_reference.divert import DivertSocket, Taken, built, left
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls, Counters, ProcDivert
from divert_reference.traffic import FAR, NEAR, UDP_PORT, hop
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.sockets import FILLER, LARGEST, Filler, bound

statement = pytest.mark.statement
Proc = Callable[[], ProcDivert]

PORT = 1234
# Of the reference: as many can be given back.
PENDING = 16_384
BOUNDS = "/proc/sys/net/ipv4/divert"
# What leaves by it is counted, and has gone.
NOWHERE = "dummy0"


def in_millions(count: int) -> Any:
    """As many as that takes half a minute: on one variant of a kernel, and not where each takes
    some times as long.
    """
    alone = ("modern-stack", "no passthrough", "no defrag", "no smp", "no checkers")
    return pytest.param(count, marks=pytest.mark.needs(*alone))


def datagram(number: int, size: int = 20) -> bytes:
    """From wire 0's host to wire 1's, told by its identification."""
    header = IP(src=NEAR.host_ip, dst=FAR.host_ip, id=number, ttl=9)
    return built(header / UDP(sport=3000 + number, dport=UDP_PORT) / bytes(size))


def bound_to(shell: Shell, **bounds: int) -> None:
    """Set bounds of what is kept of packets that were read."""
    for name, value in bounds.items():
        shell.check(f"echo {value} >{BOUNDS}/{name}")


def forwarded(
    near: Wire, chains: Chains, socket: DivertSocket, numbers: range, size: int = 20
) -> list[Taken]:
    """Datagrams through the guest that the socket has taken on forward."""
    chains.flush()
    chains.append(f"forward -p UDP -j DIVERT {socket.port}")
    near.send_all([IP(datagram(number, size)) for number in numbers])
    return [socket.take() for _ in numbers]


@statement("I6/forgotten", "S9/bounds")
def test_oldest_is_forgotten_where_there_are_too_many(
    guest: Machine, shell: Shell, near: Wire, far: Wire, divert: Divert, chains: Chains
) -> None:
    bound_to(shell, pending_packets=4)
    socket = divert(PORT)
    taken = forwarded(near, chains, socket, range(1, 8))
    for each in taken[:3]:
        assert socket.refused(each.data, each.address) == "ESTALE"
    for each in taken[3:]:
        socket.reinject(each)
    assert left(guest, far) == [hop(datagram(number)) for number in range(4, 8)]
    # What has gone on counts no more: its stub goes before anything whole does.
    more = forwarded(near, chains, socket, range(11, 15))
    for each in more:
        socket.reinject(each)
    assert left(guest, far) == [hop(datagram(number)) for number in range(11, 15)]


@statement("I6/forgotten", "S9/bounds")
def test_oldest_is_forgotten_where_there_are_too_many_bytes(
    guest: Machine, shell: Shell, near: Wire, far: Wire, divert: Divert, chains: Chains
) -> None:
    """Bytes of memory: a packet takes more than it carries."""
    bound_to(shell, pending_bytes=20_000)
    socket = divert(PORT)
    taken = forwarded(near, chains, socket, range(1, 41), size=1000)
    stale = [each for each in taken if not gives_back(socket, each)]
    assert stale == taken[: len(stale)], "the oldest"
    kept = len(taken) - len(stale)
    assert 2 <= kept <= 20_000 // 1028
    assert len(left(guest, far)) == kept


@statement("I6/forgotten", "S9/namespace")
@pytest.mark.parametrize("name", ["net_pending_packets", "net_pending_bytes"])
def test_sockets_of_a_namespace_are_bounded_together(
    name: str, guest: Machine, shell: Shell, near: Wire, far: Wire, divert: Divert, chains: Chains
) -> None:
    bound_to(shell, **{name: 6 if name.endswith("packets") else 12_000})
    sockets = [divert(PORT + number) for number in range(3)]
    taken = []
    for number, socket in enumerate(sockets):
        numbers = range(10 * number + 1, 10 * number + 9)
        taken += [(socket, each) for each in forwarded(near, chains, socket, numbers)]
    went = [gives_back(socket, each) for socket, each in taken]
    assert 2 <= sum(went) <= (6 if name.endswith("packets") else 20)
    assert went[-1]
    assert len(left(guest, far)) == sum(went)


def gives_back(socket: DivertSocket, taken: Taken) -> bool:
    """Whether a packet can be given back; else it is stale."""
    row = socket.send(taken.data, taken.address)
    assert row.get("error", "ESTALE") == "ESTALE", row
    return bool(row["result"] >= 0)


@statement("S9/read", "I6/forgotten")
@pytest.mark.parametrize("count", [200_000, in_millions(1_000_000)])
def test_program_that_never_gives_back(
    count: int, shell: Shell, calls: Calls, chains: Chains, proc_divert: Proc
) -> None:
    """It reads so many packets; none is dropped, and the machine's memory stays level.

    Of a million it is seen if eight bytes of each are lost.
    """
    each = 2000
    shell.check("echo 4000000 >/proc/sys/net/core/rmem_max")
    filler = Filler(calls, chains, PORT)
    socket = "reader"
    bound(calls, socket, PORT)
    calls.ok("setsockopt", socket, "socket", "rcvbuf", "int:4000000")
    filler.send(20)
    first = calls.ok("recvfrom", socket, LARGEST, "dontwait")
    levels = []
    for number in range(count // each):
        filler.send(20, each)
        row = calls("repeat", each, "recvfrom", socket, LARGEST, "dontwait")
        assert row["succeeded"] == each, (number, row)
        if number % 10 == 9:
            levels.append(available(shell))
    filler.send(20)
    last = calls.ok("recvfrom", socket, LARGEST, "dontwait")["from"]
    assert proc_divert().ports[PORT].dropped == 0
    # The first rounds fill what is bounded by packets and bytes; from then on nothing comes to it.
    assert min(levels[3:]) > levels[2] - 2_000, levels
    stale, fresh = f"hex:{first['from']['hex']}", f"hex:{last['hex']}"
    assert calls.error("sendto", socket, f"hex:{first['hex']}", stale) == "ESTALE"
    calls.ok("sendto", socket, f"hex:{first['hex']}", fresh)


def available(shell: Shell) -> int:
    """How many KiB of memory can be had; 2.2.12 tells of those that nothing uses."""
    lines = shell.check("cat /proc/meminfo").splitlines()
    told = {line.split()[0]: int(line.split()[1]) for line in lines if line.startswith("Mem")}
    return told.get("MemAvailable:", told["MemFree:"])


@statement("S9/entries", "I6/forgotten")
@pytest.mark.parametrize("readers", [1, 2])
def test_so_many_can_be_given_back_and_no_more(readers: int, calls: Calls, chains: Chains) -> None:
    """As the option's help text says: the oldest of all goes, whoever has read it."""
    filler = Filler(calls, chains, PORT)
    for number in range(readers):
        bound(calls, f"reader-{number}", PORT + number)
    last = f"reader-{readers - 1}"

    def read(name: str) -> list[str]:
        """One packet, as words of a call that gives it back."""
        filler.send(20)
        row = calls.ok("recvfrom", name, LARGEST, "dontwait")
        return [f"hex:{row['hex']}", f"hex:{row['from']['hex']}"]

    def read_many(name: str, number: int) -> None:
        for each in (256,) * (number // 256) + (number % 256,):
            filler.send(20, each)
            row = calls("repeat", each, "recvfrom", name, LARGEST, "dontwait")
            assert row["succeeded"] == each

    first = read("reader-0")
    if readers == 2:
        chains.flush()
        chains.append(f"input -i {NEAR.interface} -p {FILLER} -j DIVERT {PORT + 1}")
    second = read(last)
    read_many(last, PENDING - 2)
    calls.ok("sendto", last, *first)
    read(last)
    for name in {"reader-0", last}:
        assert calls.error("sendto", name, *first) == "ESTALE"
    calls.ok("sendto", "reader-0", *second)


@statement("S9/shaper")
@pytest.mark.parametrize("count", [3_000, in_millions(100_000)])
def test_program_that_holds_many_small_packets(
    count: int, shell: Shell, calls: Calls, chains: Chains, proc_divert: Proc
) -> None:
    """As many as its owner allows it: each goes on when it is given back, and none is stale."""
    bytes_of_memory = 2_000 * count
    bound_to(
        shell,
        pending_packets=count,
        pending_bytes=bytes_of_memory,
        net_pending_packets=count,
        net_pending_bytes=bytes_of_memory,
    )
    pages = bytes_of_memory // 4096
    shell.check(f"echo {pages} {pages} {pages} >{BOUNDS}/mem")
    shell.check("echo 4000000 >/proc/sys/net/core/rmem_max")
    shell.check(f"ifconfig {NOWHERE} 203.0.113.1 up")
    bound(calls, "shaper", PORT)
    calls.ok("setsockopt", "shaper", "socket", "rcvbuf", "int:4000000")
    rule = f"output -i {NOWHERE} -p UDP"
    chains.append(f"{rule} -j DIVERT {PORT}", rule)
    calls.ok("socket", "sender", "inet", "dgram", 17)
    for _ in range(count // 1000):
        row = calls("repeat", 1000, "sendto", "sender", "text:small", "in:203.0.113.9:9")
        assert row["succeeded"] == 1000
        assert calls.ok("hold", "shaper", 2000)["result"] == 1000
    assert chains.counts("output") == [count, 0]
    for _ in range(count // 1000):
        released = calls.ok("release", "shaper", 1000)
        assert (released["result"], released["value"]) == (1000, 0)
    assert chains.counts("output") == [count, count]
    assert sent_by(shell, NOWHERE) == count
    assert proc_divert().ports[PORT] == Counters(0, count, 0, count)


def sent_by(shell: Shell, interface: str) -> int:
    """How many packets have left by an interface."""
    lines = shell.check("cat /proc/net/dev").splitlines()
    (counts,) = [line.partition(":")[2] for line in lines if line.strip().startswith(interface)]
    return int(counts.split()[9])
