# SPDX-License-Identifier: GPL-2.0-only
"""The load of a benchmark on wires in the guest's memory: tests/programs/bench/bench-wires.c."""

from __future__ import annotations

import json
import time

from harness.base.errors import GuestError
from harness.bench import load as bench_load
from harness.bench.load import Load, Outcome
from harness.guest.machine import Machine
from harness.network.addresses import Link

PROGRAM = "bench-wires"

# Where packets come from and go to, in place of the cards; the second does without ARP.
NEAR = Link("near", "tap0", "198.18.0.1", "52:54:00:00:03:01", "198.18.0.2", "")
FAR = Link("far", "dummy0", "198.18.1.1", "", "198.18.1.2", "")

_NETMASK = "255.255.255.0"
# Beyond the measured time: the program's start and end.
_GRACE_SECONDS = 30.0


def prepare(machine: Machine) -> None:
    """Make the wires in a guest that has loaded the module `tun`. Raises GuestError."""
    shell = machine.ssh
    # Forwarding without a rule is nearly all in what is sent with SCHED_FIFO: that is no fault.
    shell.check("echo -1 >/proc/sys/kernel/sched_rt_runtime_us")
    shell.check("mkdir -p /dev/net && mknod /dev/net/tun c 10 200")
    shell.check(f"{PROGRAM} --make {NEAR.interface}")
    shell.check(f"ifconfig {NEAR.interface} hw ether {NEAR.guest_mac}")
    for link in (NEAR, FAR):
        shell.check(f"ifconfig {link.interface} {link.guest_ip} netmask {_NETMASK} up")


def command(load: Load) -> str:
    """The command line in the guest (pure)."""
    near = f"{NEAR.interface},{NEAR.guest_mac},{NEAR.host_ip}"
    words = [PROGRAM, "--near", near, "--far", f"{FAR.interface},{FAR.host_ip}"]
    return " ".join([*words, *bench_load.options(load)])


def run(machine: Machine, load: Load) -> Outcome:
    """Run the load. Raises GuestError if a datagram is lost or doubled, or the program fails."""
    pid = machine.emulator.process.pid
    program = machine.ssh.start(
        command(load),
        ready='"measuring"|"sent"',
        seconds=load.warm_up + load.patience + _GRACE_SECONDS,
    )
    begin = processor_seconds(pid)
    result = program.wait(load.seconds + load.patience + _GRACE_SECONDS)
    spent = processor_seconds(pid) - begin
    if result.status != 0:
        raise GuestError(f"{PROGRAM} ended with {result.how}", result.stderr.strip())
    said = json.loads(result.stdout.splitlines()[-1])
    return bench_load.outcome({**said, "processor": spent})


def processor_seconds(pid: int) -> float:
    """The time that a process of this host has had of processors."""
    # Its clock, as the C library's clock_getcpuclockid has it.
    return time.clock_gettime((~pid << 3) | 2)
