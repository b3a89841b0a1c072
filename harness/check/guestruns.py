# SPDX-License-Identifier: GPL-2.0-only
"""Those steps of `./inv check` that are runs of the guest tests."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from harness.base import checkout, terminal
from harness.base.errors import HarnessError, InfrastructureError
from harness.check.steps import Counts, Step, StepResult
from harness.matrix import kernels, variants
from harness.matrix.variants import Variant
from harness.report import exitstatus, report
from harness.report.verdict import Verdict
from harness.run import runner
from harness.run.request import requested

TESTS = "guest tests"


def guest_tests(given: Sequence[str], require: Sequence[str]) -> StepResult:
    """The guest tests on every variant but those that variants.toml leaves out of `check`, and
    those whose turn it is not.

    Skipped if a kernel cannot be had here, only then.
    """
    return run(TESTS, whole(variants.select(), checkout.seed()), "", given, require)


def whole(rows: Sequence[Variant], seed: int) -> list[Variant]:
    """Those of the variants that are tested as a whole: of some with the same turn one (pure)."""
    checked = [row for row in rows if row.checked]
    turns: dict[str, list[Variant]] = {}
    for row in checked:
        turns.setdefault(row.turn or row.name, []).append(row)
    drawn = {row.name for group in turns.values() for row in [group[seed % len(group)]]}
    return [row for row in checked if row.name in drawn]


def guest_samples(given: Sequence[str], require: Sequence[str]) -> StepResult:
    """Some guest tests on those that are left out: the samples that variants.toml names."""
    all_of = {row.name for row in whole(variants.select(), checkout.seed())}
    rows = [row for row in variants.select() if row.sample and row.name not in all_of]
    if not rows:
        return StepResult(Step("guest samples", ()), Counts(), 0.0, "")
    expression = " or ".join(dict.fromkeys(row.sample for row in rows))
    result = run("guest samples", rows, expression, given, require)
    # What cannot be had, `guest_tests` tells.
    return replace(result, note="")


def run(
    name: str,
    chosen: Sequence[Variant],
    expression: str,
    given: Sequence[str],
    require: Sequence[str],
) -> StepResult:
    """Run the tests that `expression` selects, or all, on the variants `chosen`; show the report.

    What of `require` was not there counts as failed, though it is not the tests that are to blame.
    """
    begin = time.monotonic()
    try:
        request = requested(chosen, expression, given=given)
        result = runner.run(request)
    except HarnessError as error:
        family = exitstatus.of(error)
        infrastructure = family is InfrastructureError
        counts = Counts(failed=int(not infrastructure), unbuilt=int(infrastructure))
        output = f"the {name} could not run: {error}"
        return StepResult(Step(name, ()), counts, time.monotonic() - begin, output, error=family)
    terminal.show(report.render(result.events, result.folder))
    verdict = result.verdict
    counts = Counts(*verdict.counts)
    if verdict.word == "FAIL":
        # What belongs to no test, as a guest that did not boot, is a failure too.
        counts = Counts(counts.passed, max(1, counts.failed), counts.skipped)
    lacking = _lacking(verdict, require, chosen)
    counts += Counts(failed=len(lacking), unbuilt=len(verdict.not_built))
    absent = {row.kernel for row in verdict.not_run}
    counts += Counts(skipped=len(request.tests) * sum(row.kernel in absent for row in chosen))
    unmet = InfrastructureError if lacking else None
    return StepResult(
        Step(name, (), result.folder / report.JUNIT),
        counts,
        time.monotonic() - begin,
        "",
        _note(verdict, lacking),
        error=exitstatus.first([exitstatus.family(verdict), unmet]),
    )


def _lacking(verdict: Verdict, require: Sequence[str], chosen: Sequence[Variant]) -> list[str]:
    """What of that which is required was not there for the variants `chosen`, in words."""
    own = {row.kernel for row in chosen}
    known = kernels.load()
    return exitstatus.unmet(verdict, [name for name in require if name not in known or name in own])


def _note(verdict: Verdict, lacking: Sequence[str]) -> str:
    notes = []
    for row in verdict.not_run:
        what = "The reference, " if row.kernel == kernels.REFERENCE else "The kernel "
        notes.append(f"{what}{row.kernel}, was NOT RUN: something is missing.\n{row.reason}")
    for reason, names in verdict.unbuilt.items():
        notes.append(f"{', '.join(names)}: NOT BUILT\n{reason}")
    return "\n".join([*notes, *verdict.done_without, *(f"{line}: a failure." for line in lacking)])
