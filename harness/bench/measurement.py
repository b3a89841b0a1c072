# SPDX-License-Identifier: GPL-2.0-only
"""One measurement in one guest: its rule, its program, the load, and whether all was as it says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base.errors import GuestError
from harness.bench import load as bench_load
from harness.bench import wires
from harness.bench.load import Load, Outcome
from harness.bench.plan import Datagram, Measurement, Way
from harness.guest.machine import Machine
from harness.guest.process import Process
from harness.matrix import statements

CHAINS = "/proc/net/ip_fwchains"

# The emulator translates the way's code when it is first used.
_WARM_UP_SECONDS = 0.1
# Of the time in which packets are counted; a round trip is had a thousand times in a tenth of it.
_TRIP_SHARE = 0.4
_END_SECONDS = 10.0
# So many times what was asked for, as long as no packet comes in it.
_TIMES = (1, 4, 16)


@dataclass(frozen=True)
class Sample:
    """Packets a second, what each took of the emulator's processors, and the trip of one alone.

    Both in microseconds; of the trips the quartiles.
    """

    rate: float
    cost: float
    trip: tuple[float, float, float]


def prepare(machine: Machine, modules: Sequence[str]) -> None:
    """Load these modules in a guest that has just booted, in this order. Raises GuestError."""
    for name in modules:
        machine.ssh.check(f"insmod /lib/modules/{name}.ko")


def measure(machine: Machine, row: Measurement, program: Path, seconds: float) -> Sample:
    """Measure one row. Raises GuestError if a packet is lost, or did not go the row's way."""
    shell = machine.ssh
    for line in row.way.setup:
        shell.check(line)
    running = _start(machine, row.way)
    try:
        many = _load(machine, program, row.datagram, row.datagram.window, seconds)
        one = _load(machine, program, row.datagram, 1, seconds * _TRIP_SHARE)
    except GuestError as error:
        machine.check()
        raise GuestError(f"{row.name}: {error.message}", error.hint) from error
    machine.check()
    passed = _passed(row, (*many, *one))
    if running is not None:
        _compare(row, row.way.program, _end(running), passed)
    if row.way.chain:
        _compare(row, CHAINS, counted(shell.check(f"cat {CHAINS}"), row.way.chain), passed)
    for line in row.way.teardown:
        shell.check(line)
    for wire in machine.wires:
        wire.clear()
    return Sample(many[-1].rate, many[-1].cost, one[-1].trip)


def _start(machine: Machine, way: Way) -> Process | None:
    return machine.ssh.start(way.program, ready='"ready"') if way.program else None


def _load(
    machine: Machine, program: Path, datagram: Datagram, window: int, seconds: float
) -> list[Outcome]:
    """What came of it, the figures last. A host that let none through is given more time."""
    outcomes: list[Outcome] = []
    for times in _TIMES:
        load = Load(datagram.bytes, window, seconds * times, _WARM_UP_SECONDS)
        if datagram.wires == "memory":
            outcomes.append(wires.run(machine, load))
        else:
            outcomes.append(_on_cards(machine, program, load))
        if outcomes[-1].rate:
            return outcomes
    raise GuestError(f"no packet came within {seconds * _TIMES[-1]:.2f} s")


def _on_cards(machine: Machine, program: Path, load: Load) -> Outcome:
    near, far = machine.wires
    pid = machine.emulator.process.pid
    with near.lent() as first, far.lent() as second:
        return bench_load.run(program, load, (first, second), pid)


def _passed(row: Measurement, outcomes: tuple[Outcome, ...]) -> int:
    """How many packets the chains have seen: fragments, or whole datagrams."""
    if "defrag" in statements.features(row.variant):
        return sum(outcome.sent for outcome in outcomes)
    return sum(outcome.frames for outcome in outcomes)


def _end(process: Process) -> int:
    process.signal("TERM")
    result = process.wait(_END_SECONDS)
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    if not rows or rows[-1]["event"] != "end":
        raise GuestError(
            f"in the guest, `{process.command}` ended with {result.how}", result.stdout.strip()
        )
    packets: int = rows[-1]["packets"]
    return packets


def counted(text: str, chain: str) -> int:
    """How many packets the rules of a chain have counted, by /proc/net/ip_fwchains (pure)."""
    rows = [line.split() for line in text.splitlines()]
    # chain, addresses, interface, flags, inverse flags, protocol, packets' high and low half, ...
    return sum((int(row[6]) << 32) + int(row[7]) for row in rows if row[0] == chain)


def _compare(row: Measurement, who: str, count: int, passed: int) -> None:
    if count != passed:
        raise GuestError(f"{row.name}: {passed} packets went through, {who} counted {count}")
