# SPDX-License-Identifier: GPL-2.0-only
"""Tests run again when a file changes, and not before; Ctrl-C ends it, and the run that lasts."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.base import paths
from harness.base.deadline import Deadline
from harness.run import watch

# As ./inv test is: it writes down that it began, and how it ended.
STAND_IN = """#!/bin/sh
trap 'echo "ended $*" >>log; exit 130' INT
echo "run $*" >>log
[ ! -e block ] || read -r _ <block
exit $(cat status)
"""
WATCH = """
import sys
from harness.base.cli import reports_errors
from invoke.exceptions import Exit
from pathlib import Path
from harness.run import watch

@reports_errors
def task(): watch.watch(["-k", "x"], Path.cwd())

try:
    task()
except Exit as error:
    print(error.message or "")
    sys.exit(error.code)
"""


class Watcher:
    """A watch over a small checkout, as a process."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("tests", "harness", "build"):
            (root / name).mkdir()
        (root / "inv").write_text(STAND_IN)
        (root / "inv").chmod(0o755)
        (root / "status").write_text("0")
        (root / "said").touch()

    @contextlib.contextmanager
    def started(self) -> Iterator[subprocess.Popen[str]]:
        environment = {**os.environ, "PYTHONPATH": str(paths.ROOT)}
        with (self.root / "said").open("w") as said:
            argv = [sys.executable, "-c", WATCH]
            with subprocess.Popen(
                argv, cwd=self.root, env=environment, stdout=said, stderr=said, text=True
            ) as process:
                try:
                    yield process
                finally:
                    process.kill()

    def expect(self, text: str, times: int = 1) -> None:
        """Wait until it has said this so often."""
        deadline = Deadline(60.0, f"{text!r} of the watch, {times} times")
        while (self.root / "said").read_text().count(text) < times:
            deadline.check()
            time.sleep(0.02)

    @property
    def runs(self) -> list[str]:
        return (self.root / "log").read_text().splitlines()


@pytest.fixture
def watcher(tmp_path: Path) -> Watcher:
    return Watcher(tmp_path)


def test_what_has_changed_is_told(tmp_path: Path) -> None:
    files = [tmp_path / "tests" / f"{name}.py" for name in "dcba"]
    assert watch.told(frozenset(files[:1]), tmp_path) == "changed: tests/d.py"
    assert watch.told(frozenset(files), tmp_path).endswith("tests/c.py and 1 more")


@pytest.mark.slow
def test_runs_again_after_a_change_that_matters_alone(watcher: Watcher) -> None:
    with watcher.started() as process:
        watcher.expect("status 0; waiting")
        (watcher.root / "build" / "x").write_text("built")
        (watcher.root / "tests" / "__pycache__").mkdir()
        (watcher.root / "tests" / "__pycache__" / "a.pyc").write_text("compiled")
        (watcher.root / "status").write_text("1")
        (watcher.root / "tests" / "test_new.py").write_text("def test_x(): pass")
        watcher.expect("changed: tests/test_new.py: again")
        watcher.expect("status 1; waiting")
        assert watcher.runs == ["run test -k x"] * 2
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert "interrupted" in (watcher.root / "said").read_text()


@pytest.mark.slow
def test_what_changes_in_a_run_is_for_the_next(watcher: Watcher) -> None:
    os.mkfifo(watcher.root / "block")
    with watcher.started() as process:
        for name in ("one", "two"):
            # The run waits to be let go, and something changes meanwhile.
            with (watcher.root / "block").open("w") as gate:
                (watcher.root / "harness" / f"{name}.py").write_text("")
                gate.write("\n")
            watcher.expect(f"harness/{name}.py: again")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143


@pytest.mark.slow
def test_ctrl_c_ends_the_run_that_lasts_first(watcher: Watcher) -> None:
    os.mkfifo(watcher.root / "block")
    with watcher.started() as process, (watcher.root / "block").open("w"):
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert watcher.runs == ["run test -k x", "ended test -k x"]


@pytest.mark.slow
def test_command_that_is_refused_ends_it(watcher: Watcher) -> None:
    (watcher.root / "status").write_text("2")
    with watcher.started() as process:
        assert process.wait(60) == 2
