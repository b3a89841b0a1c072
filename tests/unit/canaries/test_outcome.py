# SPDX-License-Identifier: GPL-2.0-only
"""A canary is right only if verdict, status and cause are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.canaries.canary import Canary
from harness.canaries.outcome import judge
from harness.canaries.stage import Ran

ROW = Canary("name", "it panics", status=1, cause=("panic in x",), verdict="FAIL", seconds=9)
SAID = "PASS: said somebody\nguest lost: panic in x\nFAIL: 0 passed, 1 failed\n"


def test_right() -> None:
    outcome = judge(ROW, Ran(SAID, 1, 2.5))
    assert (outcome.right, outcome.word, outcome.seen, outcome.seconds) == (
        *(True, "right", "FAIL 1"),
        2.5,
    )


@pytest.mark.parametrize(
    ("said", "status", "differs"),
    [
        (SAID, 4, "exit status 4, not 1"),
        (SAID, None, "still ran after 9 s"),
        (SAID.replace("FAIL", "PASS"), 1, "verdict PASS, not FAIL"),
        (SAID.replace("FAIL: ", ""), 1, "verdict PASS, not FAIL"),
        (SAID.replace("in x", "in y"), 1, "nothing says: panic in x"),
        (f"{SAID}Traceback (most recent call last):\n", 1, "it says: Traceback (most recent"),
    ],
)
def test_wrong(said: str, status: int | None, differs: str) -> None:
    outcome = judge(ROW, Ran(said, status, 1.0))
    assert (outcome.right, outcome.word, len(outcome.differs)) == (False, "WRONG", 1)
    assert outcome.differs[0].startswith(differs)


def test_no_verdict_where_none_has_to_be() -> None:
    row = replace(ROW, verdict="")
    assert judge(row, Ran("panic in x\n", 1, 1.0)).right
    assert judge(row, Ran(SAID, 1, 1.0)).differs == ("verdict FAIL, not none",)


def test_words_that_must_not_be_there() -> None:
    row = replace(ROW, absent=("guest lost",))
    assert judge(row, Ran(SAID, 1, 1.0)).differs == ("it says: guest lost",)
