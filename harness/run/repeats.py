# SPDX-License-Identifier: GPL-2.0-only
"""The same tests many times over: how often does one fail that passes else?

A session that fails stays failed. What is counted is said with its confidence, since "never in ten"
is little: of n tests without a failure up to 3/n may still fail, with a confidence of 95 %.
"""

from __future__ import annotations

import math
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from harness.base import terminal
from harness.record.events import Event
from harness.record.repeat import repeat
from harness.report import report
from harness.report.verdict import Verdict
from harness.run.request import Request

_CONFIDENCE = 0.95


class Result(Protocol):
    """What is asked of one run (harness.run.runner.RunResult)."""

    @property
    def folder(self) -> Path: ...

    @property
    def events(self) -> tuple[Event, ...]: ...

    @property
    def verdict(self) -> Verdict: ...


@dataclass
class Tally:
    """What all sessions so far amount to; `first` is the verdict of the first that failed."""

    sessions: int = 0
    tests: int = 0
    failed: int = 0
    bad: list[str] = field(default_factory=list)
    again: Counter[str] = field(default_factory=Counter)
    first: Verdict | None = None

    def add(self, result: Result) -> None:
        """Count one run: a session for each variant that ran."""
        verdict = result.verdict
        passed, failed, _ = verdict.counts
        self.sessions += len(verdict.variants)
        self.tests += passed + failed
        self.failed += failed
        if verdict.passed:
            return
        self.first = self.first or verdict
        self.bad.append(f"{result.folder}: {'; '.join(verdict.reasons) or verdict.word}")
        self.again.update(repeat(test) for test in verdict.failures)

    def __str__(self) -> str:
        words = f"{self.sessions} sessions, {self.tests} tests, {self.failed} failed"
        if self.bad:
            words += f", {len(self.bad)} runs that did not pass"
        if not self.tests:
            return words
        # A guest that was lost between two tests is one of them, too.
        seen = max(self.failed, len(self.bad))
        most = min(1.0, upper_limit(seen) / self.tests)
        return f"{words}: at most {most:.2g} of all tests fail so, with a confidence of 95 %"


def upper_limit(count: int, confidence: float = _CONFIDENCE) -> float:
    """Of a rare event seen `count` times: up to how many are to be expected (Poisson; pure).

    The mean of which so few come with a probability of 1 - `confidence`: 3.0 of none.
    """

    def few(mean: float) -> float:
        logs = (n * math.log(mean) - mean - math.lgamma(n + 1) for n in range(count + 1))
        return sum(map(math.exp, logs))

    low, high = max(0.1, float(count)), 10.0 + 3.0 * count
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if few(middle) > 1 - confidence else (low, middle)
    return high


def test(times: int, request: Request, run: Callable[[Request], Result]) -> Verdict:
    """Do a run so many times, each with the next seed, and print what they amount to, also where
    the user ends it; the verdict of the first that did not pass, else of the last.

    The folder of one that passed is removed, but for the last: a thousand would fill the disk.
    """
    tally = Tally()
    try:
        for number in range(times):
            seed = request.seed + number
            terminal.say(f"run {number + 1} of {times}, seed {seed}")
            result = run(replace(request, seed=seed))
            tally.add(result)
            if not result.verdict.passed or number + 1 == times:
                terminal.show(report.render(result.events, result.folder))
            else:
                shutil.rmtree(result.folder)
    finally:
        terminal.show(shown(tally))
    return tally.first or result.verdict


def shown(tally: Tally) -> terminal.Shown:
    """The runs that did not pass, the tests that failed with how often, and the count of all."""
    parts: list[terminal.Shown] = [terminal.text(f"not passed: {line}") for line in tally.bad]
    for again, times in tally.again.most_common():
        parts.append(terminal.text(f"failed {times} times: {again}"))
    return terminal.group(*parts, terminal.text(str(tally)))
