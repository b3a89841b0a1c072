# SPDX-License-Identifier: GPL-2.0-only
"""F6. What fragments take of the guest's memory, until they time out, or others need the room."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import IP

from divert_reference.chains import Chains
from divert_reference.divert import left
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls, ProcDivert
from divert_reference.traffic import NEAR, OTHER
from harness.base.deadline import Deadline
from harness.guest import memory
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.datagrams import statistics
from tests.guest.support.letters import delivered, fragments, open_raw, spelled

statement = pytest.mark.statement

PORT = 1234


INCOMPLETE = 40
# Long enough on a busy host; it takes 10 milliseconds.
EXPIRE_SECONDS = 5.0


def expire(shell: Shell, count: int) -> None:
    """Wait until so many datagrams have timed out."""
    deadline = Deadline(EXPIRE_SECONDS, f"{count} datagrams timed out")
    while statistics(shell)["ReasmTimeout"] < count:
        assert not deadline.expired, deadline.what


@statement("F6/timed-out")
def test_datagrams_that_time_out(
    guest: Machine,
    near: Wire,
    shell: Shell,
    calls: Calls,
    icmp_errors: None,
    expected: Callable[[str], str],
) -> None:
    """What they took is free again; a first fragment's sender is told, if the kernel does that."""
    open_raw(calls)
    shell.check("echo 0 >/proc/sys/net/ipv4/ipfrag_time")
    before = memory.in_use(shell)
    for number in range(1, INCOMPLETE + 1):
        near.send(IP(fragments("0:AAA+", number)[0]))
        near.send(IP(fragments("6:C", 1000 + number)[0]))
    guest.barrier()
    expire(shell, 2 * INCOMPLETE)
    assert delivered(calls) == {}
    told = left(guest, near)
    assert {tuple(data[20:22]) for data in told} <= {(11, 1)}
    assert sorted(IP(data[28:]).id for data in told) == (
        list(range(1, INCOMPLETE + 1)) if expected("reassembly-timeout") == "told" else []
    )
    assert memory.lost(before, memory.in_use(shell)) == {}
    # What comes too late is a datagram of its own, and the next one is received.
    shell.check("echo 30 >/proc/sys/net/ipv4/ipfrag_time")
    near.send_all(map(IP, fragments("3:BBB", 1) + fragments("0:AAA+ 3:BBB", 2)))
    assert delivered(calls) == {2: spelled("AAABBB")}


@statement("F6/taken-too-late")
def test_given_back_after_the_rest_timed_out(
    guest: Machine,
    near: Wire,
    shell: Shell,
    calls: Calls,
    divert: Divert,
    chains: Chains,
) -> None:
    """A program that keeps a fragment too long loses the datagram, nothing else."""
    open_raw(calls)
    socket = divert(PORT)
    chains.append(f"input -i {NEAR.interface} -p {OTHER} -f -j DIVERT {PORT}")
    shell.check("echo 0 >/proc/sys/net/ipv4/ipfrag_time")
    before = memory.in_use(shell)
    near.send_all(map(IP, fragments("0:AAA+ 3:BBB", 1)))
    expire(shell, 1)
    socket.reinject(socket.take())
    expire(shell, 2)
    assert delivered(calls) == {}
    assert memory.lost(before, memory.in_use(shell)) == {}


@statement("F6/memory")
def test_memory_for_fragments_is_bounded(
    guest: Machine,
    near: Wire,
    shell: Shell,
    calls: Calls,
    expected: Callable[[str], str],
) -> None:
    """Above a threshold some go; where those are the oldest, what is whole is still received."""
    open_raw(calls)
    limits = "/proc/sys/net/ipv4/ipfrag"
    shell.check(f"echo 16384 >{limits}_low_thresh && echo 32768 >{limits}_high_thresh")
    before = memory.in_use(shell)
    letters = "Q" * 180
    near.send_all(IP(fragments(f"0:{letters}+", number)[0]) for number in range(1, 200))
    buffers = memory.in_use(shell).buffers - before.buffers
    assert buffers <= 32768 // 1500 + before.slack[memory.BUFFERS]
    near.send_all(map(IP, fragments("0:AAA+ 3:BBB", 1000)))
    oldest = expected("fragments-above-threshold") == "oldest go"
    assert delivered(calls) == ({1000: spelled("AAABBB")} if oldest else {})


@statement("F6/memory", "S10/close")
def test_fragments_with_no_listener_or_one_that_dies_are_freed(
    guest: Machine,
    near: Wire,
    shell: Shell,
    calls: Calls,
    divert: Divert,
    chains: Chains,
    proc_divert: Callable[[], ProcDivert],
) -> None:
    shell.check("echo 0 >/proc/sys/net/ipv4/ipfrag_time")
    before = memory.in_use(shell)
    chains.append(f"input -i {NEAR.interface} -p {OTHER} -j DIVERT {PORT}")
    for number in range(INCOMPLETE):
        near.send_all(map(IP, fragments("0:AAA+ 3:BBB", number + 1)))
    socket = divert(PORT)
    for number in range(INCOMPLETE):
        near.send_all(map(IP, fragments("0:AAA+ 3:BBB", number + 1)))
    # Some have timed out at once.
    assert proc_divert().ports[PORT].delivered > 0
    socket.close()
    guest.barrier()
    assert memory.lost(before, memory.in_use(shell)) == {}
    assert chains.counts("input")[0] > INCOMPLETE, "those of before have met the rule, too"
