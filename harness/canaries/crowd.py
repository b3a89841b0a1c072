# SPDX-License-Identifier: GPL-2.0-only
"""Canaries that share a run: many faults, and innocent tests between them that have to pass."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base.errors import (
    EXIT_GUEST,
    EXIT_TESTS_FAILED,
    InfrastructureError,
    UserError,
)
from harness.canaries.canary import DEFAULT_RUN, Canary
from harness.canaries.outcome import Outcome, judge
from harness.canaries.stage import Ran
from harness.record import runfolders, stream
from harness.record.events import GuestLost, TestFinished

# More than a test with a fault takes, its hang and the boot of the next guest included.
_SECONDS_EACH = 120
_TEST = re.compile(r"^def (test_\w+)", re.MULTILINE)
# In the order of the seed they come behind and between the faults.
_INNOCENT = """
@S1
@pytest.mark.parametrize("number", range({number}))
def test_of_an_innocent(number, shell):
    shell.check("uname")
"""


@dataclass(frozen=True)
class Crowd:
    """The rows whose tests run in one session, and the run.

    That ends with what the worst of them would end with; each is judged by what it would alone.
    """

    rows: tuple[Canary, ...]
    run: Canary

    def outcomes(self, ran: Ran, runs: Path) -> list[Outcome]:
        """Of the run, and of each of its rows: what is said of its test, and the status for it."""
        words = [row.name for row in self.rows]
        try:
            events = stream.read(runs / "latest" / runfolders.EVENTS)
        except InfrastructureError as error:
            why = f"the run of {self.run.name} cannot be read: {error.message}"
            return [
                judge(self.run, ran),
                *(Outcome(row, status=ran.status, differs=(why,)) for row in self.rows),
            ]
        ended: dict[str, TestFinished] = {}
        lost: set[str] = set()
        said = dict.fromkeys(words, "")
        names = {_test(row): row.name for row in self.rows}
        for event in events:
            if isinstance(event, TestFinished | GuestLost):
                name = names.get(event.test.rpartition("::")[2], "")
                if name:
                    said[name] += f"{event.message}\n"
                if isinstance(event, TestFinished):
                    ended[name] = event
                elif ran.status is not None:
                    lost.add(name)

        def own(name: str) -> int | None:
            """What the run would have ended with for this row alone."""
            if name in lost:
                return EXIT_GUEST
            if name not in ended or ran.status is None:
                return ran.status
            return EXIT_TESTS_FAILED if ended[name].outcome == "failed" else 0

        return [
            judge(self.run, ran),
            *(
                self._one(row, ended.get(row.name), said[row.name], own(row.name))
                for row in self.rows
            ),
        ]

    def _one(
        self, row: Canary, ended: TestFinished | None, said: str, status: int | None
    ) -> Outcome:
        word = {"failed": "FAIL: ", "passed": "PASS: "}.get(ended.outcome if ended else "", "")
        seconds = ended.seconds if ended else 0.0
        return judge(row, Ran(f"{said}\n{word}", status, seconds))


def gather(rows: Sequence[Canary]) -> list[Crowd]:
    """A crowd for each kind of guest that rows share (pure)."""
    shared = [row for row in rows if row.shared]
    crowds = []
    for needs in dict.fromkeys(row.needs for row in shared):
        own = tuple(row for row in shared if row.needs == needs)
        number = len(own)
        run = Canary(
            name=f"crowd {needs}",
            what="all that share a run, with as many innocent tests between them",
            needs=needs,
            run=tuple(word.replace("{needs}", needs) for word in DEFAULT_RUN),
            test="\n".join([*(row.test for row in own), _INNOCENT.format(number=number)]),
            verdict="FAIL",
            status=EXIT_GUEST if EXIT_GUEST in {row.status for row in own} else EXIT_TESTS_FAILED,
            cause=(f"FAIL: {number} passed, {number} failed, 0 skipped",),
            seconds=_SECONDS_EACH * number,
        )
        crowds.append(Crowd(own, run))
    return crowds


def check(row: Canary) -> None:
    """Raise UserError if a row cannot share its run."""
    if len(_TEST.findall(row.test)) != 1 or row.fault or row.append:
        raise UserError(f"{row.name} shares a run, so it has to be one test and nothing else")


def _test(row: Canary) -> str:
    name: str = _TEST.findall(row.test)[0]
    return name
