# SPDX-License-Identifier: GPL-2.0-only
"""A deadline bounds a wait and names what was waited for."""

from __future__ import annotations

import threading

import pytest

from harness.base.deadline import Deadline, standing_still
from harness.base.errors import DeadlineError


def test_a_set_event_is_waited_for() -> None:
    event = threading.Event()
    event.set()
    Deadline(5, "event").wait(event)


def test_an_event_that_never_comes_names_itself() -> None:
    with pytest.raises(DeadlineError, match=r"no login prompt within 0\.01 s"):
        Deadline(0.01, "login prompt").wait(threading.Event())


def test_expiry() -> None:
    over = Deadline(0, "answer")
    assert over.expired
    assert over.remaining == 0.0
    with pytest.raises(DeadlineError, match="no answer"):
        over.check()
    running = Deadline(60, "answer")
    assert not running.expired
    assert 0 < running.remaining <= 60
    running.check()


def test_time_in_which_a_program_could_not_run_does_not_count() -> None:
    stalled = [100.0]
    with standing_still(lambda: stalled[0]):
        over = Deadline(0.01, "answer")
        threading.Event().wait(0.02)
        assert over.expired
        stalled[0] += 60
        assert 50 < over.remaining <= 60
        assert not over.expired
        stalled[0] -= 60
        with pytest.raises(DeadlineError, match=r"within 0\.01 s"):
            over.wait(threading.Event())
    stalled[0] += 60
    assert over.expired


def test_a_wait_goes_on_while_a_program_cannot_run() -> None:
    asked: list[float] = []
    event = threading.Event()

    def stalled() -> float:
        asked.append(60.0 * len(asked))
        if len(asked) > 1:
            event.set()
        return asked[-1]

    with standing_still(stalled):
        Deadline(0.005, "answer").wait(event)
    assert len(asked) > 1
