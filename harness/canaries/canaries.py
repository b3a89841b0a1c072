# SPDX-License-Identifier: GPL-2.0-only
"""`./inv canaries`: make each fault, run what the row says, and hold what comes against it."""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from harness.base import paths, terminal
from harness.base.errors import EXIT_INFRASTRUCTURE, TestsFailedError
from harness.canaries import canary as table
from harness.canaries import crowd, faults, world
from harness.canaries.canary import Canary
from harness.canaries.crowd import Crowd
from harness.canaries.outcome import Outcome, judge
from harness.canaries.stage import Ran, Stage, stages
from harness.record import canaryresults, runfolders

RESULTS = "results.json"
# What selects the tests of a row and no others.
_OWN_TESTS = "test_canary"
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


@dataclass(frozen=True)
class Results:
    """What came of a run of them, and where it is."""

    folder: Path
    outcomes: tuple[Outcome, ...]


def canaries(*, only: str | None = None, quick: bool = False, given: Sequence[str] = ()) -> None:
    """Run those that the command line asks for, and print the table.

    Raises UserError for a name that is not there, TestsFailedError if one does not end as it must.
    """
    results = run(table.select(table.load(), only, quick=quick), given)
    if only is None:
        remember(results)
    terminal.show(render(results.outcomes))
    terminal.show(f"\n{results.folder / RESULTS}")
    if any(outcome.differs for outcome in results.outcomes):
        raise TestsFailedError("")


def run(rows: Sequence[Canary], given: Sequence[str] = ()) -> Results:
    """Run the rows, one a processor at once; what each said is in the folder of the results.

    `given` are upstream sources, as of --source.
    """
    for row in rows:
        if row.fault:
            faults.named(row.fault)
        if row.shared:
            crowd.check(row)
    folder = runfolders.new(paths.BUILD / canaryresults.FOLDER)
    crowds = crowd.gather(rows)
    alone = [row for row in rows if not row.shared]
    jobs = max(1, min(len(os.sched_getaffinity(0)), len(alone) + len(crowds)))
    with stages(folder, jobs) as made:
        troupe = _Troupe(folder, made, [word for name in given for word in ("--source", name)])
        # Each kind of guest is tried first, once: what is missing is built by one.
        kinds = dict.fromkeys(row.needs for row in rows if row.guest)
        controls = {needs: troupe.play(_control(needs)) for needs in kinds}
        spoilt = {row.name: _spoilt(row, controls.get(row.needs)) for row in rows}
        # What takes longest begins first.
        parts = [
            partial(troupe.play_crowd, each) for each in crowds if not spoilt[each.rows[0].name]
        ]
        parts += [partial(troupe.play_alone, row) for row in alone if not spoilt[row.name]]
        found = {row.canary.name: row for row in _all(parts, made)}
    heads = [found[each.run.name] for each in crowds if each.run.name in found]
    each_row = [found[row.name] if row.name in found else spoilt[row.name] for row in rows]
    outcomes = (*controls.values(), *heads, *(row for row in each_row if row is not None))
    (folder / RESULTS).write_text(dump(outcomes))
    return Results(folder, outcomes)


def remember(results: Results) -> None:
    """Have the reports of later runs tell of them."""
    canaryresults.remember(
        tuple(
            (row.canary.name, row.canary.what, row.expected, row.seen, row.word)
            for row in results.outcomes
        )
    )


def _all(parts: Sequence[Callable[[], list[Outcome]]], made: Sequence[Stage]) -> list[Outcome]:
    """What comes of all of them, as many at once as there are stages; of none, if one is ended."""
    with ThreadPoolExecutor(len(made)) as pool:
        waiting = [pool.submit(part) for part in parts]
        try:
            return [outcome for future in waiting for outcome in future.result()]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for stage in made:
                stage.end(for_good=True)
            raise


def _control(needs: str) -> Canary:
    run = tuple(word.replace("{needs}", needs) for word in table.DEFAULT_RUN)
    return replace(_CONTROL, name=f"control {needs}", needs=needs, run=run)


def _spoilt(row: Canary, control: Outcome | None) -> Outcome | None:
    if control is None or control.right:
        return None
    return Outcome(row, not_run=control.not_run or f"{control.canary.name} did not pass")


class _Troupe:
    """Stages, on each of which one canary at a time is run, and the folder of the results."""

    def __init__(self, folder: Path, made: Sequence[Stage], sources: Sequence[str]) -> None:
        self._folder = folder
        self._sources = sources
        self._free: queue.SimpleQueue[Stage] = queue.SimpleQueue()
        for stage in made:
            self._free.put(stage)

    def play(self, row: Canary) -> Outcome:
        """Run one."""
        return self.play_alone(row)[0]

    def play_alone(self, row: Canary) -> list[Outcome]:
        """Run one."""
        if row.world:
            return self._play(row, lambda ran, build: [world.outcome(row, ran, build)])
        return self._play(row, lambda ran, _: [judge(row, ran)])

    def play_crowd(self, each: Crowd) -> list[Outcome]:
        """Run those that share a run; the first outcome is the run's."""
        return self._play(each.run, lambda ran, build: each.outcomes(ran, build / "runs"))

    def _play(self, row: Canary, judged: Callable[[Ran, Path], list[Outcome]]) -> list[Outcome]:
        stage = self._free.get()
        try:
            with terminal.activity(f"canary {row.name}", said=False):
                _make(row, stage)
                ran = stage.run([*row.run, *(self._sources if row.guest else ())], row.seconds)
            own = self._folder / re.sub(r"[^\w+.-]", "-", row.name)
            own.mkdir()
            (own / "output.txt").write_text(ran.output)
            build = stage.root / "build"
            outcomes = judged(ran, build)
            if row.name == f"control {row.needs}" and (reason := _not_run(ran)):
                return [Outcome(row, not_run=reason)]
            if any(outcome.differs for outcome in outcomes) and (build / "runs").is_dir():
                shutil.move(build / "runs", own)
        finally:
            self._free.put(stage)
        for outcome in outcomes:
            if outcome.differs:
                terminal.say(f"canary {outcome.canary.name}: {'; '.join(outcome.differs)}")
        return outcomes


def _make(row: Canary, stage: Stage) -> None:
    """Make a row's fault."""
    stage.restore()
    if row.test:
        # What selects them by their file's name asks nothing of the others.
        stage.test(row.test, alone=_OWN_TESTS in row.run)
    if row.world:
        world.make(row, stage)
    for name, text in row.append.items():
        stage.append(name, text)
    if row.fault:
        faults.named(row.fault)(stage)


def _not_run(ran: Ran) -> str:
    """Why a control was not run, if it was not: such a guest is not to be had here."""
    if ran.status != EXIT_INFRASTRUCTURE or "NOT RUN: 0 passed" not in ran.output:
        return ""
    reason = ran.output.rpartition(": NOT RUN\n")[2].partition("\n")[0]
    return reason or "such a guest is not to be had here"


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
