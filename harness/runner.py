# SPDX-License-Identifier: GPL-2.0-only
"""A run of the guest tests: build what it needs, a session for each variant, the verdict."""

from __future__ import annotations

import os
import platform
import secrets
import shlex
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import (
    emulator,
    image,
    kernel,
    paths,
    pool,
    qemu,
    releases,
    report,
    sources,
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
    ImageBuilt,
    KernelBuilt,
    NotRun,
    RunFinished,
    RunStarted,
    StatementKnown,
    VariantSelected,
)
from harness.recorder import Recorder
from harness.variants import Variant
from harness.verdict import Verdict, judge
from harness.worker import WorkerSpec

GUEST_TESTS = paths.TESTS / "guest"
# The kernels that can be tested, and the upstream sources that each needs.
KERNELS = {"linux-2.2.12": ("linux-2.2.12", "ipchains-1.3.9")}
REFERENCE = "linux-2.2.12"


@dataclass(frozen=True)
class Request:
    """What a run is to do. `jobs` guests run at once; `seed` shuffles the tests.

    `modules` are the files that hold what `expression` selects; none: all are read for it.
    """

    variants: tuple[Variant, ...]
    expression: str = ""
    jobs: int = 1
    seed: int = 0
    keep: bool = False
    given: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """The command line that does the same run again."""
        words = ["./inv", "test", "--variant", ",".join(row.name for row in self.variants)]
        words += ["-k", self.expression] if self.expression else []
        words += [word for row in self.given for word in ("--source", row)]
        return shlex.join([*words, "--seed", str(self.seed), "--jobs", str(self.jobs)])


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
    folder = new_folder(paths.RUNS)
    recorder = Recorder(folder)
    interrupted = False
    try:
        recorder.record(_started(request))
        for event in _owed(request):
            recorder.record(event)
        missing = _missing(request.given)
        if missing:
            recorder.record(NotRun(kernel=REFERENCE, reason="\n".join(map(str, missing))))
        else:
            specs = _build(request, folder, recorder)
            pool.run(
                specs,
                GUEST_TESTS,
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


def _owed(request: Request) -> list[Event]:
    """What is to be proved, and where."""
    owed: list[Event] = [
        StatementKnown(
            name=row.name,
            origin=row.origin,
            text=row.text,
            parts={name: (part.needs, part.text) for name, part in row.parts.items()},
        )
        for row in statements.load().values()
    ]
    for variant in request.variants:
        has = tuple(sorted(statements.features(variant)))
        owed.append(VariantSelected(variant=variant.name, kernel=variant.kernel, has=has))
    return owed


def _qemu_version() -> str:
    program = shutil.which(qemu.PROGRAM)
    if program is None:
        return "none"
    done = subprocess.run(
        [program, "--version"], capture_output=True, text=True, timeout=10, check=False
    )
    return _first(done.stdout)


def _missing(given: Sequence[str]) -> list[MissingSourceError]:
    known = releases.load()
    missing = []
    for name in KERNELS[REFERENCE]:
        try:
            sources.locate(known[name], given)
        except MissingSourceError as error:
            missing.append(error)
    return missing


def _build(request: Request, folder: Path, recorder: Recorder) -> list[WorkerSpec]:
    emulator.require()
    guest_image = image.build(given=request.given)
    recorder.record(ImageBuilt(seconds=guest_image.seconds, cached=guest_image.cached))
    specs = []
    for variant in request.variants:
        built = kernel.build(variant, given=request.given)
        recorder.record(
            KernelBuilt(variant=variant.name, seconds=built.seconds, cached=built.cached)
        )
        specs.append(
            WorkerSpec(
                variant=variant.name,
                has=tuple(sorted(statements.features(variant))),
                folder=str(folder / variant.name),
                events="",
                seed=request.seed,
                keep=request.keep,
                bzimage=str(built.bzimage),
                objects=str(built.objects),
                initrd=str(guest_image.initrd),
                private_key=str(guest_image.private_key),
                host_key=str(guest_image.host_key),
                given=request.given,
                modules=request.modules,
            )
        )
    return specs


def check_required(require: Sequence[str]) -> None:
    """Raise UserError if one of the names is no kernel that can be tested."""
    for name in require:
        if name not in KERNELS:
            raise UserError(f"there is no kernel {name}", f"known: {', '.join(KERNELS)}")


def test(
    *,
    variant: str | None = None,
    matrix: str | None = None,
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
    selected = variants.select(variant, matrix)
    matching = worker.collect(GUEST_TESTS, expression) if expression else {}
    result = run(
        Request(
            variants=selected,
            expression=expression,
            jobs=jobs or len(os.sched_getaffinity(0)),
            seed=secrets.randbelow(10**6) if seed is None else int(seed),
            keep=keep,
            given=tuple(given),
            modules=tuple(sorted({test.partition("::")[0] for test in matching})),
        )
    )
    terminal.show(report.render(result.events, result.folder))
    raise_for(result.verdict)


def raise_for(verdict: Verdict) -> None:
    """Raise the error that a verdict amounts to, without words: the report has them."""
    if verdict.passed:
        return
    if verdict.not_run:
        raise MissingSourceError("")
    raise TestsFailedError("") if verdict.booted else GuestError("")
