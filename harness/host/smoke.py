# SPDX-License-Identifier: GPL-2.0-only
"""A few steps that a guest takes if its accelerator does what the tests need of it, each by itself.

`doctor --kvm` goes through them under KVM, and `check` under TCG, so that they are known to be
right before anybody has them fail.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from scapy.layers.inet import IP, UDP

from harness.base import terminal
from harness.base.errors import GuestError
from harness.boot.bootable import Bootable
from harness.guest.machine import Machine
from harness.interactive import session

# How often the guest is put back: what happens once in ten times is seen, under TCG in two seconds.
RESTORES = 20
_SNAPSHOT = "smoke"
_FILE = "/root/after-the-snapshot"
# A divert port, and what is sent to be diverted.
_PORT = 1234
_MARK = b"smoke"
# A second of the guest's has to be one of the host's, which may be busy when it is looked at.
_SECOND, _LEAST, _MOST = 1.0, 0.8, 3.0


@dataclass(frozen=True)
class StepTaken:
    """A step of one kernel, and what came of it: `failed` is "" where all is as it is to be."""

    kernel: str
    step: str
    said: str
    failed: str = ""


def take(built: Bootable, accelerator: str, folder: Path) -> Iterator[StepTaken]:
    """Take all steps with a guest of `built`, up to one that fails; its files go to `folder`.

    Raises InfrastructureError where QEMU cannot be started, or refuses a command.
    """
    name = built.kernel.name
    spec = session.machine_spec(built, folder, accelerator)
    with ExitStack() as stack:
        try:
            with terminal.activity(f"{name}: booting under {accelerator}", said=False):
                machine = stack.enter_context(Machine(spec))
        except GuestError as error:
            yield StepTaken(name, "boot", "", str(error))
            return
        yield StepTaken(name, "boot", f"logged in after {machine.boot_seconds:.2f} s")
        for step, call in _STEPS.items():
            try:
                said = call(machine)
                # What it did to the kernel may be on the console alone.
                machine.check()
            except GuestError as error:
                yield StepTaken(name, step, "", str(error))
                return
            yield StepTaken(name, step, said)


def _snapshot(machine: Machine) -> str:
    machine.barrier()
    begin = time.monotonic()
    machine.snapshot(_SNAPSHOT)
    return f"taken in {time.monotonic() - begin:.2f} s"


def _restore(machine: Machine) -> str:
    """What was done since the snapshot is undone, and the guest's clock goes back with it."""
    begin, before = time.monotonic(), _uptime(machine)
    machine.ssh.check(f"echo here >{_FILE}; sleep {_SECOND:g}")
    launch = time.monotonic()
    machine.restore(_SNAPSHOT)
    took = time.monotonic() - launch
    if machine.ssh.run(f"cat {_FILE}").status == 0:
        raise GuestError("a file that was made after the snapshot is there after the restore")
    theirs, ours = _uptime(machine) - before, time.monotonic() - begin
    if theirs > ours - _SECOND / 2:
        raise GuestError(
            f"the guest's clock has not gone back by the {_SECOND:g} s that it slept: it is "
            f"{theirs:.2f} s further than before, and {ours:.2f} s have passed"
        )
    return f"undone in {took:.2f} s, the clock too"


def _clock(machine: Machine) -> str:
    """A second of the guest's lasts one of the host's: its timers tick, and its clock with them."""
    begin, before = time.monotonic(), _uptime(machine)
    machine.ssh.check(f"sleep {_SECOND:g}")
    after, ours = _uptime(machine), time.monotonic() - begin
    theirs = after - before
    if not _LEAST <= theirs <= max(_MOST, ours + _SECOND):
        raise GuestError(
            f"the guest slept {_SECOND:g} s: {theirs:.2f} s by its clock, {ours:.2f} s by ours"
        )
    return f"{_SECOND:g} s slept: {theirs:.2f} s by the guest's clock, {ours:.2f} s by ours"


def _uptime(machine: Machine) -> float:
    return float(machine.ssh.check("cat /proc/uptime").split()[0])


def _divert(machine: Machine) -> str:
    """A packet is taken by a rule, given to a program, reinjected by it, and forwarded."""
    near, far = machine.wires
    for wire in machine.wires:
        wire.clear()
    rule = f"ipchains -A forward -p UDP -j DIVERT {_PORT}"
    machine.ssh.check(rule)
    interceptor = machine.ssh.start(
        f"interceptor --json --reinject {_PORT}", ready=r'"event":"listening".*\n'
    )
    packet = IP(src=near.host_ip, dst=far.host_ip) / UDP(sport=9, dport=9) / _MARK
    near.send(packet)
    line = interceptor.expect(r'^\{"event":"packet".*\n', 10)[0]
    if _MARK.hex() not in json.loads(line)["hex"]:
        raise GuestError(f"the interceptor was given another packet: {line}")
    far.expect(lambda each: UDP in each and bytes(each[UDP].payload) == _MARK, seconds=10)
    machine.barrier()
    if (count := len(far.received(lambda each: UDP in each))) != 1:
        raise GuestError(f"one packet was sent, diverted and reinjected, and {count} came out")
    interceptor.signal("INT")
    interceptor.wait(10)
    return "diverted, reinjected, forwarded"


def _again(machine: Machine) -> str:
    """Put back many times, with a packet each time: what the tests do."""
    for _ in range(RESTORES):
        machine.restore(_SNAPSHOT)
        machine.check()
    _divert(machine)
    return f"{RESTORES} times, then a packet as before"


_STEPS: dict[str, Callable[[Machine], str]] = {
    "snapshot": _snapshot,
    "restore": _restore,
    "clock": _clock,
    "packet": _divert,
    "restore again": _again,
}


def table(taken: list[StepTaken]) -> terminal.Grid:
    """A row for each step."""
    grid = terminal.Grid("kernel", "step", "", "what")
    for each in taken:
        how = (
            terminal.text("FAILED", style="red")
            if each.failed
            else terminal.text("ok", style="green")
        )
        first = re.sub(r"\n.*", "", each.failed, flags=re.DOTALL)
        grid.row(each.kernel, each.step, how, first or each.said)
    return grid
