# SPDX-License-Identifier: GPL-2.0-only
"""An exception ends no thread of the harness unnoticed, and all threads are made in one place."""

from __future__ import annotations

import ast
import os
import threading

import pytest
from invoke.exceptions import Exit

from harness.base import background, cli, paths
from harness.base.background import Background, BrokenThreadError, Later

pytestmark = pytest.mark.usefixtures("broken_threads")


def test_work_is_done() -> None:
    done = threading.Event()
    Background(done.set, name="worker").join(5)
    assert done.is_set()
    assert background.failure() is None
    background.check()


@pytest.mark.parametrize("error", [ValueError("no such frame"), SystemExit(0)])
def test_exception_is_kept_and_raised_where_it_is_asked_for(error: BaseException) -> None:
    told = threading.Event()

    def work() -> None:
        raise error

    Background(work, name="wire0", on_failure=told.set).join(5)
    Background(lambda: 1 / 0, name="later").join(5)
    assert told.is_set()
    with pytest.raises(BrokenThreadError) as caught:
        background.check()
    assert caught.value.exit_status == 3
    assert type(error).__name__ in caught.value.message
    assert "wire0" in caught.value.message
    assert "test_background.py" in caught.value.hint
    assert "raise error" in caught.value.hint


def test_what_is_cancelled_is_not_done() -> None:
    done, left_out = threading.Event(), threading.Event()
    later = Later(0.2, left_out.set, name="later")
    later.cancel()
    Later(0.3, done.set, name="done")
    assert done.wait(5)
    assert not left_out.is_set()


def test_thread_that_a_library_has_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    background.watch_others()
    thread = threading.Thread(target=os.kill, args=(os.getpid(), 4096), name="paramiko")
    thread.start()
    thread.join(5)
    with pytest.raises(BrokenThreadError, match="paramiko: OSError"):
        background.check()


def test_threads_are_made_here_alone() -> None:
    """A pool is none: whoever asks for its results gets their exceptions."""
    makers = {
        str(path.relative_to(paths.HARNESS))
        for path in paths.HARNESS.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Attribute) and node.attr in ("Thread", "Timer"))
        or (isinstance(node, ast.Name) and node.id in ("Thread", "Timer"))
    }
    assert makers == {"base/background.py"}


def test_task_with_a_broken_thread_does_not_end_well(capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever it has found: the thread was to see something of it."""

    @cli.reports_errors
    def test() -> None:
        Background(lambda: 1 / 0, name="wire0").join(5)

    with pytest.raises(Exit) as caught:
        test()
    assert caught.value.code == 3
    assert "its thread wire0: ZeroDivisionError" in str(caught.value.message)
    assert capfd.readouterr().err == ""
