# SPDX-License-Identifier: GPL-2.0-only
"""The load in the guest: how its wires are made, what is asked of it, and what it says."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace
from typing import cast

import pytest

from harness.base.errors import GuestError
from harness.bench import wires
from harness.bench.load import Load, Outcome
from harness.guest.machine import Machine
from harness.guest.process import Result

LOAD = Load(4000, 21, 0.5, warm_up=0.1, patience=2)
SAID = (
    '{"event":"measuring"}\n{"sent":42,"received":42,"frames":126,"doubled":0,"packets":21,'
    '"seconds":0.5,"trip":[1.0,2.0,3.0]}\n'
)


class Guest:
    """A machine in which the load ends so."""

    def __init__(self, stdout: str = SAID, status: int = 0, stderr: str = "") -> None:
        self.result = Result(status, stdout, stderr)
        self.ran: list[str] = []
        self.ssh = self
        self.emulator = SimpleNamespace(process=SimpleNamespace(pid=os.getpid()))

    def check(self, command: str) -> str:
        self.ran.append(command)
        return ""

    def start(self, command: str, *, ready: str, seconds: float) -> SimpleNamespace:
        assert ready == '"measuring"|"sent"'
        assert seconds == pytest.approx(32.1)
        self.ran.append(command)
        return SimpleNamespace(wait=self.wait)

    def wait(self, seconds: float) -> Result:
        assert seconds == pytest.approx(32.5)
        return self.result


def run(guest: Guest) -> Outcome:
    return wires.run(cast("Machine", guest), LOAD)


def test_the_wires_are_a_tap_and_a_dummy_with_addresses() -> None:
    guest = Guest()
    wires.prepare(cast("Machine", guest))
    assert guest.ran == [
        "echo -1 >/proc/sys/kernel/sched_rt_runtime_us",
        "mkdir -p /dev/net && mknod /dev/net/tun c 10 200",
        "bench-wires --make tap0",
        "ifconfig tap0 hw ether 52:54:00:00:03:01",
        "ifconfig tap0 198.18.0.1 netmask 255.255.255.0 up",
        "ifconfig dummy0 198.18.1.1 netmask 255.255.255.0 up",
    ]


def test_the_load_says_what_came_of_it_and_the_clock_of_the_emulator_what_it_took(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter((1.0, 1.5))
    monkeypatch.setattr(wires, "processor_seconds", lambda pid: next(clock))
    guest = Guest()
    outcome = run(guest)
    assert guest.ran == [
        "bench-wires --near tap0,52:54:00:00:03:01,198.18.0.2 --far dummy0,198.18.1.2 "
        "--bytes 4000 --window 21 --milliseconds 500 --warm-up 100 --patience 2000"
    ]
    assert (outcome.sent, outcome.frames, outcome.rate) == (42, 126, 42.0)
    assert outcome.trip == (1.0, 2.0, 3.0)
    assert outcome.cost == pytest.approx(0.5 / 21 * 1e6)


def test_what_is_lost_or_doubled_is_no_number() -> None:
    with pytest.raises(GuestError, match="of 42 datagrams 1 were lost"):
        run(Guest(SAID.replace('"received":42', '"received":41')))
    with pytest.raises(GuestError, match="2 frames came twice"):
        run(Guest(SAID.replace('"doubled":0', '"doubled":2')))


def test_a_load_that_failed_says_why() -> None:
    wrote = "bench-wires: dummy0 has sent other bytes than were sent to tap0\n"
    with pytest.raises(GuestError, match="bench-wires ended with status 2") as caught:
        run(Guest(status=2, stderr=wrote))
    assert caught.value.hint == wrote.strip()


def test_the_clock_of_a_process_is_that_of_its_processor_time() -> None:
    before = time.process_time()
    read = wires.processor_seconds(os.getpid())
    assert before <= read <= time.process_time()
