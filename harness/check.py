# SPDX-License-Identifier: GPL-2.0-only
"""The project's own tests: linter, formatter, types, unit tests, the module, the guest tests."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

from rich.table import Table

from harness import (
    bench,
    bench_plan,
    distribution,
    fresh,
    kernels,
    module,
    paths,
    report,
    runner,
    session,
    terminal,
    variants,
    worker,
)
from harness.errors import HarnessError, TestsFailedError, UnavailableError
from harness.request import Request, default_jobs
from harness.variants import Variant
from harness.verdict import Verdict

# The slowest step, the unit tests, ends within a minute on two cores.
STEP_SECONDS = 600.0
# Each way of the benchmark is measured once on each kind of wires, with one kind of datagram.
BENCH_DATAGRAMS, BENCH_SECONDS = "1400,memory-1400", 0.05


@dataclass(frozen=True)
class Step:
    """One tool over the whole checkout; its exit status 0 means passed."""

    name: str
    argv: tuple[str, ...]
    junit: Path | None = None


@dataclass(frozen=True)
class Counts:
    """How many tests passed, failed, and were skipped. A tool counts as one test."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped
        )

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


@dataclass(frozen=True)
class StepResult:
    """What came of a step: counts, seconds, its output if it failed, and what the end must say."""

    step: Step
    counts: Counts
    seconds: float
    output: str
    note: str = ""


def steps(folder: Path) -> tuple[Step, ...]:
    """The steps that need no guest; results are written to `folder`."""
    python = (sys.executable, "-m")
    junit = folder / "unit.xml"
    return (
        Step("ruff check", (*python, "ruff", "check", "--no-cache")),
        Step("ruff format", (*python, "ruff", "format", "--check", "--no-cache")),
        Step("mypy --strict", (*python, "mypy", "--strict", f"--cache-dir={os.devnull}")),
        Step(
            "unit tests",
            (*python, "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={junit}"),
            junit,
        ),
    )


def run_step(step: Step, root: Path = paths.ROOT) -> StepResult:
    """Run one step in `root`. A tool that cannot run or gives no result has failed."""
    begin = time.monotonic()
    if step.junit is not None:
        step.junit.unlink(missing_ok=True)
    try:
        done = subprocess.run(
            step.argv,
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=STEP_SECONDS,
            check=False,
        )
        status, output = done.returncode, done.stdout
    except OSError as error:
        status, output = -1, f"cannot start {step.argv[0]}: {error.strerror}"
    except subprocess.TimeoutExpired as error:
        # With text=True the partial output is bytes all the same (a quirk of subprocess).
        partial = error.stdout.decode(errors="replace") if error.stdout else ""
        status, output = -1, f"{partial}\nstill running after {STEP_SECONDS:g} s"
    counts = Counts(passed=1) if status == 0 else Counts(failed=1)
    if step.junit is not None:
        counts = from_junit(step.junit, counts)
    return StepResult(step, counts, time.monotonic() - begin, output if counts.failed else "")


def from_junit(file: Path, otherwise: Counts) -> Counts:
    """Counts of a JUnit file; `otherwise` when it is not there, cannot be read, or has no test.

    Never fewer failures than `otherwise` has: a tool that failed is not made good by its file.
    """
    try:
        suites = list(ElementTree.parse(file).getroot().iter("testsuite"))  # noqa: S314 (our own)
    except (OSError, ElementTree.ParseError):
        return Counts(failed=1)

    def total(attribute: str) -> int:
        return sum(int(suite.get(attribute, "0")) for suite in suites)

    tests, skipped = total("tests"), total("skipped")
    failed = max(total("failures") + total("errors"), otherwise.failed)
    if tests == 0:
        return Counts(failed=1)
    return Counts(max(0, tests - failed - skipped), failed, skipped)


def check(given: Sequence[str] = (), require: Sequence[str] = ()) -> None:
    """Run everything, and print a summary whose last line counts it.

    Raises TestsFailedError if anything failed, or if a kernel named by `require` was not tested.
    """
    runner.check_required(require)
    folder = paths.BUILD / "check"
    folder.mkdir(parents=True, exist_ok=True)
    results = []
    for step in steps(folder):
        result = run_step(step)
        _say(result)
        results.append(result)
    for rest in (fresh_room, module_builds, benchmark, guest_samples, guest_tests):
        results.append(rest(given, require))
        _say(results[-1])
    total = sum((result.counts for result in results), Counts())
    terminal.show(_table(results))
    for result in results:
        if result.note:
            terminal.show(f"\n{result.note}")
    terminal.show(f"\n{total}")
    if total.failed:
        raise TestsFailedError("")


def module_builds(_given: Sequence[str], require: Sequence[str]) -> StepResult:
    """The module of module/ for each kernel of a distribution, those too that no guest boots here.

    Skipped where the headers cannot be had.
    """
    begin = time.monotonic()
    counts, output, notes = Counts(), [], []
    for row in kernels.load().values():
        if not row.package or row.optional:
            continue
        try:
            module.build(distribution.headers(row))
            counts += Counts(passed=1)
        except UnavailableError as error:
            required = row.name in require
            counts += Counts(failed=int(required), skipped=int(not required))
            notes.append(f"The module for {row.name} was NOT BUILT.\n{error}")
        except HarnessError as error:
            counts += Counts(failed=1)
            output.append(str(error))
    seconds = time.monotonic() - begin
    return StepResult(Step("module", ()), counts, seconds, "\n".join(output), "\n".join(notes))


def fresh_room(_given: Sequence[str], _require: Sequence[str]) -> StepResult:
    """README's first steps on a machine that has never seen us: see docs/rooms.md."""
    begin = time.monotonic()
    done = fresh.for_check()
    counts = Counts(done.passed, done.failed, done.skipped)
    seconds = time.monotonic() - begin
    return StepResult(Step("fresh room", ()), counts, seconds, done.output, done.note)


def benchmark(given: Sequence[str], _require: Sequence[str]) -> StepResult:
    """That `invoke bench` measures each of its ways, not how fast they are.

    Skipped if a kernel cannot be had here, which `guest_tests` tells.
    """
    begin = time.monotonic()
    plan = bench_plan.load()
    bases = [row for row in variants.select() if row.short == "base"]
    rows = bench_plan.only(bench_plan.measurements(plan, bases), BENCH_DATAGRAMS)
    request = bench.Request(rows, 1, BENCH_SECONDS, tuple(given))
    counts, output = Counts(skipped=len(rows)), ""
    try:
        done = bench.run(request, plan, session.new_folder("bench"))
        measured = sum(bool(samples) for samples in done.samples.values())
        counts = Counts(passed=measured, skipped=len(rows) - measured)
    except UnavailableError:
        pass
    except HarnessError as error:
        counts, output = Counts(failed=1), f"the benchmark does not measure: {error}"
    return StepResult(Step("benchmark", ()), counts, time.monotonic() - begin, output)


def guest_tests(given: Sequence[str], require: Sequence[str]) -> StepResult:
    """The guest tests on every variant but those that variants.toml leaves out of `check`.

    Skipped if a kernel cannot be had here, only then.
    """
    rows = [row for row in variants.select() if row.checked]
    return _guests("guest tests", rows, "", given, require)


def guest_samples(given: Sequence[str], require: Sequence[str]) -> StepResult:
    """Some guest tests on those that are left out: the samples that variants.toml names."""
    rows = [row for row in variants.select() if row.sample]
    if not rows:
        return StepResult(Step("guest samples", ()), Counts(), 0.0, "")
    expression = " or ".join(dict.fromkeys(row.sample for row in rows))
    result = _guests("guest samples", rows, expression, given, require)
    # What cannot be had, `guest_tests` tells.
    return replace(result, note="")


def _guests(
    name: str,
    chosen: Sequence[Variant],
    expression: str,
    given: Sequence[str],
    require: Sequence[str],
) -> StepResult:
    begin = time.monotonic()
    request = Request(
        variants=tuple(chosen),
        expression=expression,
        jobs=default_jobs(),
        seed=secrets.randbelow(10**6),
        given=tuple(given),
    )
    output = note = ""
    try:
        result = runner.run(request)
        terminal.show(report.render(result.events, result.folder))
        counts = Counts(*result.verdict.counts)
        if result.verdict.variants and not result.verdict.passed:
            # What belongs to no test, as a guest that did not boot, is a failure too.
            counts = Counts(counts.passed, max(1, counts.failed), counts.skipped)
        if result.verdict.not_run:
            absent = {row.kernel for row in result.verdict.not_run}
            rows = [variant for variant in request.variants if variant.kernel in absent]
            untested = len(worker.collect(paths.GUEST_TESTS, expression)) * len(rows)
            counts += Counts(failed=len(absent.intersection(require)), skipped=untested)
            note = _not_run(result.verdict, require)
    except HarnessError as error:
        counts, output = Counts(failed=1), f"the {name} could not run: {error}"
    return StepResult(Step(name, ()), counts, time.monotonic() - begin, output, note)


def _not_run(verdict: Verdict, require: Sequence[str]) -> str:
    notes = []
    for row in verdict.not_run:
        what = "The reference, " if row.kernel == kernels.REFERENCE else "The kernel "
        notes.append(f"{what}{row.kernel}, was NOT RUN: something is missing.\n{row.reason}")
        if row.kernel in require:
            notes.append(f"It was required (--require {row.kernel}), so this is a failure.")
    return "\n".join(notes)


def _say(result: StepResult) -> None:
    verdict = "FAILED" if result.counts.failed else "passed"
    if not result.counts.failed and not result.counts.passed:
        verdict = "NOT RUN"
    terminal.say(f"{result.step.name}: {verdict} in {result.seconds:.1f} s")
    if result.output:
        terminal.show(result.output)


def _table(results: Sequence[StepResult]) -> Table:
    grid = Table(box=None, pad_edge=False, header_style="bold")
    grid.add_column("check", no_wrap=True)
    for heading in ("passed", "failed", "skipped", "seconds"):
        grid.add_column(heading, justify="right", no_wrap=True)
    for result in results:
        counts = (result.counts.passed, result.counts.failed, result.counts.skipped)
        grid.add_row(result.step.name, *map(str, counts), f"{result.seconds:.1f}")
    return grid
