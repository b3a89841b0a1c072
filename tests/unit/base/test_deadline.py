# SPDX-License-Identifier: GPL-2.0-only
"""A deadline bounds a wait and names what was waited for."""

from __future__ import annotations

import threading

import pytest

from harness.base.deadline import Deadline
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
