# SPDX-License-Identifier: GPL-2.0-only
"""A run of the guest tests: build what it needs, a session for each variant, the verdict."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.base import background, checkout, paths, terminal
from harness.base.errors import EndedError, NoRoomError, UserError
from harness.guest import qemu
from harness.matrix import statements
from harness.record import canaryresults, runfolders
from harness.record.events import (
    Event,
    HarnessBroken,
    RunFinished,
    RunStarted,
    ShardStarted,
    StatementKnown,
)
from harness.report import exitstatus, report
from harness.report.verdict import Verdict, judge
from harness.run import (
    estimate,
    plan,
    preparation,
    repeats,
    workerpool,
)
from harness.run.progress import Progress
from harness.run.recorder import Recorder
from harness.run.request import Request
from harness.run.shards import Shard


@dataclass(frozen=True)
class RunResult:
    """Where a run is, what was told of it, and what that amounts to."""

    folder: Path
    events: tuple[Event, ...]
    verdict: Verdict


def _first(text: str) -> str:
    return text.partition("\n")[0]


def run(request: Request) -> RunResult:
    """Do one run. Its folder has the report, however it ended.

    What cannot be had or does not build is told there. Raises UserError for what the request has
    wrong, NoRoomError if the run cannot be written; KeyboardInterrupt is passed on after all
    sessions have ended.
    """
    with terminal.activity("looking at what there is", said=False):
        foreseen = plan.foresee(request)
    for line in foreseen.lines:
        terminal.say(line)
    folder = runfolders.new(paths.RUNS)
    progress = Progress(foreseen.foretold, foreseen.seconds)
    with _reported(folder, progress) as recorder:
        recorder.record(_started(request))
        if request.shard is not None:
            recorder.record(_shard(request.shard, request))
        for event in _known():
            recorder.record(event)
        if (canaries := canaryresults.known()) is not None:
            recorder.record(canaries)
        with terminal.showing(progress.lines):
            specs = preparation.prepare(request, folder, recorder.record)
            if specs:
                workerpool.run(
                    specs,
                    request.selected.root,
                    request.selected.expression,
                    jobs=request.jobs,
                    on_event=recorder.record,
                    on_trouble=recorder.trouble,
                )
            if (broken := background.failure()) is not None:
                recorder.record(HarnessBroken(message=str(broken)))
        recorder.record(RunFinished())
    events = recorder.events
    return RunResult(folder, tuple(events), judge(events))


@contextmanager
def _reported(folder: Path, progress: Progress) -> Iterator[Recorder]:
    """A recorder for a run, whose report is written at the end, and shown if that is not its own.

    Raises NoRoomError if it cannot be written.
    """
    recorder = Recorder(folder, progress)
    cut_short = False
    try:
        yield recorder
    except KeyboardInterrupt as ended:
        cut_short = True
        number = ended.number if isinstance(ended, EndedError) else signal.SIGINT
        recorder.record(RunFinished(interrupted=True, signal=number))
        raise
    except NoRoomError:
        cut_short = True
        raise
    finally:
        recorder.close()
        try:
            report.write(folder, recorder.events)
            estimate.remember(recorder.events)
        except NoRoomError:
            cut_short = True
            raise
        finally:
            if cut_short:
                terminal.show(report.render(recorder.events, folder))


def _started(request: Request) -> RunStarted:
    return RunStarted(
        command=request.command,
        variants=tuple(row.name for row in request.variants),
        expression=_narrowed(request),
        seed=request.seed,
        jobs=request.jobs,
        host=f"{platform.platform()}, {os.cpu_count()} processors",
        qemu=_qemu_version(),
        machine=platform.machine(),
        require=request.requires,
    )


def _shard(shard: Shard, request: Request) -> ShardStarted:
    return ShardStarted(
        number=shard.number,
        of=shard.of,
        checkout=checkout.identity(),
        division=shard.division,
        variants=shard.variants,
        share={name: tuple(tests) for name, tests in shard.share.items()},
        require=request.require,
    )


def _narrowed(request: Request) -> str:
    """What a run is of, if that is not all; as -k has it, where that is all that there is."""
    selected = request.selected
    alone = selected.words == ("-k", selected.expression)
    return selected.expression if alone else str(selected)


def _known() -> list[Event]:
    return [
        StatementKnown(
            name=row.name,
            origin=row.origin,
            text=row.text,
            parts={name: (part.needs, part.text) for name, part in row.parts.items()},
        )
        for row in statements.load().values()
    ]


def _qemu_version() -> str:
    program = shutil.which(qemu.PROGRAM)
    if program is None:
        return "none"
    done = subprocess.run(
        [program, "--version"], capture_output=True, text=True, timeout=10, check=False
    )
    return _first(done.stdout)


def test(request: Request, *, times: int = 1) -> None:
    """Run the guest tests that were asked for, so many `times`, and print the report.

    Raises UserError for less than one time, and what the verdict amounts to (`exitstatus`).
    """
    if times < 1 or (request.keep and times > 1):
        raise UserError(
            f"--repeat {times}: it has to be 1 or more, and 1 with --keep, which leaves guests"
        )
    if times > 1:
        exitstatus.raise_for(repeats.test(times, request, run), request.requires)
        return
    result = run(request)
    terminal.show(report.render(result.events, result.folder))
    exitstatus.raise_for(result.verdict, request.requires)
