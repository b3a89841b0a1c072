# SPDX-License-Identifier: GPL-2.0-only
"""A verdict passes only for a stream that shows everything asked for, and shows it passing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.record.events import (
    Event,
    GuestBooted,
    GuestLost,
    HarnessBroken,
    ImageBuilt,
    KernelBuilt,
    NotBuilt,
    NotRun,
    Outcome,
    RunFinished,
    RunStarted,
    SessionFinished,
    SessionTrouble,
    SourceMissing,
    TestFinished,
    TestsCollected,
    TestsOwed,
    TestStarted,
)
from harness.report.verdict import judge

STARTED = RunStarted(
    at=100.0,
    command="./inv test",
    variants=("base",),
    expression="",
    seed=1,
    jobs=1,
    host="",
    qemu="",
)
COLLECTED = TestsCollected(variant="base", tests=("t::a", "t::b"))
SESSION = SessionFinished(variant="base", status=0, seconds=3.0)


def finished(test: str, outcome: Outcome = "passed", message: str = "") -> TestFinished:
    return TestFinished(
        variant="base",
        test=test,
        outcome=outcome,
        statements=("S1",),
        seconds=0.1,
        message=message,
    )


GOOD: tuple[Event, ...] = (
    STARTED,
    ImageBuilt(seconds=0, cached=True),
    KernelBuilt(variant="base", seconds=14.0, cached=False),
    COLLECTED,
    GuestBooted(variant="base", seconds=1.2, accelerator="tcg"),
    finished("t::a"),
    finished("t::b", "skipped", "not applicable"),
    SESSION,
    RunFinished(at=107.5),
)


def without(*kinds: type[Event]) -> list[Event]:
    return [event for event in GOOD if not isinstance(event, kinds)]


def test_good_stream_passes() -> None:
    verdict = judge(GOOD)
    assert verdict.passed
    assert verdict.reasons == ()
    assert verdict.counts == (1, 0, 1)
    assert verdict.seconds == pytest.approx(7.5)
    (row,) = verdict.variants
    assert (row.build_seconds, row.build_cached) == (14.0, False)
    assert (row.boot_seconds, row.test_seconds, row.accelerator) == (1.2, 3.0, "tcg")


@pytest.mark.parametrize("length", range(len(GOOD)))
def test_no_truncated_stream_passes(length: int) -> None:
    assert not judge(GOOD[:length]).passed


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        (RunStarted, "the run did not start"),
        (TestsCollected, "base: the session did not start"),
        (SessionFinished, "base: the session did not finish"),
        (RunFinished, "the run did not finish"),
        (TestFinished, "base: 2 tests did not run, t::a the first"),
    ],
)
def test_what_is_missing_is_named(missing: type[Event], reason: str) -> None:
    verdict = judge(without(missing))
    assert not verdict.passed
    assert reason in verdict.reasons


def test_test_that_did_not_run_is_no_pass() -> None:
    events = [event for event in GOOD if event != GOOD[6]]
    assert judge(events).reasons == ("base: 1 tests did not run, t::b the first",)


def test_failed_test() -> None:
    failed = finished("t::b", "failed", "it broke")
    events = [failed if event == GOOD[6] else event for event in GOOD]
    verdict = judge(events)
    assert verdict.reasons == ("base: 1 failed",)
    assert verdict.failures == (failed,)


def test_nothing_but_skips_is_no_pass() -> None:
    events = [
        finished("t::a", "skipped", "not applicable") if event == GOOD[5] else event
        for event in GOOD
    ]
    assert "base: no test ran" in judge(events).reasons
    # With an expression the variant may have nothing to run, but then another has to.
    narrowed = [replace(STARTED, expression="a") if e == STARTED else e for e in events]
    assert judge(narrowed).reasons == ("no test passed",)


def test_lost_guest_is_no_pass_though_all_tests_passed() -> None:
    lost = GuestLost(variant="base", test="t::a", message="kernel panic\nmore")
    assert judge([*GOOD, lost]).reasons == ("base: guest lost: kernel panic",)
    assert judge([*GOOD, lost, lost]).reasons == ("base: 2 guests lost: kernel panic",)


def test_test_in_which_the_session_ended_is_named() -> None:
    begun = TestStarted(variant="base", test="t::b")
    events = [begun if event == GOOD[6] else event for event in without(SessionFinished)]
    assert judge(events).reasons[0] == "base: the session did not finish in t::b"


@pytest.mark.parametrize("status", [2, 3, 4, 5, -9])
def test_session_that_was_cut_short(status: int) -> None:
    events = [replace(SESSION, status=status) if e == SESSION else e for e in GOOD]
    assert judge(events).reasons == (f"base: the session ended with status {status}",)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("was killed by SIGKILL:\nits output: there", "the session was killed by SIGKILL in t::b"),
        (
            "said nothing for 900 s, and was ended",
            "the session said nothing for 900 s, and was ended in t::b",
        ),
    ],
)
def test_what_only_the_run_can_tell_of_a_session(message: str, reason: str) -> None:
    trouble = SessionTrouble(variant="base", message=message)
    begun = TestStarted(variant="base", test="t::b")
    ended = replace(SESSION, status=2)
    # Whether the session has told of its end by itself, or not.
    for kinds in ((), (SessionFinished,)):
        events = [begun if event == GOOD[6] else event for event in without(*kinds)]
        events = [ended if event == SESSION else event for event in events]
        verdict = judge([*events[:-1], trouble, RunFinished()])
        assert verdict.reasons[0] == f"base: {reason}"
        assert verdict.broken


def test_test_of_the_inventory_that_the_session_has_not() -> None:
    owed = TestsOwed(variant="base", tests=("t::a", "t::gone", "t::gone_too"))
    verdict = judge([owed, *GOOD])
    assert verdict.reasons == (
        "base: 2 tests of the inventory are not among those of the session, t::gone the first: "
        "see ./inv inventory",
    )
    assert verdict.variants[0].blamed
    assert not verdict.broken
    # Of another variant that is nothing.
    assert judge([replace(owed, variant="off"), *GOOD]).passed


def test_test_that_has_to_run_and_was_skipped() -> None:
    owed = TestsOwed(variant="base", tests=("t::a", "t::b"))
    assert judge([owed, *GOOD]).reasons == (
        "base: 1 tests of the inventory are skipped, and have to run here, t::b the first: "
        "see ./inv inventory",
    )
    assert judge([replace(owed, tests=("t::a",)), *GOOD]).passed


def test_failure_that_belongs_to_no_test() -> None:
    events = [replace(SESSION, status=1) if e == SESSION else e for e in GOOD]
    assert judge(events).reasons == ("base: pytest reports a failure that belongs to no test",)


def test_variant_that_was_asked_for_and_is_not_there() -> None:
    asked = replace(STARTED, variants=("base", "off"))
    events = [asked if e == STARTED else e for e in GOOD]
    assert judge(events).reasons == ("off: the session did not start",)


def test_interrupted() -> None:
    verdict = judge([*without(RunFinished, SessionFinished), RunFinished(interrupted=True)])
    assert verdict.interrupted
    assert "interrupted" in verdict.reasons


def test_missing_source() -> None:
    verdict = judge([STARTED, NotRun(kernel="linux-2.2.12", reason="no file"), RunFinished()])
    assert verdict.reasons == ("linux-2.2.12: NOT RUN",)
    assert verdict.not_run[0].reason == "no file"


def test_what_was_not_built_is_no_pass_and_no_failure_of_the_rest() -> None:
    asked = replace(STARTED, variants=("base", "off", "defrag"))
    broken = [NotBuilt(name=name, variants=(name,), reason="same") for name in ("off", "defrag")]
    verdict = judge([asked, *broken, *GOOD[1:]])
    assert (verdict.passed, verdict.reasons, verdict.word) == (False, (), "NOT BUILT")
    assert verdict.counts == (1, 0, 1)
    assert verdict.unbuilt == {"same": ["off", "defrag"]}
    # What failed beside it comes first.
    events = [finished("t::a", "failed") if event == GOOD[5] else event for event in GOOD]
    assert judge([asked, *broken, *events[1:]]).word == "FAIL"


@pytest.mark.parametrize("length", range(1, len(GOOD)))
def test_what_was_not_built_hides_no_truncated_stream(length: int) -> None:
    broken = NotBuilt(name="off", variants=("off",), reason="")
    asked = replace(STARTED, variants=("base", "off"))
    assert judge([asked, broken, *GOOD[1:length]]).word == "FAIL"


def test_source_that_is_missing() -> None:
    hint = "put a.tar there"
    missing = SourceMissing(name="a-1", title="a 1", instead="b is in its place", hint=hint)
    verdict = judge([missing, *GOOD])
    assert verdict.passed
    assert verdict.done_without == [f"a 1 is missing, so b is in its place; {hint}"]
    # Where a kernel was not run for it, that says where to put it.
    verdict = judge([missing, NotRun(kernel="k", reason=f"no a\n{hint}"), *GOOD])
    assert verdict.done_without == ["a 1 is missing, so b is in its place"]


def test_harness_that_broke_proves_nothing() -> None:
    """Of a test, or when all had ended: what nobody watched cannot have passed."""
    broken = HarnessBroken(message="its thread wire0 broke\ncalls", variant="base", test="t::b")
    verdict = judge([*GOOD, broken])
    assert verdict.untrusted
    assert verdict.reasons == ("its thread wire0 broke",)
    assert verdict.word == "FAIL"
    assert not judge(GOOD).untrusted
