# SPDX-License-Identifier: GPL-2.0-only
"""`./inv judge`: each judge by its name, for as long as it is wanted."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.base import options, terminal
from harness.base.errors import (
    GuestLostError,
    InfrastructureError,
    TestsFailedError,
    UnavailableError,
    UserError,
)
from harness.boot import bootable
from harness.guest import agent
from harness.guest.agent import Agent
from harness.interactive import session
from harness.judge import find
from harness.judge.answered import Answered
from harness.judge.examine import Examination
from harness.judge.find import FindError
from harness.judge.pair import Pair
from harness.judge.sequences import Foretellable
from harness.judge.stage import Stage
from harness.judge.trial import Trial
from harness.matrix import statements, variants
from harness.matrix.variants import Variant
from harness.model.steps import Step
from harness.model.traits import traits

JUDGES = ("model", "kernels")
SEEDS = 2**32
# What a find is written to, in the run's folder.
FIND = "find.steps"


@dataclass(frozen=True)
class Request:
    """What is asked of a judge: so many seconds from this seed on, or so many sequences of it, or
    the steps of one case.
    """

    judge: str
    seconds: int
    seed: int
    case: Sequence[Step] = ()
    sequences: int = 0


def judge(
    *,
    name: str | None,
    variant: str | None,
    seconds: int,
    seed: str | None,
    case: str | None,
    given: Sequence[str],
) -> None:
    """Ask a judge about each variant (`model`), or about two of them (`kernels`).

    Raises UserError for what cannot be asked, TestsFailedError for a find, with its steps;
    InfrastructureError, when all others were judged, for what could not be had or built.
    """
    if name not in JUDGES:
        raise UserError(
            f"judge {name}: there is no such judge" if name else "which judge?",
            f"as in: ./inv judge model; there are {', '.join(JUDGES)}",
        )
    if (seconds > 0) == bool(case):
        raise UserError("give either --seconds or --case", "as in: ./inv judge model --seconds 60")
    steps = find.of_file(Path(case)) if case else ()
    request = Request(name, seconds, options.seed(seed, SEEDS), steps)
    if name == "model":
        _judge_each(request, _chosen(variant), given)
    else:
        judge_both(_two(variant), request, given)


def _chosen(variant: str | None) -> Sequence[Variant]:
    if variant is None:
        rows = variants.select()
        return tuple(row for row in rows if row.diverts and row.processors == 1)
    rows = variants.select(variant)
    if not all(row.diverts for row in rows):
        raise UserError("only a kernel with divert sockets can be judged", "as in: --variant base")
    return rows


def _judge_each(request: Request, rows: Sequence[Variant], given: Sequence[str]) -> None:
    absent = []
    for row in rows:
        try:
            with _stage(row, given) as stage:
                _examine(request, row.name, against_the_model(stage, row))
        except InfrastructureError as error:
            what = "NOT RUN" if isinstance(error, UnavailableError) else "NOT BUILT"
            absent.append(f"{row.name}: {what}")
            terminal.say(f"judge {request.judge}: {absent[-1]}\n{error}")
    if absent:
        raise InfrastructureError(", ".join(absent))


def against_the_model(stage: Stage, row: Variant) -> Examination:
    """Sequences on a guest of this variant, each compared with what the model foretells."""
    foretold = traits(statements.features(row))

    def trial() -> Trial:
        stage.reset()
        return Trial(stage, foretold)

    return Examination(trial, Foretellable)


def _two(variant: str | None) -> Sequence[Variant]:
    rows = variants.select(variant) if variant else ()
    if len(rows) != 2 or not all(row.diverts for row in rows):
        raise UserError(
            "judge kernels: name the two variants that are to do the same",
            "as in: --variant base,linux-6.1:base",
        )
    if rows[0].options != rows[1].options:
        raise UserError(
            f"judge kernels: {rows[0].name} and {rows[1].name} have other options",
            "as in: --variant passthrough,linux-6.1:passthrough",
        )
    return rows


def judge_both(rows: Sequence[Variant], request: Request, given: Sequence[str]) -> None:
    """Set two variants of the same options beside each other.

    Raises TestsFailedError for a find, with its steps; InfrastructureError for what could not be
    had or built.
    """
    with ExitStack() as stack:
        stages = [stack.enter_context(_stage(row, given)) for row in rows]
        _examine(request, " and ".join(row.name for row in rows), of_both(stages, rows))


def of_both(stages: Sequence[Stage], rows: Sequence[Variant]) -> Examination:
    """The same sequences on both guests, what came of each compared."""
    foretold = traits(statements.features(rows[0]))

    def trial() -> Pair:
        for stage in stages:
            stage.reset()
        return Pair(stages, foretold)

    return Examination(trial, Answered)


@contextmanager
def _stage(row: Variant, given: Sequence[str]) -> Iterator[Stage]:
    """A fresh guest of this variant, and our programs in it."""
    with session.boot("judge", bootable.build(row, given)) as machine:
        address = agent.start(machine.ssh, machine.qmp)
        shell = Agent(address, machine.check)
        machine.console.subscribe(shell.interrupt)
        try:
            yield Stage(row.name, shell, machine)
            machine.check()
        finally:
            machine.console.unsubscribe(shell.interrupt)
            shell.close()


def _examine(request: Request, names: str, examination: Examination) -> None:
    begin = time.monotonic()
    seed = request.seed
    try:
        if request.case:
            examination.do(request.case)
        else:
            examination.try_kept()
            if request.sequences:
                examination.round(seed, request.sequences)
            while request.seconds:
                examination.round(seed)
                if time.monotonic() - begin >= request.seconds:
                    break
                seed = (seed + 1) % SEEDS
    except FindError as error:
        raise _told(request, names, error, time.monotonic() - begin, seed) from error
    except GuestLostError as error:
        path = _written(names, examination.last)
        again = f"{error.hint}\nthe steps that lead there: {path}".strip()
        raise GuestLostError(error.kind, f"{error.message}\nseed {seed}", again) from error
    terminal.say(
        f"judge {request.judge}, {names}: {examination.sequences} sequences, {examination.steps} "
        f"steps in {time.monotonic() - begin:.0f} s, no find"
        + ("" if request.case else f"; seeds {request.seed} to {seed}")
    )
    answers = examination.answers.most_common()
    terminal.say(f"what came of them: {', '.join(f'{name} {n}' for name, n in answers)}")


def _written(names: str, steps: Sequence[Step]) -> Path:
    """The file of these steps, for --case."""
    path = session.new_folder("judge-find") / FIND
    path.write_text("".join([f"# {names}\n", *(f"{step}\n" for step in steps)]))
    return path


def _told(
    request: Request, names: str, error: FindError, seconds: float, seed: int
) -> TestsFailedError:
    steps = "".join(f"{step}\n" for step in error.steps)
    path = _written(names, error.steps)
    again = ["./inv", "judge", request.judge, "--variant", names.replace(" and ", ",")]
    return TestsFailedError(
        f"judge {request.judge}: a find after {seconds:.0f} s, seed {seed}\n"
        f"{error.message}\n\n{steps}",
        f"again: {shlex.join([*again, '--case', str(path)])}",
    )
