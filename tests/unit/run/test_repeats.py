# SPDX-License-Identifier: GPL-2.0-only
"""Many runs: each counts, one that fails is never made good, and the rate is not said too low."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.record.events import Event, GuestLost, RunStarted, SessionFinished, TestFinished
from harness.report.verdict import judge
from harness.run import repeats
from harness.run.request import Request
from harness.run.runner import RunResult
from tests.unit.report.test_verdict import GOOD, finished

FAILED = finished("t::a", "failed", "no answer")
BAD: tuple[Event, ...] = tuple(
    FAILED
    if isinstance(event, TestFinished) and event.test == FAILED.test
    else replace(event, status=1)
    if isinstance(event, SessionFinished)
    else event
    for event in GOOD
)


@pytest.fixture
def outcomes(tmp_path: Path) -> Callable[..., Callable[[Request], RunResult]]:
    """A `run` whose runs come out as said, one after the other; their folders are made."""

    def play(*streams: tuple[Event, ...]) -> Callable[[Request], RunResult]:
        left = list(streams)

        def run(request: Request) -> RunResult:
            folder = tmp_path / str(request.seed)
            folder.mkdir()
            events = tuple(
                replace(event, seed=request.seed) if isinstance(event, RunStarted) else event
                for event in left.pop(0)
            )
            return RunResult(folder, events, judge(events))

        return run

    return play


REQUEST = Request(variants=(), seed=100)


def test_all_pass(
    outcomes: Callable[..., Callable[[Request], RunResult]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    verdict = repeats.test(3, REQUEST, outcomes(GOOD, GOOD, GOOD))
    assert verdict.passed
    said = capsys.readouterr()
    assert "run 3 of 3, seed 102" in said.err
    assert said.out.splitlines()[-1] == (
        "3 sessions, 3 tests, 0 failed: at most 1 of all tests fail so, with a confidence of 95 %"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["102"]


@pytest.mark.parametrize("at", [0, 1, 2])
def test_one_that_fails_is_the_verdict_of_all(
    at: int,
    outcomes: Callable[..., Callable[[Request], RunResult]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    streams = [GOOD, GOOD, GOOD]
    streams[at] = BAD
    verdict = repeats.test(3, REQUEST, outcomes(*streams))
    assert verdict.word == "FAIL"
    out = capsys.readouterr().out
    assert f"not passed: {tmp_path}/{100 + at}: base: 1 failed" in out.replace("\n", "")
    assert "failed 1 times: ./inv test --variant base -k a" in out
    assert "3 sessions, 3 tests, 1 failed, 1 runs that did not pass: at most 1 of" in out
    assert (tmp_path / str(100 + at)).is_dir()


def test_a_guest_that_was_lost_counts_though_no_test_failed(
    outcomes: Callable[..., Callable[[Request], RunResult]], capsys: pytest.CaptureFixture[str]
) -> None:
    lost = GuestLost(variant="base", test="end of the session", message="hang")
    assert not repeats.test(2, REQUEST, outcomes((*GOOD, lost), GOOD)).passed
    assert "2 tests, 0 failed, 1 runs that did not pass" in capsys.readouterr().out


def test_what_was_counted_is_said_where_the_user_ends_it(
    outcomes: Callable[..., Callable[[Request], RunResult]], capsys: pytest.CaptureFixture[str]
) -> None:
    run = outcomes(GOOD)

    def ended(request: Request) -> RunResult:
        if request.seed > 100:
            raise KeyboardInterrupt
        return run(request)

    with pytest.raises(KeyboardInterrupt):
        repeats.test(5, REQUEST, ended)
    assert "1 sessions, 1 tests, 0 failed" in capsys.readouterr().out


def test_none_that_ran_is_no_rate() -> None:
    assert str(repeats.Tally()) == "0 sessions, 0 tests, 0 failed"


@pytest.mark.parametrize(
    # Tables of the Poisson distribution, one-sided, 95 %.
    ("count", "limit"),
    [(0, 2.996), (1, 4.744), (2, 6.296), (10, 16.962), (100, 118.08)],
)
def test_upper_limit(count: int, limit: float) -> None:
    assert repeats.upper_limit(count) == pytest.approx(limit, abs=0.01)
    assert repeats.upper_limit(1000) < 1100
