# SPDX-License-Identifier: GPL-2.0-only
"""The time that programs have had: deadlines do not run while others have the processors."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from harness.base import owntime
from harness.base.errors import DeadlineError
from harness.base.owntime import OwnDeadline, OwnTime, Stall

SESSION = 70


class Host:
    """A clock, and what /proc says of some tasks."""

    def __init__(self, proc: Path) -> None:
        self.proc = proc
        self.now = 1000.0

    def task(self, process: int, task: int, ran: float, waited: float, *, session: int) -> None:
        """Since its begin it ran, and waited for a processor, so many seconds."""
        folder = self.proc / str(process)
        (folder / "task" / str(task)).mkdir(parents=True, exist_ok=True)
        (folder / "stat").write_text(f"{process} (a) 9 (b) R 1 {process} {session} 0 -1\n")
        words = f"{ran * 1e9:.0f} {waited * 1e9:.0f} 12\n"
        (folder / "task" / str(task) / "schedstat").write_text(words)


@pytest.fixture(name="host")
def _host(tmp_path: Path) -> Host:
    (tmp_path / "self").mkdir()
    return Host(tmp_path)


def of_session(host: Host) -> OwnTime:
    return OwnTime(SESSION, proc=host.proc, clock=lambda: host.now)


def test_what_is_waited_for_a_processor_does_not_count(host: Host) -> None:
    own = of_session(host)
    host.task(70, 70, 0.2, 1.8, session=SESSION)
    host.now += 2
    assert own.seconds() == pytest.approx(0.2)
    host.task(70, 70, 2.2, 1.8, session=SESSION)
    host.now += 2
    assert own.seconds() == pytest.approx(2.2), "it ran all the time since"


def test_two_that_wait_at_once_wait_once(host: Host) -> None:
    own = of_session(host)
    host.task(71, 71, 0.5, 1.5, session=SESSION)
    host.task(72, 73, 0.5, 1.5, session=SESSION)
    host.now += 2
    assert own.seconds() == pytest.approx(0.5)


def test_sleep_counts(host: Host) -> None:
    """One that looks again and again for what does not come is not there for ever."""
    own = of_session(host)
    host.task(70, 70, 0.1, 0.3, session=SESSION)
    host.now += 2
    assert own.seconds() == pytest.approx(1.7)
    host.now += 2
    assert own.seconds() == pytest.approx(3.7)


def test_other_sessions_and_what_ends_meanwhile_are_not_looked_at(host: Host) -> None:
    own = of_session(host)
    host.task(80, 80, 0.0, 2.0, session=80)
    host.task(70, 70, 0.0, 2.0, session=SESSION)
    (host.proc / "70" / "stat").unlink()
    host.task(71, 71, 0.0, 2.0, session=SESSION)
    (host.proc / "71" / "task" / "71" / "schedstat").unlink()
    host.now += 2
    assert own.seconds() == pytest.approx(2.0)


def shell(script: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["sh", "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_output_is_whole_however_often_it_is_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owntime, "LOOK_SECONDS", 0.02)
    script = "echo first; sleep 0.2; head -c 200000 /dev/zero | tr '\\0' x; echo told >&2"
    with shell(script) as process:
        said = "first\n" + "x" * 200_000
        assert owntime.communicate(process, 60) == (said, "told\n")
    assert process.returncode == 0


def test_one_that_sleeps_is_out_of_time() -> None:
    with shell("sleep 600") as process:
        begin = time.monotonic()
        with pytest.raises(subprocess.TimeoutExpired):
            owntime.communicate(process, 0.2)
        assert time.monotonic() - begin > 0.2
        assert process.poll() is None
        process.kill()


def test_one_that_computes_is_out_of_time_when_it_has_computed_so_long() -> None:
    script = "import time\nwhile time.process_time() < 600: pass"
    with subprocess.Popen([sys.executable, "-c", script], start_new_session=True) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            owntime.communicate(process, 0.5)
        process.kill()


def test_deadline_does_not_run_while_others_have_the_processors(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owntime, "OwnTime", lambda session: of_session(host))
    deadline = OwnDeadline(3.0, "boot", SESSION)
    assert deadline.remaining == owntime.LOOK_SECONDS
    host.task(70, 70, 0.5, 9.5, session=SESSION)
    host.now += 10
    deadline.check()
    assert deadline.remaining == owntime.LOOK_SECONDS
    host.now += 2
    assert deadline.remaining == pytest.approx(0.5)
    host.now += 1
    with pytest.raises(DeadlineError, match="no boot within 3 s"):
        deadline.wait(threading.Event())


def test_proc_is_read_when_that_is_due_however_often_it_is_asked(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A console asks at each of its lines."""
    own = of_session(host)
    looks: list[float] = []
    look = own.seconds

    def counted() -> float:
        looks.append(host.now)
        return look()

    monkeypatch.setattr(own, "seconds", counted)
    left = [own.left(5.0)]
    for _ in range(10):
        host.now += 0.1
        left.append(own.left(5.0))
    assert left[0] == owntime.LOOK_SECONDS
    assert left[-1] == pytest.approx(owntime.LOOK_SECONDS - 1)
    assert looks == [1000.0]
    host.now += 5
    assert own.left(5.0) == 0


def test_a_stall_is_of_the_program_and_of_this_one(host: Host) -> None:
    host.task(70, 70, 5, 50, session=1)
    host.task(os.getpid(), 9, 1, 10, session=1)
    host.task(99, 99, 1, 10, session=1)
    stall = Stall(70, proc=host.proc, clock=lambda: host.now)
    assert stall.seconds() == 0, "what was before is over"
    host.task(70, 70, 5.5, 51.5, session=1)
    host.task(99, 99, 1, 12, session=1)
    host.now += 2
    assert stall.seconds() == pytest.approx(1.5)
    host.task(os.getpid(), 9, 1, 11, session=1)
    host.now += 0.1
    assert stall.seconds() == pytest.approx(1.5), "it was looked at just now"
    host.now += 0.9
    assert stall.seconds() == pytest.approx(2.5)
    host.task(70, 71, 0.5, 0, session=1)
    host.now += 2
    assert stall.seconds() == pytest.approx(2.5), "it ran, or slept"


def test_a_stall_of_what_has_ended(host: Host) -> None:
    stall = Stall(70, proc=host.proc, clock=lambda: host.now)
    host.now += 2
    assert stall.seconds() == 0
