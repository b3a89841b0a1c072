# SPDX-License-Identifier: GPL-2.0-only
"""S3, S4. The range of ports, and as many of them at once as there is room for."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from scapy.layers.inet import IP, UDP

from divert_reference.chains import Chains
from divert_reference.programs import Calls, Counters, ProcDivert
from divert_reference.traffic import NEAR
from harness.guest.process import Process
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.sockets import bound

statement = pytest.mark.statement
Proc = Callable[[], ProcDivert]

FIRST = 1000
# 2.2.12 has room for 512 tasks.
TASKS = 512


def start(shell: Shell, first: int, count: int, per_process: int = 1) -> Process:
    """Start processes that each bind ports of their own, and wait until all have."""
    command = f"binders --per-process {per_process} {first} {count}"
    return shell.start(command, ready=r'"event":"ready".*\n')


def listed(calls: Calls) -> list[int]:
    """The ports of /proc/net/divert, read through a descriptor that was opened in time."""
    text = b""
    while row := calls.ok("read", "proc", 65535)["hex"]:
        text += bytes.fromhex(row)
    return sorted(ProcDivert.parse(text.decode()).ports)


def rows(process: Process, event: str) -> list[dict[str, object]]:
    """What the processes have told so far."""
    return [row for row in map(json.loads, process.lines) if row["event"] == event]


def to_port(port: int, **fields: str | int) -> bytes:
    """A UDP packet from wire 0 to this port of the guest's."""
    return bytes(IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=port, **fields) / UDP(dport=port))


def rule(port: int) -> str:
    """Divert what comes by wire 0 for this UDP port to the divert port of the same number."""
    return f"input -i {NEAR.interface} -p UDP -d 0/0 {port} -j DIVERT {port}"


def deliver(process: Process, near: Wire, ports: list[int]) -> None:
    """Each process gets the packets for its own port, and no others."""
    near.send_all(IP(to_port(port)) for port in ports)
    found = []
    for _ in ports:
        found.append(json.loads(process.expect(r'^\{"event":"packet".*\n')[0]))
    assert {row["port"]: bytes.fromhex(row["hex"]) for row in found} == {
        port: to_port(port) for port in ports
    }


@statement("S3/processes", "R6/disjoint")
def test_both_ends_of_the_range_by_processes_of_their_own(
    shell: Shell, near: Wire, chains: Chains, calls: Calls, proc_divert: Proc
) -> None:
    ports = [1, 255, 256, 32767, 32768, 65535]
    binders = [start(shell, port, 1) for port in ports]
    assert sorted(proc_divert().ports) == ports
    chains.append(*map(rule, ports))
    for port, process in zip(ports, binders, strict=True):
        deliver(process, near, [port])
    assert proc_divert().ports == dict.fromkeys(ports, Counters(0, 1, 0, 0))


@statement("S3/processes", "R6/disjoint")
def test_200_processes_at_once_get_their_own_packets_only(
    shell: Shell, near: Wire, chains: Chains, proc_divert: Proc
) -> None:
    """In an order of their own; the ports share buckets of the table, which has 1,024."""
    processes = {first: start(shell, first, 67) for first in (FIRST, FIRST + 1024, FIRST + 2048)}
    ports = [first + number for first in processes for number in range(67)]
    chains.append(*map(rule, ports))
    for first, process in processes.items():
        deliver(process, near, [first + number * 31 % 67 for number in range(67)])
    assert proc_divert() == ProcDivert(dict.fromkeys(ports, Counters(0, 1, 0, 0)), 0)
    assert [len(rows(process, "packet")) for process in processes.values()] == [67] * 3


@statement("S3/tasks")
def test_as_many_processes_as_there_is_room_for_tasks(
    shell: Shell, calls: Calls, expected: Callable[[str], str]
) -> None:
    if expected("room-for-tasks") == "as set":
        shell.check(f"echo {TASKS} >/proc/sys/kernel/threads-max")
    # "0.00 0.00 0.00 1/23 45": running, of all.
    others = int(shell.check("cat /proc/loadavg").split("/")[1].split()[0])
    calls.ok("open", "proc", "/proc/net/divert", "read")
    process = start(shell, FIRST, TASKS)
    (ready,) = rows(process, "ready")
    (failed,) = rows(process, "failed")
    assert (failed["call"], failed["error"]) == ("fork", "EAGAIN")
    processes = int(str(ready["processes"]))
    assert ready["bound"] == processes
    assert abs(TASKS - others - processes) < 10
    assert listed(calls) == list(range(FIRST, FIRST + processes))
    # They end, and all of their ports are free.
    process.end_input()
    assert process.wait().status == 0
    assert rows(start(shell, FIRST, processes), "ready") == [ready]


@statement("S3/descriptors")
def test_as_many_ports_as_there_is_room_for_descriptors(shell: Shell, calls: Calls) -> None:
    calls.ok("open", "proc", "/proc/net/divert", "read")
    room = int(shell.check("cat /proc/sys/fs/file-max"))
    process = start(shell, FIRST, room + 500, per_process=900)
    (ready,) = rows(process, "ready")
    failed = rows(process, "failed")
    assert {(row["call"], row["error"]) for row in failed} == {("socket", "ENFILE")}
    bound_ports = int(str(ready["bound"]))
    assert bound_ports + len(failed) == room + 500
    # Files of its own has the rest of the guest too, and some are kept for root. Of two processors
    # each counts up to 32 for itself before all know (percpu_counter_batch).
    assert room - 200 < bound_ports <= room + 64
    assert len(listed(calls)) == bound_ports


@statement("S3/every-port")
@pytest.mark.parametrize("first", [1, 21846, 43691])
def test_every_port_can_be_bound(first: int, shell: Shell, proc_divert: Proc) -> None:
    """A third of the range at once: the guest has no memory for more."""
    # 2.2.12 has room for fewer files; a kernel of today has no limit to inodes.
    shell.check("echo 30000 >/proc/sys/fs/file-max")
    shell.check("[ ! -e /proc/sys/fs/inode-max ] || echo 60000 >/proc/sys/fs/inode-max")
    process = start(shell, first, 21845, per_process=900)
    assert rows(process, "ready") == [{"event": "ready", "processes": 25, "bound": 21845}]
    assert sorted(proc_divert().ports) == list(range(first, first + 21845))


@statement("S4/port-0", "S4/getsockname")
def test_port_0_goes_through_the_whole_range(calls: Calls) -> None:
    """It begins in the middle, and goes on behind the end of the range with 1, not with 0."""
    for _ in range(11):
        row = calls.ok("freeports", 3000)
        assert (row["result"], row["value"]) == (3000, 3000)


@statement("S4/port-0")
def test_port_0_passes_over_ports_in_use(calls: Calls, proc_divert: Proc) -> None:
    calls.ok("socket", "first", "inet", "raw", "divert")
    calls.ok("bind", "first", "in:0.0.0.0:0")
    picked = calls("getsockname", "first")["address"]["port"]
    for step in (1, 2, 4):
        bound(calls, f"taken-{step}", picked + step)
    for step in (3, 5):
        name = f"free-{step}"
        calls.ok("socket", name, "inet", "raw", "divert")
        calls.ok("bind", name, "in:0.0.0.0:0")
        assert calls("getsockname", name)["address"]["port"] == picked + step
    assert sorted(proc_divert().ports) == [picked + step for step in range(6)]
