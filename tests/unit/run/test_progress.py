# SPDX-License-Identifier: GPL-2.0-only
"""How far a run is, as its events tell: a line for each variant, and one for all."""

from __future__ import annotations

import time

import pytest

from harness.record.events import (
    Event,
    GuestBooted,
    GuestLost,
    KernelBuilt,
    NotBuilt,
    NotRun,
    Outcome,
    SessionFinished,
    TestFinished,
    TestsCollected,
    TestStarted,
    VariantSelected,
)
from harness.run.progress import Progress

TESTS = tuple(f"tests/guest/test_a.py::test_one[{n}]" for n in range(100))
SELECTED = (
    VariantSelected(variant="base", kernel="linux-2.2.12", has=()),
    VariantSelected(variant="linux-6.1:base", kernel="linux-6.1", has=()),
)
BEGUN = (
    *SELECTED,
    KernelBuilt(variant="base", seconds=0.0, cached=True),
    TestsCollected(variant="base", tests=TESTS),
)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the time is."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def ended(number: int, outcome: Outcome = "passed") -> list[Event]:
    test = TESTS[number]
    return [
        TestStarted(variant="base", test=test),
        TestFinished(variant="base", test=test, outcome=outcome, statements=(), seconds=1.0),
    ]


def after(*events: Event, whole: float | None = None) -> Progress:
    progress = Progress({"base": 600.0}, whole)
    for event in events:
        progress.record(event)
    return progress


def test_what_waits_and_what_runs(clock: list[float]) -> None:
    progress = after(*BEGUN)
    clock[0] += 65
    assert progress.lines(True) == [
        "base            0 of 100 tests, 1:05, about 9 minutes left, guest booting",
        "linux-6.1:base  waiting",
        "in all 1:05",
    ]
    assert progress.lines(False) == [
        "base  0 of 100 tests, 1:05, about 9 minutes left, guest booting",
        "in all 1:05",
    ]


def test_pace_of_its_own_and_failures(clock: list[float]) -> None:
    progress = after(*BEGUN, GuestBooted(variant="base", seconds=2.0, accelerator="tcg"))
    for number in range(25):
        for event in ended(number, "failed" if number < 2 else "passed"):
            progress.record(event)
    progress.record(TestStarted(variant="base", test=TESTS[25]))
    clock[0] += 100
    told = "base  25 of 100 tests, 2 failed, 1:40, about 5 minutes left, test_a.py::test_one[25]"
    assert progress.lines(False)[0] == told
    assert progress.failed("base") == 2


def test_guest_that_is_lost_and_comes_back(clock: list[float]) -> None:
    boot = GuestBooted(variant="base", seconds=2.0, accelerator="tcg")
    progress = after(*BEGUN, boot, *ended(0))
    progress.record(GuestLost(variant="base", test=TESTS[1], message="panic"))
    assert progress.lines(False)[0].endswith("left, guest lost, another one boots")
    progress.record(boot)
    assert progress.lines(False)[0].endswith("left, test_a.py::test_one[0]")


@pytest.mark.parametrize(("status", "how"), [(0, "passed"), (1, "0 failed"), (2, "cut short")])
def test_how_it_ended(clock: list[float], status: int, how: str) -> None:
    progress = after(*BEGUN, SessionFinished(variant="base", status=status, seconds=61.0))
    clock[0] += 1000
    assert progress.lines(True)[0] == f"base            0 of 100 tests, 1:01, {how}"
    assert len(progress.lines(False)) == 1


def test_kernel_that_is_not_to_be_had() -> None:
    progress = after(*SELECTED, NotRun(kernel="linux-6.1", reason="no network"))
    progress.record(NotBuilt(name="base", variants=("base",), reason="it does not compile"))
    assert progress.lines(True)[:2] == ["base            NOT BUILT", "linux-6.1:base  NOT RUN"]


def test_whole_run(clock: list[float]) -> None:
    progress = after(*BEGUN, whole=1200.0)
    clock[0] += 300
    assert progress.lines(False)[-1] == "in all 5:00, about 15 minutes left"
    # No less than what runs needs by itself.
    clock[0] += 200
    for number in range(50):
        for event in ended(number):
            progress.record(event)
    clock[0] += 500
    assert progress.lines(False)[-1] == "in all 16:40, about 17 minutes left"


def test_what_is_over_takes_no_more_time(clock: list[float]) -> None:
    ended = SessionFinished(variant="base", status=0, seconds=61.0)
    progress = after(*BEGUN, ended, whole=120.0)
    clock[0] += 110
    assert progress.lines(False) == ["in all 1:50, less than a minute left"]


def test_no_orders_to_the_terminal() -> None:
    progress = after(*BEGUN, GuestBooted(variant="base", seconds=2.0, accelerator="tcg"))
    progress.record(TestStarted(variant="base", test="t.py::test[\x1b[2J]"))
    assert progress.lines(False)[0].endswith(r"t.py::test[\x1b[2J]")


def test_variant_that_could_not_be_built_is_over() -> None:
    seen = Progress({})
    for name in ("base", "off"):
        seen.record(VariantSelected(variant=name, kernel="k", has=()))
    seen.record(NotBuilt(name="off", variants=("off",), reason="x.c:1: error"))
    base, off, _ = seen.lines(True)
    assert base.split()[-1] == "waiting"
    assert off.endswith("NOT BUILT")
