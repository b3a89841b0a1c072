# SPDX-License-Identifier: GPL-2.0-only
"""`invoke mutate`: for each mutant, whether a test sees it."""

from __future__ import annotations

import random
import signal
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from harness.base import occupancy, options, paths, terminal
from harness.base.errors import InfrastructureError, TestsFailedError, UserError
from harness.matrix import variants
from harness.matrix.variants import Variant
from harness.mutate import mutants as mutate_list
from harness.mutate import record, report, subset
from harness.mutate.mutants import MODULE, LeftOut, Mutant
from harness.mutate.programs import FOLDER
from harness.mutate.result import Memory, Result, Verdict, dump
from harness.mutate.sessions import Run
from harness.record import runfolders

MEMORY = "known.json"
RESULTS = "results.json"
LOCK = "lock"
_SEEDS = 10**6


@dataclass(frozen=True)
class Choice:
    """Which mutants, as a command line has it: those of `only`, on the variants of `variant` and
    `kernel`; with `listed`, none of those made from the syntax; with `sample`, so many of them,
    drawn by `seed`.
    """

    only: str | None = None
    variant: str | None = None
    kernel: str | None = None
    listed: bool = False
    sample: int = 0
    seed: str | None = None


def mutate(
    choice: Choice,
    *,
    jobs: int = 1,
    quick: bool = False,
    coverage: str | None = None,
    write: bool = False,
    given: Sequence[str] = (),
) -> None:
    """Run the mutants that the command line asks for, and print the report.

    `quick` leaves it at some tests, those of the statements that a mutant breaks, or some of those
    that run its lines, on the first of its variants; and leaves out those that the list says
    survive. `coverage` is the file that tells which tests run which lines. With `write`, which
    tests killed which mutants is written down for `./inv check`.

    Raises UserError for a list that does not fit the series, for a name that is not there, and
    while another process does this here; TestsFailedError if a mutant survives without a reason,
    is listed and does not build, or is killed by a test that fails without it too;
    InfrastructureError, at the end, if a variant does not build without any mutant.
    """
    # As in a run of the tests: what ends a job is to end as tidily as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    told = subset.load(coverage)
    mutants, left_out, chosen = _chosen(choice, quick=quick)
    # The trees that mutants are built in, and what is known of them, are there once.
    with occupancy.once(paths.BUILD / FOLDER / LOCK, "./inv mutate"):
        folder = runfolders.new(paths.BUILD / FOLDER)
        memory = Memory(paths.BUILD / FOLDER / MEMORY)
        run = Run(folder, memory, jobs=jobs, quick=quick, given=tuple(given), coverage=told)
        try:
            run.all(mutants, chosen)
        finally:
            (folder / RESULTS).write_text(dump(run.results))
            terminal.show(report.render(mutants, run.results, left_out))
            terminal.show(f"\n{folder / RESULTS}")
            if write:
                there = {mutant.name for mutant in mutate_list.load()[0]}
                record.write(run.results.values(), there)
    known = [(mutant, run.results.get(mutant.name)) for mutant in mutants]
    if any(result is not None and result.is_fault(mutant) for mutant, result in known):
        raise TestsFailedError("")
    if run.not_run:
        raise InfrastructureError("\n".join(run.not_run.values()))


def _chosen(
    choice: Choice, *, quick: bool
) -> tuple[tuple[Mutant, ...], tuple[LeftOut, ...], Collection[str]]:
    """The mutants, the hunks that make none, and the variants."""
    mutants, left_out = mutate_list.load()
    if choice.only:
        mutants, left_out = mutate_list.select(mutants, choice.only), ()
    if choice.listed:
        mutants = tuple(mutant for mutant in mutants if mutant.fault is None)
    named = choice.variant or choice.kernel
    if named:
        rows = variants.select(choice.variant, None, choice.kernel)
        mutants = tuple(_on(mutant, rows) for mutant in mutants)
        chosen = {row.name for row in rows}
    else:
        # Wherever the list says: a configuration (docs/configurations.md) too.
        chosen = {name for mutant in mutants for name in mutant.variants}
    mutants = tuple(mutant for mutant in mutants if chosen & set(mutant.variants))
    if quick:
        mutants = tuple(mutant for mutant in mutants if not mutant.survives)
    if not mutants:
        raise UserError(f"no mutant is tried on {named}", "see harness/mutate/mutants/")
    if choice.sample:
        seed = options.seed(choice.seed, _SEEDS)
        terminal.say(f"{choice.sample} of {len(mutants)} mutants, drawn by --seed {seed}")
        mutants = draw(mutants, choice.sample, seed)
    return mutants, left_out, chosen


def _on(mutant: Mutant, rows: Sequence[Variant]) -> Mutant:
    """A mutant of the module can be tried wherever that is loaded."""
    if mutant.source != MODULE:
        return mutant
    return replace(mutant, variants=tuple(row.name for row in rows if row.module))


def draw(mutants: Sequence[Mutant], count: int, seed: int) -> tuple[Mutant, ...]:
    """So many of them, or all, in the order in which they are drawn (pure)."""
    ordered = sorted(mutants, key=lambda mutant: mutant.name)
    return tuple(random.Random(seed).sample(ordered, min(count, len(ordered))))  # noqa: S311


@dataclass(frozen=True)
class Sampled:
    """What became of some mutants that tests have killed: `drawn`, by `seed`; `faults` are those of
    which no test kills any more, in words.
    """

    seed: int
    drawn: tuple[Mutant, ...]
    results: tuple[Result, ...]
    faults: tuple[str, ...]


def sample(count: int, seed: int, kernel: str, given: Sequence[str] = ()) -> Sampled:
    """Try so many mutants again of those that killed.toml says tests of a kernel's base kill.

    Each is shown that test, and if it does not see it, some more of that file. Raises what `mutate`
    raises for what cannot be built or had; UserError while that is done here.
    """
    killers = record.read()
    name = f"{kernel}:base"
    there = [replace(each, variants=(name,)) for each in mutate_list.load()[0]]
    there = [each for each in there if each.source == MODULE and each.name in killers]
    drawn = draw(there, count, seed)
    with occupancy.once(paths.BUILD / FOLDER / LOCK, "./inv mutate"):
        folder = runfolders.new(paths.BUILD / FOLDER)
        drawn = tuple(replace(each, tests=(killers[each.name],)) for each in drawn)
        # Nothing is known from before: the fault is to be made.
        memory = Memory(folder / MEMORY)
        run = Run(folder, memory, jobs=1, quick=True, given=tuple(given))
        run.all(drawn, {name})
        (folder / RESULTS).write_text(dump(run.results))
    if run.not_run:
        raise InfrastructureError("\n".join(run.not_run.values()))
    faults = tuple(
        f"{each.name}: {run.results[each.name].verdict.value}; {killers[each.name]} killed it once"
        for each in drawn
        # Of another kernel it may be no other code.
        if run.results[each.name].verdict not in (Verdict.KILLED, Verdict.SAME)
    )
    return Sampled(seed, drawn, tuple(run.results.values()), faults)
