# SPDX-License-Identifier: GPL-2.0-only
"""`invoke mutate`: for each mutant, whether a test sees it."""

from __future__ import annotations

import signal
from collections.abc import Collection, Sequence

from harness.base import occupancy, paths, terminal
from harness.base.errors import InfrastructureError, TestsFailedError, UserError
from harness.matrix import variants
from harness.mutate import mutants as mutate_list
from harness.mutate import report
from harness.mutate.mutants import LeftOut, Mutant
from harness.mutate.result import Memory, dump
from harness.mutate.sessions import FOLDER, Run
from harness.run import runner

MEMORY = "known.json"
RESULTS = "results.json"
LOCK = "lock"


def mutate(
    *,
    only: str | None = None,
    variant: str | None = None,
    jobs: int = 1,
    quick: bool = False,
    given: Sequence[str] = (),
) -> None:
    """Run the mutants that the command line asks for, and print the report.

    With `variant`, those that are tried on none of these are left out. `quick` leaves it at the
    tests of the statements that a mutant breaks, on the first of its variants, and leaves out those
    that the list says survive.

    Raises UserError for a list that does not fit the series, for a name that is not there, and
    while another process does this here; TestsFailedError if a mutant survives without a reason,
    does not build, or is killed by a test that fails without it too; InfrastructureError, at the
    end, if a variant does not build without any mutant.
    """
    # As in a run of the tests: what ends a job is to end as tidily as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    mutants, left_out = mutate_list.load()
    if only:
        mutants, left_out = mutate_list.select(mutants, only), ()
    # Unless told, wherever the list says: a configuration (docs/configurations.md) too.
    chosen = (
        {row.name for row in variants.select(variant)}
        if variant
        else {name for mutant in mutants for name in mutant.variants}
    )
    mutants = tuple(mutant for mutant in mutants if chosen & set(mutant.variants))
    if quick:
        mutants = tuple(mutant for mutant in mutants if not mutant.survives)
    if not mutants:
        raise UserError(f"no mutant is tried on {variant}", "see harness/mutate/mutants/")
    # The trees that mutants are built in, and what is known of them, are there once.
    with occupancy.once(paths.BUILD / FOLDER / LOCK, "./inv mutate"):
        _run(mutants, left_out, chosen, jobs=jobs, quick=quick, given=tuple(given))


def _run(
    mutants: Sequence[Mutant],
    left_out: Sequence[LeftOut],
    chosen: Collection[str],
    *,
    jobs: int,
    quick: bool,
    given: tuple[str, ...],
) -> None:
    folder = runner.new_folder(paths.BUILD / FOLDER)
    memory = Memory(paths.BUILD / FOLDER / MEMORY)
    run = Run(folder, memory, jobs=jobs, quick=quick, given=given)
    try:
        run.all(mutants, chosen)
    finally:
        (folder / RESULTS).write_text(dump(run.results))
        terminal.show(report.render(mutants, run.results, left_out))
        terminal.show(f"\n{folder / RESULTS}")
    known = [(mutant, run.results.get(mutant.name)) for mutant in mutants]
    if any(result is not None and result.is_fault(mutant) for mutant, result in known):
        raise TestsFailedError("")
    if run.not_run:
        raise InfrastructureError("\n".join(run.not_run.values()))
