# SPDX-License-Identifier: GPL-2.0-only
"""A run of the guest tests: build what it needs, a session for each variant, the verdict."""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import (
    estimate,
    kernels,
    paths,
    plan,
    pool,
    preparation,
    qemu,
    report,
    statements,
    terminal,
    variants,
    worker,
)
from harness.errors import (
    GuestError,
    MissingSourceError,
    TestsFailedError,
    UserError,
)
from harness.events import (
    Event,
    RunFinished,
    RunStarted,
    StatementKnown,
)
from harness.progress import Progress
from harness.recorder import Recorder
from harness.request import Request, default_jobs
from harness.verdict import Verdict, judge


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

    A source that is missing makes a run that was NOT RUN; any other error of a build is raised.
    KeyboardInterrupt is passed on after all sessions have ended.
    """
    with terminal.activity("looking at what there is", said=False):
        foreseen = plan.foresee(request)
    for line in foreseen.lines:
        terminal.say(line)
    folder = new_folder(paths.RUNS)
    progress = Progress(foreseen.foretold, foreseen.seconds)
    recorder = Recorder(folder, progress)
    interrupted = False
    try:
        recorder.record(_started(request))
        for event in _known():
            recorder.record(event)
        with terminal.showing(progress.lines):
            specs = preparation.prepare(request, folder, recorder.record)
            if specs:
                pool.run(
                    specs,
                    paths.GUEST_TESTS,
                    request.expression,
                    jobs=request.jobs,
                    on_event=recorder.record,
                    on_trouble=recorder.trouble,
                )
        recorder.record(RunFinished())
    except KeyboardInterrupt:
        interrupted = True
        raise
    finally:
        if interrupted:
            recorder.record(RunFinished(interrupted=True))
        recorder.close()
        events = report.write(folder)
        estimate.remember(events)
        if interrupted:
            terminal.show(report.render(events, folder))
    return RunResult(folder, tuple(events), judge(events))


def new_folder(runs: Path) -> Path:
    """A folder for a run that begins now, named by the time; `latest` points to it."""
    name = time.strftime("%Y-%m-%d_%H.%M.%S")
    number = 1
    folder = runs / name
    while True:
        try:
            folder.mkdir(parents=True)
            break
        except FileExistsError:
            number += 1
            folder = runs / f"{name}.{number}"
    link = runs / f".latest.{os.getpid()}"
    link.unlink(missing_ok=True)
    link.symlink_to(folder.name)
    link.replace(runs / "latest")
    return folder


def _started(request: Request) -> RunStarted:
    return RunStarted(
        command=request.command,
        variants=tuple(row.name for row in request.variants),
        expression=request.expression,
        seed=request.seed,
        jobs=request.jobs,
        host=f"{platform.platform()}, {os.cpu_count()} processors",
        qemu=_qemu_version(),
    )


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


def check_required(require: Sequence[str]) -> None:
    """Raise UserError if one of the names is no kernel that can be tested."""
    for name in require:
        kernels.named(name)


def test(
    *,
    variant: str | None = None,
    matrix: str | None = None,
    kernel: str | None = None,
    expression: str = "",
    jobs: int = 0,
    keep: bool = False,
    given: Sequence[str] = (),
    require: Sequence[str] = (),
    seed: str | None = None,
) -> None:
    """Run the guest tests that a command line asks for, and print the report.

    Raises UserError if the command line asks for what is not there, TestsFailedError if the verdict
    is not a pass, GuestError if no guest booted at all, MissingSourceError if nothing could run.
    """
    check_required(require)
    if jobs < 0:
        raise UserError(f"--jobs {jobs}: it has to be 1 or more")
    if seed is not None and not seed.isdecimal():
        raise UserError(f"--seed {seed}: it has to be a number")
    selected = variants.select(variant, matrix, kernel)
    with terminal.activity("looking at the tests", said=False):
        matching = worker.collect(paths.GUEST_TESTS, expression)
    modules = tuple(sorted({test.partition("::")[0] for test in matching}))
    result = run(
        Request(
            variants=selected,
            expression=expression,
            jobs=jobs or default_jobs(),
            seed=secrets.randbelow(10**6) if seed is None else int(seed),
            keep=keep,
            given=tuple(given),
            modules=modules if expression else (),
            tests=matching,
        )
    )
    terminal.show(report.render(result.events, result.folder))
    raise_for(result.verdict, require)


def raise_for(verdict: Verdict, require: Sequence[str] = ()) -> None:
    """Raise the error that a verdict amounts to, without words: the report has them.

    A kernel that cannot be had is an error where it is required, or where no other was tested.
    """
    if verdict.not_run and (verdict.passed or not verdict.variants):
        absent = {row.kernel for row in verdict.not_run}
        if not verdict.variants or absent.intersection(require):
            raise MissingSourceError("")
    if verdict.passed:
        return
    raise TestsFailedError("") if verdict.booted else GuestError("")
