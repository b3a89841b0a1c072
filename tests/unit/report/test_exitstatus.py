# SPDX-License-Identifier: GPL-2.0-only
"""Which error a verdict amounts to. The processes that end so: tests/unit/test_exit_status.py."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from harness.base.errors import (
    GuestError,
    GuestLostError,
    InfrastructureError,
    MissingSourceError,
    NoRoomError,
    RunInterruptedError,
    TestsFailedError,
    UserError,
)
from harness.record.events import (
    Event,
    EventsLost,
    GuestLost,
    HarnessBroken,
    NoRoom,
    NotBuilt,
    NotRun,
    RunFinished,
    SessionTrouble,
)
from harness.report import exitstatus
from harness.report.exitstatus import Family
from harness.report.verdict import judge
from tests.unit.report.test_verdict import GOOD, SESSION, STARTED, finished

BROKEN = HarnessBroken(message="its thread wire0 broke", variant="base")
LOST = GuestLost(variant="base", test="t::a", message="kernel panic")
FAILED = finished("t::a", "failed", "it broke")
TROUBLE = SessionTrouble(variant="base", message="was killed by SIGKILL:\nits output: there")


def changed(old: Event, new: Event) -> list[Event]:
    return [new if event == old else event for event in GOOD]


def without(*events: Event) -> list[Event]:
    return [event for event in GOOD if event not in events]


SKIPPED = changed(GOOD[5], finished("t::a", "skipped", "not applicable"))


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (GOOD, None),
        (changed(GOOD[5], FAILED), TestsFailedError),
        (SKIPPED, TestsFailedError),
        (without(SESSION), InfrastructureError),
        ([*changed(GOOD[5], FAILED), LOST, BROKEN], InfrastructureError),
        ([*without(SESSION), TROUBLE], InfrastructureError),
        # It had come to its own end, and then did not end as it should.
        ([*GOOD, TROUBLE], InfrastructureError),
        (GOOD[:-1], InfrastructureError),
        (GOOD[1:], InfrastructureError),
        ([*GOOD, EventsLost(line=3, why="cut")], InfrastructureError),
        ([*GOOD, NoRoom(message="cannot write x")], InfrastructureError),
        # Beside one that failed it is known that one did.
        ([*changed(GOOD[5], FAILED)[:-2], RunFinished()], TestsFailedError),
        # And a guest that was lost is the first that has to be looked into.
        ([*changed(GOOD[5], FAILED), LOST], GuestError),
        ([*without(SESSION), LOST], GuestError),
        ([*GOOD, NotBuilt(name="off", variants=("off",), reason="")], InfrastructureError),
        ([STARTED, NotBuilt(name="k", variants=("base",), reason="")], InfrastructureError),
        ([STARTED, RunFinished(interrupted=True)], RunInterruptedError),
        ([], InfrastructureError),
    ],
)
def test_family(events: Sequence[Event], expected: Family | None) -> None:
    verdict = judge(events)
    assert exitstatus.family(verdict) is expected
    if expected is None:
        exitstatus.raise_for(verdict)
        return
    with pytest.raises(expected):
        exitstatus.raise_for(verdict)


def test_nothing_that_could_run() -> None:
    verdict = judge([STARTED, NotRun(kernel="linux-2.2.12", reason="no file"), RunFinished()])
    # A step of `check` may go without, a run of its own may not.
    assert exitstatus.family(verdict) is None
    with pytest.raises(MissingSourceError):
        exitstatus.raise_for(verdict)


def test_of_several_the_first_decides() -> None:
    assert exitstatus.first([None, InfrastructureError, TestsFailedError]) is TestsFailedError
    assert exitstatus.first([TestsFailedError, GuestError]) is GuestError
    assert exitstatus.first([UserError, InfrastructureError]) is UserError
    assert exitstatus.first([None, None]) is None


def test_family_of_an_error() -> None:
    assert exitstatus.of(GuestLostError("panic", "x")) is GuestError
    assert exitstatus.of(NoRoomError("x")) is InfrastructureError
    assert exitstatus.of(TestsFailedError("x")) is TestsFailedError
