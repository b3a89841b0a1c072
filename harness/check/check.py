# SPDX-License-Identifier: GPL-2.0-only
"""The project's own tests: linter, formatter, types, unit tests, the module, the guest tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from harness.base import checkout, paths, terminal
from harness.base.errors import (
    HarnessError,
    InfrastructureError,
    UnavailableError,
    UserError,
)
from harness.bench import bench
from harness.bench import plan as bench_plan
from harness.canaries import canaries, canary
from harness.canaries.canary import Canary
from harness.check import checkjunit, configurationrun, guestruns
from harness.check.docsrun import documents
from harness.check.gdbrun import gdb_steps
from harness.check.guestruns import TESTS, guest_samples, guest_tests
from harness.check.judgerun import both_kernels
from harness.check.neighbours import other_users
from harness.check.readyrun import snapshot_steps
from harness.check.smokerun import smoke_steps
from harness.check.steps import Counts, Step, StepResult, run_step, steps
from harness.check.toolsrun import tools_steps
from harness.debian import packages
from harness.fresh import fresh
from harness.interactive import session
from harness.kernel import toolchain
from harness.matrix import configurations, kernels, suites, variants
from harness.mutate import mutate
from harness.release import modules
from harness.report import exitstatus
from harness.run.request import required

# Each way of the benchmark is measured once on each kind of wires, with one kind of datagram.
BENCH_DATAGRAMS, BENCH_SECONDS = "1400,memory-1400", 0.05

# Each takes a build, a boot and a test.
MUTANTS = 1


def check(
    given: Sequence[str] = (),
    require: Sequence[str] = (),
    *,
    fast: bool = False,
    guests: bool = True,
) -> None:
    """Run everything, and print a summary whose last line counts it.

    What is `fast` needs no guest, and leaves out the unit tests that take long: it says so. Without
    `guests` all is left out that needs one, and that is said.

    Raises GuestError if a guest was lost; else TestsFailedError if anything failed; else
    InfrastructureError if something could not be built, if what `require` names was not there, or
    if no guest test ran that was to. UserError for what cannot be required, as nothing can without
    guests.
    """
    if (fast or not guests) and require:
        which = "--fast" if fast else "--without-guests"
        raise UserError(f"check {which} runs no guest", f"leave out {which}, or --require")
    tested = [row for row in variants.select() if row.checked or row.sample]
    require = required(require, tested)
    folder = paths.BUILD / "check"
    folder.mkdir(parents=True, exist_ok=True)
    results = []
    for step in steps(folder, fast=fast):
        with terminal.activity(step.name, said=False):
            result = run_step(step)
        _say(result)
        results.append(result)
    rests: tuple[Callable[[Sequence[str], Sequence[str]], StepResult], ...] = ()
    if not fast and guests:
        rests = (
            *(documents, fresh_room, module_builds, benchmark, other_users, smoke_steps, in_turn),
            *(other_configurations, quick_canaries, sampled_mutants, both_kernels),
            *(guest_samples, guest_tests),
        )
    elif not fast:
        without = (other_configurations, quick_canaries)
        rests = (documents, module_builds, *(partial(rest, guests=False) for rest in without))
    for rest in rests:
        results.append(rest(given, require))
        _say(results[-1])
    total = sum((result.counts for result in results), Counts())
    terminal.show(_table(results))
    for result in results:
        if result.note:
            terminal.show(f"\n{result.note}")
    junit = folder / checkjunit.FILE
    checkjunit.write(junit, results)
    terminal.show(f"\nJUnit: {junit}\n{total}")
    if fast:
        terminal.show("without guests, builds and slow unit tests: those are ./inv check's")
    elif not guests:
        terminal.show("without guests, as was asked for: none of the guest tests was run")
    family = exitstatus.first(result.family for result in results)
    if guests and not fast and family in (None, InfrastructureError) and not _guests_ran(results):
        raise InfrastructureError(
            "NOT RUN: of the guest tests none ran, so no kernel was tested",
            "what is missing is said above; if that is meant: ./inv check --without-guests",
        )
    if family is not None:
        raise family("")


def _guests_ran(results: Iterable[StepResult]) -> bool:
    return any(result.counts.passed for result in results if result.step.name == TESTS)


def module_builds(_given: Sequence[str], require: Sequence[str]) -> StepResult:
    """The module for each kernel of the host's release and its backports, those too that no guest
    boots here; those of other releases take hundreds of megabytes and are `invoke modules`'.

    Skipped where the headers cannot be had. A suite that has newer kernels than those that were
    tried is told of, and no failure.
    """
    begin = time.monotonic()
    counts, output, notes, lacking = Counts(), [], [], False
    codename = packages.host_release().codename
    for built in modules.build(modules.of_host(modules.every(), codename)):
        name, error = built.kernel.name, built.error
        if error is None:
            counts += Counts(passed=1)
        elif isinstance(error, UnavailableError):
            required = name in require
            lacking = lacking or required
            counts += Counts(failed=int(required), skipped=int(not required))
            notes.append(f"The module for {name} was NOT BUILT.\n{error}")
        else:
            counts += Counts(failed=1)
            output.append(str(error))
    if counts.passed:
        # The lists are here, or can be had as the headers could.
        known = suites.load().suites
        notes += modules.remarks(each for each in known if toolchain.base(each) == codename)
    seconds = time.monotonic() - begin
    # What is required and cannot be had is not the tests' fault.
    family = InfrastructureError if lacking and not output else None
    told = ("\n".join(output), "\n".join(notes))
    return StepResult(Step("module", ()), counts, seconds, *told, error=family)


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
    counts, output, family = Counts(skipped=len(rows)), "", None
    try:
        done = bench.run(request, plan, session.new_folder("bench"))
        measured = sum(bool(samples) for samples in done.samples.values())
        broken = len(done.not_built)
        counts = Counts(passed=measured, skipped=len(rows) - measured, unbuilt=broken)
        output = "\n".join(f"{name}: NOT BUILT\n{why}" for name, why in done.not_built.items())
    except UnavailableError:
        pass
    except InfrastructureError as error:
        counts, output = Counts(unbuilt=1), f"the benchmark cannot be run: {error}"
    except HarnessError as error:
        counts, output = Counts(failed=1), f"the benchmark does not measure: {error}"
        family = exitstatus.of(error)
    seconds = time.monotonic() - begin
    return StepResult(Step("benchmark", ()), counts, seconds, output, error=family)


def in_turn(given: Sequence[str], require: Sequence[str]) -> StepResult:
    """One of those ways to use a guest that take the longest to fetch, drawn by `checkout.seed`."""
    ways = {"gdb": gdb_steps, "tools": tools_steps, "snapshots": snapshot_steps}
    name = list(ways)[checkout.seed() % len(ways)]
    result = ways[name](given, require)
    others = ", ".join(other for other in ways if other != name)
    note = f"by turns, drawn by the checkout: {name}; {others} another time"
    return replace(result, note="\n".join(filter(None, [result.note, note])))


def quick_canaries(
    given: Sequence[str], _require: Sequence[str], *, guests: bool = True
) -> StepResult:
    """Faults that are really made, and whether they end as they must: see docs/canaries.md. Without
    `guests` only those that need none; every other of them, by turns, drawn by `checkout.seed`.

    Skipped if the guest cannot be had that they are made in, which `guest_tests` tells.
    """
    begin = time.monotonic()
    counts, output = Counts(), []
    try:
        rows = canary.select(canary.load(), None, quick=True)
        rows = tuple(row for row in rows if guests or not row.guest)
        results = canaries.run(half(rows, checkout.seed()), given)
        canaries.remember(results)
        for outcome in results.outcomes:
            wrong = bool(outcome.differs)
            counts += Counts(int(outcome.right), int(wrong), int(bool(outcome.not_run)))
            output += [f"canary {outcome.canary.name}: {words}" for words in outcome.differs]
        output += [f"see {results.folder}"] if output else []
    except HarnessError as error:
        counts, output = Counts(failed=1), [f"the canaries cannot be run: {error}"]
    seconds = time.monotonic() - begin
    return StepResult(Step("canaries", ()), counts, seconds, "\n".join(output))


def half(rows: Sequence[Canary], seed: int) -> tuple[Canary, ...]:
    """Every other of the rows; with the next seed the others (pure)."""
    return tuple(rows[seed % 2 :: 2])


def other_configurations(
    given: Sequence[str], _require: Sequence[str], *, guests: bool = True
) -> StepResult:
    """Some of the reference's other configurations, drawn by `checkout.seed`, compiled and linked;
    and, with `guests`, some guest tests on one of them (SPEC.md O4).

    Skipped if the source cannot be had, which `guest_tests` tells.
    """
    name, begin = "configurations", time.monotonic()
    rows = configurationrun.draw(checkout.seed())
    counts, output, boots, error, step = Counts(), [], [], None, Step(name, ())
    try:
        for result in configurationrun.build(rows, given=given):
            if result.built is None:
                counts += Counts(unbuilt=1)
                output.append(result.words)
            else:
                counts += Counts(passed=1)
                boots += [result.row] if result.row == rows[0] else []
    except UnavailableError:
        counts += Counts(skipped=len(rows) - counts.passed - counts.unbuilt)
    if boots and guests:
        chosen = [variants.of_configuration(row) for row in boots]
        tested = guestruns.run(name, chosen, configurations.load().check_sample, given, ())
        counts += tested.counts
        output += filter(None, [tested.output])
        error, step = tested.error, tested.step
    seconds = time.monotonic() - begin
    return StepResult(step, counts, seconds, "\n".join(output), error=error)


def sampled_mutants(given: Sequence[str], _require: Sequence[str]) -> StepResult:
    """Some faults in the module that a test has killed once, drawn by `checkout.seed`: see
    docs/mutation.md.

    Skipped if the kernel cannot be had here, which `guest_tests` tells.
    """
    begin = time.monotonic()
    counts, output, note, family = Counts(skipped=MUTANTS), "", "", None
    seed = checkout.seed()
    try:
        # Of a host that has no kernel of its own there is nothing to make a fault in.
        for row in kernels.of_host(packages.host_release().codename)[:1]:
            found = mutate.sample(MUTANTS, seed, row.name, given)
            failed, drawn = len(found.faults), len(found.drawn)
            counts = Counts(passed=drawn - failed, failed=failed)
            output = "\n".join(found.faults)
            output += "\nall tests on one: ./inv mutate --only NAME" if failed else ""
            note = f"mutants: {drawn} drawn by the seed {seed}"
    except UnavailableError:
        pass
    except InfrastructureError as error:
        counts, output = Counts(unbuilt=1), f"the mutants cannot be built: {error}"
    except HarnessError as error:
        counts, output = Counts(failed=1), f"the mutants cannot be tried: {error}"
        family = exitstatus.of(error)
    seconds = time.monotonic() - begin
    return StepResult(Step("mutants", ()), counts, seconds, output, note, error=family)


def _say(result: StepResult) -> None:
    verdict = "FAILED" if result.counts.failed else "passed"
    if not result.counts.failed and result.counts.unbuilt:
        verdict = "NOT BUILT"
    elif not result.counts.failed and not result.counts.passed:
        verdict = "NOT RUN"
    terminal.say(f"{result.step.name}: {verdict} in {result.seconds:.1f} s")
    if result.output:
        terminal.show(result.output)


def _table(results: Sequence[StepResult]) -> terminal.Grid:
    figures = ("passed", "failed", "skipped", "not built", "seconds")
    grid = terminal.Grid("check", *figures, right=figures)
    for result in results:
        each = result.counts
        counts = (each.passed, each.failed, each.skipped, each.unbuilt)
        grid.row(result.step.name, *map(str, counts), f"{result.seconds:.1f}")
    return grid
