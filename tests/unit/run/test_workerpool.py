# SPDX-License-Identifier: GPL-2.0-only
"""Sessions beside each other; one that dies, hangs or babbles is named, and none is left behind."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from harness.record.events import Event, SessionFinished, TestsCollected
from harness.run import worker, workerpool
from tests.unit.support import toysuite

pytestmark = pytest.mark.slow


def test_each_variant_has_its_session(tmp_path: Path) -> None:
    suite = toysuite.make(tmp_path, "@S1\ndef test_one(): pass\n")
    specs = [toysuite.spec(tmp_path, name) for name in ("base", "passthrough", "defrag")]
    heard = toysuite.run(specs, suite)
    ended = [event.variant for event in heard.events if isinstance(event, SessionFinished)]
    assert sorted(ended) == ["base", "defrag", "passthrough"]
    assert heard.troubles == []


def test_expression_narrows_the_tests(tmp_path: Path) -> None:
    suite = toysuite.make(tmp_path, "@S1\ndef test_one(): pass\n@S1\ndef test_two(): pass\n")
    heard = toysuite.run([toysuite.spec(tmp_path)], suite, "two")
    assert list(heard.finished()) == ["test_two"]


def test_session_reads_no_other_modules_than_those_named(tmp_path: Path) -> None:
    suite = toysuite.make(tmp_path, "@S1\ndef test_one(): pass\n")
    (suite / "test_broken.py").write_text("this is no Python\n")
    assert toysuite.run([toysuite.spec(tmp_path)], suite).troubles
    told = replace(toysuite.spec(tmp_path), modules=("test_toy.py",))
    heard = toysuite.run([told], suite)
    assert (list(heard.finished()), heard.troubles) == (["test_one"], [])


def test_collecting_tells_of_what_the_expression_selects(tmp_path: Path) -> None:
    suite = toysuite.make(tmp_path, "@S1\ndef test_one(): pass\n@S1\ndef test_two(): pass\n")
    proves = ("S1/opens",)
    both = {"test_toy.py::test_one": proves, "test_toy.py::test_two": proves}
    assert worker.collect(suite) == both
    assert worker.collect(suite, "two") == {"test_toy.py::test_two": proves}


def test_session_that_dies_is_named_and_the_other_goes_on(tmp_path: Path) -> None:
    tests = """
@S1
def test_dies(divert_session):
    if divert_session.spec.variant == "base":
        os.kill(os.getpid(), signal.SIGKILL)
"""
    specs = [toysuite.spec(tmp_path, name) for name in ("base", "defrag")]
    heard = toysuite.run(specs, toysuite.make(tmp_path, tests))
    assert [e.variant for e in heard.events if isinstance(e, SessionFinished)] == ["defrag"]
    (trouble,) = heard.troubles
    assert trouble.startswith("base was killed by SIGKILL")


def test_session_can_be_interrupted_from_its_first_moment(tmp_path: Path) -> None:
    suite = toysuite.make(tmp_path, "@S1\ndef test_one(): pass\n")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        session = worker.Worker(toysuite.spec(tmp_path), suite, "")
    finally:
        signal.signal(signal.SIGINT, before)
    proc = Path("/proc") / str(session.process.pid)
    while not (proc / "cmdline").read_bytes().startswith(sys.executable.encode()):
        assert session.process.poll() is None
    ignored = next(row for row in (proc / "status").read_text().splitlines() if "SigIgn" in row)
    session.process.kill()
    session.end()
    assert not int(ignored.split()[1], 16) & 1 << signal.SIGINT - 1


def ends(pid: int) -> bool:
    """Whether a process, which need not be a child of ours, is gone or goes within seconds."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], 5)[0])
    finally:
        os.close(process)


def test_silent_session_is_ended_with_what_it_started(tmp_path: Path) -> None:
    tests = """
@S1
def test_hangs():
    import pathlib, subprocess
    child = subprocess.Popen(["sleep", "100"])
    pathlib.Path("%s").write_text(str(child.pid))
    child.wait()
"""
    pid_file = tmp_path / "pid"
    suite = toysuite.make(tmp_path, tests % pid_file)
    begin = time.monotonic()
    heard = toysuite.run([toysuite.spec(tmp_path)], suite, silence=6.0)
    assert time.monotonic() - begin < 60
    assert heard.troubles[0] == "base said nothing for 6 s, and was ended"
    assert ends(int(pid_file.read_text()))


def test_interrupt_ends_all_sessions_and_keeps_what_they_said(tmp_path: Path) -> None:
    tests = """
@S1
def test_waits():
    time.sleep(100)
"""
    suite = toysuite.make(tmp_path, tests)
    heard = toysuite.Heard()

    def on_event(event: Event) -> None:
        heard.events.append(event)
        if isinstance(event, TestsCollected):
            raise KeyboardInterrupt

    begin, before = time.monotonic(), set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        workerpool.run(
            [toysuite.spec(tmp_path)],
            suite,
            "",
            jobs=1,
            on_event=on_event,
            on_trouble=heard.on_trouble,
        )
    (session,) = [event for event in heard.events if isinstance(event, SessionFinished)]
    assert session.status == 2
    assert time.monotonic() - begin < 15
    # Those of other tests of this process may still be there.
    assert set(threading.enumerate()) <= before
