# SPDX-License-Identifier: GPL-2.0-only
"""A run of canaries: control first, those that share a run, the table, what is remembered."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.base import paths
from harness.base.errors import TestsFailedError, UserError
from harness.canaries import canaries, canary, crowd, stage
from harness.canaries.canary import DEFAULT_RUN, Canary
from harness.canaries.stage import Ran
from harness.record import canaryresults
from harness.record.events import Event, GuestLost, TestFinished
from harness.record.stream import Writer

BASE = tuple(word.replace("{needs}", "base") for word in DEFAULT_RUN)
ALONE = Canary("alone", "it fails", 1, ("why",), verdict="FAIL", needs="base", run=BASE)
SHARED = replace(ALONE, name="shared", shared=True, test="def test_shared():\n    pass\n")
OTHER = replace(SHARED, name="other", test="def test_other():\n    pass\n")
NO_GUEST = Canary("no-guest", "nonsense", 2, ("nonsense",), run=("nonsense",))


class Play:
    """Stands for the stages: what runs there says what it is told to, by the first of its words."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.said = {"nonsense": Ran("nonsense\n", 2, 0.1)}
        self.tests = Ran("why\nFAIL: 1 passed, 1 failed, 0 skipped\n", 1, 0.1)
        self.control = Ran("PASS: 1 passed, 0 failed\n", 0, 0.1)
        self.events: list[Event] = []
        self.ran: list[tuple[str, ...]] = []
        root = folder / "real"
        (root / "tests/guest").mkdir(parents=True)
        (root / "tests/guest/conftest.py").write_text("")
        monkeypatch.setattr(paths, "ROOT", root)
        monkeypatch.setattr(paths, "BUILD", folder / "build")
        monkeypatch.setenv("DIVERT_CACHE", str(folder / "cache"))
        play = self

        def run(self: stage.Stage, words: list[str], _seconds: float) -> Ran:
            play.ran.append(tuple(words))
            file = self.root / stage.TEST
            if words[0] != "test":
                return play.said[words[0]]
            if file.is_file() and "test_nothing_is_wrong" in file.read_text():
                return play.control
            run_folder = self.root / "build/runs/latest"
            run_folder.mkdir(parents=True, exist_ok=True)
            writer = Writer(run_folder / "events.jsonl")
            for event in play.events:
                writer.write(event)
            writer.close()
            return play.tests

        monkeypatch.setattr(stage.Stage, "run", run)


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    return Play(tmp_path, monkeypatch)


def finished(test: str, outcome: str, message: str) -> Event:
    return TestFinished(
        variant="base",
        test=f"test_canary.py::{test}",
        outcome=outcome,  # type: ignore[arg-type]
        statements=("S1/opens",),
        seconds=0.1,
        message=message,
    )


def test_a_guest_is_tried_without_a_fault_first(play: Play) -> None:
    results = canaries.run([ALONE, NO_GUEST], ["linux-2.2.12=/x"])
    assert [row.canary.name for row in results.outcomes] == ["control base", "alone", "no-guest"]
    assert all(row.right for row in results.outcomes)
    assert play.ran[0] == (*BASE, "--source", "linux-2.2.12=/x")
    assert ("nonsense",) in play.ran
    rows = json.loads((results.folder / "results.json").read_text())
    assert [(row["name"], row["right"]) for row in rows][1] == ("alone", True)
    assert (results.folder / "alone/output.txt").read_text() == play.tests.output


def test_without_such_a_guest_they_are_not_run(play: Play) -> None:
    play.control = Ran(
        "linux-2.2.12: NOT RUN\nit is missing\nNOT RUN: 0 passed, 0 failed\n", 3, 0.1
    )
    outcomes = canaries.run([ALONE, SHARED, NO_GUEST]).outcomes
    assert [(row.word, row.not_run) for row in outcomes] == [
        *[("not run", "it is missing")] * 3,
        ("right", ""),
    ]


def test_a_control_that_fails_is_a_failure(play: Play) -> None:
    play.control = Ran("FAIL: 0 passed, 1 failed\n", 1, 0.1)
    control, alone = canaries.run([ALONE]).outcomes
    assert (control.word, alone.word) == ("WRONG", "not run")
    assert alone.not_run == "control base did not pass"


def test_rows_that_share_a_run_are_judged_by_their_own_tests(play: Play) -> None:
    play.events = [
        GuestLost(variant="base", test="test_canary.py::test_shared", message="why it was"),
        finished("test_shared", "failed", "assert"),
        finished("test_other", "passed", ""),
        finished("test_of_an_innocent[0]", "passed", ""),
    ]
    # What the run ends with is for the guest that was lost; a row beside it has its own.
    play.tests = Ran("FAIL: 2 passed, 2 failed, 0 skipped\n", 4, 0.1)
    outcomes = canaries.run([replace(SHARED, status=4), OTHER]).outcomes
    assert [row.canary.name for row in outcomes] == [
        "control base",
        "crowd base",
        "shared",
        "other",
    ]
    assert [row.word for row in outcomes] == ["right", "right", "right", "WRONG"]
    assert outcomes[3].differs == (
        "exit status 0, not 1",
        "verdict PASS, not FAIL",
        "nothing says: why",
    )


def test_a_shared_row_whose_test_never_ended_is_wrong(play: Play) -> None:
    play.events = [finished("test_other", "failed", "why")]
    outcomes = {row.canary.name: row for row in canaries.run([SHARED, OTHER]).outcomes}
    assert (outcomes["shared"].word, outcomes["other"].word) == ("WRONG", "right")


def test_a_row_that_shares_is_one_test() -> None:
    crowd.check(SHARED)
    for wrong in (
        replace(SHARED, test=""),
        replace(SHARED, fault="x"),
        replace(SHARED, append={"a": "b"}),
        replace(SHARED, test=SHARED.test * 2),
    ):
        with pytest.raises(UserError, match="has to be one test and nothing else"):
            crowd.check(wrong)


def test_the_command(
    play: Play, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = (ALONE, replace(NO_GUEST, status=3))
    monkeypatch.setattr(canary, "load", lambda: rows)
    with pytest.raises(TestsFailedError):
        canaries.canaries()
    shown = capsys.readouterr().out
    assert "no-guest: exit status 2, not 3" in shown
    assert "2 canaries ended as they must, 1 did not" in shown
    known = canaryresults.known()
    assert known is not None
    assert known.rows[2] == ("no-guest", "nonsense", "- 3", "- 2", "WRONG")
    # Of some only, a report of a run would say too little.
    canaries.canaries(only="alone")
    assert canaryresults.known() == known
