# SPDX-License-Identifier: GPL-2.0-only
"""`./inv canaries`: make each fault, run what the row says, and hold what comes against it."""

from __future__ import annotations

import json
import os
import queue
import shutil
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from harness.base import paths, terminal
from harness.base.errors import TestsFailedError
from harness.canaries import canary as table
from harness.canaries import faults
from harness.canaries.canary import Canary
from harness.canaries.outcome import Outcome, judge
from harness.canaries.stage import Stage, stages
from harness.run import runner

FOLDER = "canaries"
RESULTS = "results.json"
# The row in which nothing is wrong, run before those that need such a guest. Without its PASS the
# failure of theirs says nothing.
_CONTROL = Canary(
    name="control",
    what="nothing is wrong",
    status=0,
    verdict="PASS",
    cause=("1 passed, 0 failed",),
    test="@S1\ndef test_nothing_is_wrong(shell):\n    shell.check('uname')\n",
    seconds=1200,
)
_NOT_RUN = 3


@dataclass(frozen=True)
class Results:
    """What came of a run of them, and where it is."""

    folder: Path
    outcomes: tuple[Outcome, ...]


def canaries(*, only: str | None = None, quick: bool = False) -> None:
    """Run those that the command line asks for, and print the table.

    Raises UserError for a name that is not there, TestsFailedError if one does not end as it must.
    """
    results = run(table.select(table.load(), only, quick=quick))
    terminal.show(render(results.outcomes))
    terminal.show(f"\n{results.folder / RESULTS}")
    if any(outcome.differs for outcome in results.outcomes):
        raise TestsFailedError("")


def run(rows: Sequence[Canary]) -> Results:
    """Run the rows, one a processor at once; what each said is in the folder of the results."""
    for row in rows:
        if row.fault:
            faults.named(row.fault)
    folder = runner.new_folder(paths.BUILD / FOLDER)
    jobs = max(1, min(len(os.sched_getaffinity(0)), len(rows)))
    outcomes: dict[str, Outcome] = {}
    with stages(folder, jobs) as made:
        free: queue.SimpleQueue[Stage] = queue.SimpleQueue()
        for stage in made:
            free.put(stage)

        def one(row: Canary) -> Outcome:
            stage = free.get()
            try:
                return _run(row, stage, folder)
            finally:
                free.put(stage)

        # Each kind of guest is tried first, once: what is missing is built by one.
        controls = {name: one(_control(name)) for name in dict.fromkeys(map(_needs, rows)) if name}
        with ThreadPoolExecutor(jobs) as pool:
            waiting: list[Future[Outcome]] = []
            try:
                for row in rows:
                    spoilt = _spoilt(row, controls.get(_needs(row)))
                    if spoilt is not None:
                        outcomes[row.name] = spoilt
                    else:
                        waiting.append(pool.submit(one, row))
                for future in waiting:
                    outcome = future.result()
                    outcomes[outcome.canary.name] = outcome
            except BaseException:
                for future in waiting:
                    future.cancel()
                for stage in made:
                    stage.end(for_good=True)
                raise
    results = Results(folder, (*controls.values(), *(outcomes[row.name] for row in rows)))
    (folder / RESULTS).write_text(dump(results.outcomes))
    return results


def _needs(row: Canary) -> str:
    return row.needs if row.guest else ""


def _control(needs: str) -> Canary:
    words = ("test", "--variant", needs, "-k", "test_canary", "--jobs", "1")
    return Canary(**{**vars(_CONTROL), "name": f"control {needs}", "needs": needs, "run": words})


def _spoilt(row: Canary, control: Outcome | None) -> Outcome | None:
    if control is None or control.right:
        return None
    if control.not_run:
        return Outcome(row, not_run=control.not_run)
    return Outcome(row, not_run=f"{control.canary.name} did not pass")


def _run(row: Canary, stage: Stage, folder: Path) -> Outcome:
    with terminal.activity(f"canary {row.name}", said=False):
        stage.restore()
        if row.test:
            stage.test(row.test)
        for name, text in row.append.items():
            stage.append(name, text)
        if row.fault:
            faults.named(row.fault)(stage)
        ran = stage.run(row.run, row.seconds)
    outcome = judge(row, ran)
    own = folder / row.name.replace(" ", "-").replace(":", "-")
    own.mkdir()
    (own / "output.txt").write_text(ran.output)
    if row.verdict == "PASS" and outcome.verdict == "NOT RUN" and ran.status == _NOT_RUN:
        reason = ran.output.partition("NOT RUN\n")[2].partition("\n")[0]
        return Outcome(row, not_run=reason or "the guest is not to be had here")
    if outcome.differs:
        runs = stage.root / "build" / "runs"
        if runs.is_dir():
            shutil.move(runs, own / "runs")
        terminal.say(f"canary {row.name}: {'; '.join(outcome.differs)}")
    return outcome


def render(outcomes: Sequence[Outcome]) -> terminal.Shown:
    """A line a canary, then what differs, then the counts."""
    grid = terminal.Grid("canary", "expected", "seen", "seconds", right=("seconds",))
    lines = [""]
    for outcome in outcomes:
        seen = terminal.text(outcome.seen, style="red" if outcome.differs else "")
        grid.row(outcome.canary.name, outcome.expected, seen, f"{outcome.seconds:.1f}")
        lines += [f"{outcome.canary.name}: {words}" for words in outcome.differs]
    for reason in dict.fromkeys(outcome.not_run for outcome in outcomes if outcome.not_run):
        number = sum(outcome.not_run == reason for outcome in outcomes)
        lines.append(f"{number} not run: {reason}")
    right = sum(outcome.right for outcome in outcomes)
    differ = sum(bool(outcome.differs) for outcome in outcomes)
    lines.append(f"{right} canaries ended as they must, {differ} did not")
    return terminal.group(grid, "\n".join(lines))


def dump(outcomes: Sequence[Outcome]) -> str:
    """Outcomes as JSON: a table a canary, what it does, must end in and has ended in."""
    rows = [
        {
            "name": outcome.canary.name,
            "what": outcome.canary.what,
            "needs": outcome.canary.needs,
            "expected": {
                "verdict": outcome.canary.verdict,
                "status": outcome.canary.status,
                "cause": outcome.canary.cause,
            },
            "seen": {"verdict": outcome.verdict, "status": outcome.status},
            "seconds": round(outcome.seconds, 1),
            "right": outcome.right,
            "differs": outcome.differs,
            "not run": outcome.not_run,
        }
        for outcome in outcomes
    ]
    return json.dumps(rows, indent=1) + "\n"
