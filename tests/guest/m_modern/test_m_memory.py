# SPDX-License-Identifier: GPL-2.0-only
"""S9, M12. Whose memory it is that a queue takes, and how much."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from divert_reference.chains import Chains
from divert_reference.programs import Calls, Counters, ProcDivert
from divert_reference.traffic import NEAR, Traffic
from harness.base.deadline import Deadline
from harness.guest.shell import Shell
from tests.guest.support.kept import ACCEPT, Keeper
from tests.guest.support.sockets import LARGEST, Filler, account, bound

statement = pytest.mark.statement
Proc = Callable[[], ProcDivert]

PORT = 1234
GROUP = "/tmp/cgroup"
# What the kernel's own notes of a packet take; and what it charges a group beforehand.
NOTES = 500
AHEAD = 64 * 4096


@statement("S9/memory")
@pytest.mark.parametrize("length", [20, 600, 1500, 9000])
def test_queue_takes_no_more_memory_than_its_buffer(
    length: int, calls: Calls, chains: Chains, proc_divert: Proc
) -> None:
    """However small the packets are. Queued bytes are the packets' own all the same."""
    filler = Filler(calls, chains, PORT)
    bound(calls, "d", PORT)
    filler.send(length)
    one, most = account(calls, "d")
    assert one >= length + NOTES
    filler.send(length, 1000)
    fits = most // one
    assert account(calls, "d") == (fits * one, most)
    assert proc_divert().ports[PORT] == Counters(fits * length, fits, 1001 - fits, 0)
    assert calls("ioctl", "d", "fionread")["value"] == length
    for left in range(fits - 1, fits - 4, -1):
        calls.ok("recv", "d", 1)
        assert account(calls, "d")[0] == left * one
    calls.drain("d")
    assert account(calls, "d")[0] == 0


@statement("S9/memory", "M8/charged")
def test_what_is_kept_stays_charged(calls: Calls, chains: Chains) -> None:
    filler = Filler(calls, chains, PORT)
    keeper = Keeper(calls, PORT)
    filler.send(20, 10)
    ten = account(calls, keeper.name)[0]
    for _ in range(10):
        keeper.take()
    assert account(calls, keeper.name)[0] == ten
    keeper.settle(ACCEPT, 0, 3)
    assert account(calls, keeper.name)[0] == ten * 6 // 10
    keeper.keep(0)
    assert account(calls, keeper.name)[0] == 0


@statement("S9/memory")
def test_largest_fits_an_empty_queue_alone(
    calls: Calls, chains: Chains, traffic: Traffic, proc_divert: Proc
) -> None:
    """Empty is where nothing is queued or kept, whatever else the socket is charged."""
    filler = Filler(calls, chains, PORT)
    keeper = Keeper(calls, PORT)
    calls.ok("setsockopt", keeper.name, "socket", "rcvbuf", "int:1")
    filler.send(LARGEST, 2)
    taken = keeper.take()
    filler.send(20, 2)
    assert proc_divert().ports[PORT] == Counters(LARGEST, 1, 3, 0)
    keeper.go_on(taken)
    filler.send(LARGEST)
    assert proc_divert().ports[PORT].delivered == 2
    assert account(calls, keeper.name)[0] > LARGEST


@statement("S9/group", "M12/memory")
def test_control_group_is_charged_for_what_is_queued(
    shell: Shell, calls: Calls, chains: Chains
) -> None:
    """That of the process that has made the socket, whoever sends the packets."""
    shell.check(f"mkdir {GROUP} && mount -t cgroup2 none {GROUP}")
    shell.check(f"echo +memory >{GROUP}/cgroup.subtree_control && mkdir {GROUP}/mine")
    filler = Filler(calls, chains, PORT)
    reader = Calls(shell)
    shell.check(f"echo {reader.pid} >{GROUP}/mine/cgroup.procs")
    names = [f"d{number}" for number in range(8)]
    for number, name in enumerate(names):
        bound(reader, name, PORT + number)
        if number:
            chains.append(f"input -i {NEAR.interface} -p 77 -j DIVERT {PORT + number}")
        filler.send(20, 1000)
        chains("-D input 1")
    used = sum(account(reader, name)[0] for name in names)
    assert used > 1_000_000

    def charged() -> int:
        line = shell.check(f"grep '^sock ' {GROUP}/mine/memory.stat")
        return int(line.split()[1])

    deadline = Deadline(10, "the control group's counter")
    while not used <= charged() <= used + AHEAD:
        deadline.check()
    for name in names:
        reader.ok("close", name)
    deadline = Deadline(10, "the control group's counter")
    while charged() > AHEAD:
        deadline.check()


@statement("S9/machine")
def test_all_queues_together_are_bounded(
    shell: Shell, calls: Calls, chains: Chains, proc_divert: Proc
) -> None:
    """Over that, and a megabyte that a processor may have beforehand, packets are dropped."""
    shell.check("echo 4000000 >/proc/sys/net/core/rmem_max")
    filler = Filler(calls, chains, PORT)
    bound(calls, "d", PORT)
    calls.ok("setsockopt", "d", "socket", "rcvbuf", "int:4000000")
    path = "/proc/sys/net/ipv4/divert/mem"
    before = shell.check(f"cat {path}").split()
    assert len(before) == 3
    assert 0 < int(before[0]) <= int(before[1]) <= int(before[2])
    shell.check(f"echo 1 1 100000 >{path}")
    filler.send(20, 4000)
    few = proc_divert().ports[PORT].delivered
    used, most = account(calls, "d")
    assert used < 2_000_000 < most // 2
    assert proc_divert().ports[PORT].dropped == 4000 - few
    shell.check(f"echo {' '.join(before)} >{path}")
    filler.send(20, 50)
    assert proc_divert().ports[PORT].delivered == few + 50
