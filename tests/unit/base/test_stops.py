# SPDX-License-Identifier: GPL-2.0-only
"""A program that is stopped, or whoever waits for it, makes no deadline pass; but not for ever."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.base import stops
from harness.base.deadline import Deadline, standing_still
from harness.base.stops import MOST_SECONDS, Stops

PID = 70


class Host:
    """A clock, and the state of a process."""

    def __init__(self, proc: Path) -> None:
        self.now = 1000.0
        self.stat = proc / str(PID) / "stat"
        self.stat.parent.mkdir()
        self.state("S")
        self.stops = Stops(PID, proc=proc, clock=lambda: self.now)

    def state(self, letter: str) -> None:
        self.stat.write_text(f"{PID} (a) T b) {letter} 1 70 70 0 -1\n")

    def passes(self, seconds: float) -> None:
        """With a look as often as there is one."""
        for _ in range(round(seconds / 0.2)):
            self.now += 0.2
            self.stops.seconds()


@pytest.fixture(name="host")
def _host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_who_runs_or_sleeps_is_not_stopped(host: Host) -> None:
    host.passes(5)
    assert host.stops.seconds() == 0.0


@pytest.mark.parametrize("letter", ["T", "t"])
def test_a_program_that_is_stopped_or_traced(host: Host, letter: str) -> None:
    host.state(letter)
    host.passes(5)
    host.state("R")
    host.passes(5)
    assert host.stops.seconds() == pytest.approx(5.0, abs=0.25)


def test_whoever_looks_too_late_was_stopped(host: Host) -> None:
    """It is known as soon as it goes on, before any other look."""
    host.passes(1)
    host.now += 6.0
    assert host.stops.seconds() == pytest.approx(5.8)
    host.passes(1)
    host.now += 0.4
    assert host.stops.seconds() == pytest.approx(5.8), "threads come and go"


def test_one_that_is_never_let_go_is_not_waited_for(host: Host) -> None:
    host.state("T")
    host.passes(300)
    assert host.stops.seconds() == pytest.approx(MOST_SECONDS, abs=0.25)
    host.state("S")
    host.passes(1)
    host.state("T")
    host.passes(3)
    assert host.stops.seconds() == pytest.approx(MOST_SECONDS + 3, abs=0.5)


def test_one_that_has_ended_is_not_stopped(host: Host) -> None:
    host.stat.unlink()
    host.passes(2)
    assert host.stops.seconds() == 0.0


@pytest.mark.slow
def test_deadline_of_a_real_program(tmp_path: Path) -> None:
    """Stopped for longer than the deadline lasts: then there is still as much of it as before."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as program:
        with Stops(program.pid) as watched, standing_still(watched.seconds):
            deadline = Deadline(1.0, "answer")
            program.send_signal(signal.SIGSTOP)
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                time.sleep(0.05)
            assert stops.stopped(Path(f"/proc/{program.pid}/stat"))
            assert not deadline.expired
            program.send_signal(signal.SIGCONT)
            # As much as is left of it, and a look's worth.
            limit = time.monotonic() + 5
            while not deadline.expired:
                assert time.monotonic() < limit
                time.sleep(0.05)
        program.kill()


SLEEPER = """
import sys, time
from harness.base.deadline import Deadline, standing_still
from harness.base.stops import Stops
with Stops(1) as watched, standing_still(watched.seconds):
    deadline = Deadline(1.0, "answer")
    print("up", flush=True)
    sys.stdin.readline()
    print("expired" if deadline.expired else "goes on", flush=True)
"""


@pytest.mark.slow
def test_this_program_is_stopped_itself() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SLEEPER],
        cwd=stops.__file__.partition("/harness/")[0],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stdout.readline() == "up\n"
        program.send_signal(signal.SIGSTOP)
        time.sleep(2)
        program.send_signal(signal.SIGCONT)
        program.stdin.write("\n")
        program.stdin.flush()
        assert program.stdout.readline() == "goes on\n"
