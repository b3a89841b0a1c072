# SPDX-License-Identifier: GPL-2.0-only
"""The report of a mutation run: mutant x verdict, and what there is to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from harness.base import terminal
from harness.mutate.mutants import LeftOut, Mutant
from harness.mutate.result import Result, Verdict


def render(
    mutants: Sequence[Mutant], results: Mapping[str, Result], left_out: Sequence[LeftOut]
) -> terminal.Shown:
    """A line a mutant in the order of the list, then the counts and what has to be done."""
    table = terminal.Grid(
        "mutant", "verdict", "variant", "test", "seconds", right=("seconds",), folded=("test",)
    )
    for mutant in mutants:
        result = results.get(mutant.name)
        if result is None:
            table.row(mutant.name, "not run")
            continue
        fault = result.is_fault(mutant)
        verdict = terminal.text(result.verdict.value, style="red" if fault else "")
        test = result.test.rpartition("/")[2] or mutant.survives
        table.row(mutant.name, verdict, result.variant, test, f"{result.seconds:.1f}")
    return terminal.group(table, "\n".join(["", *summary(mutants, results, left_out)]))


def summary(
    mutants: Sequence[Mutant], results: Mapping[str, Result], left_out: Sequence[LeftOut]
) -> list[str]:
    """The counts, and a line for each thing that is to be done."""
    count = Counter(result.verdict.value for result in results.values())
    missing = len(mutants) - len(results)
    counted = [f"{number} {verdict}" for verdict, number in sorted(count.items())]
    counted += [f"{missing} not run"] if missing else []
    lines = [f"{len(mutants)} mutants: {', '.join(counted)}; {len(left_out)} hunks make none"]
    for mutant in mutants:
        if (result := results.get(mutant.name)) is not None:
            lines += _remark(mutant, result)
    return lines


def _remark(mutant: Mutant, result: Result) -> list[str]:
    match result.verdict:
        case Verdict.SURVIVED if not mutant.survives:
            what = f" ({', '.join(mutant.breaks)})" if mutant.breaks else ""
            return [f"{mutant.name}: no test sees it{what}: write one"]
        case Verdict.UNSEEN if not mutant.survives:
            return [f"{mutant.name}: no test of {', '.join(mutant.breaks)} sees it"]
        case Verdict.UNBUILT:
            return [f"{mutant.name}: mend the list: {result.message}"]
        case Verdict.VOID:
            return [f"{mutant.name}: {result.test} fails on {result.variant} without it too"]
        case Verdict.KILLED if mutant.survives:
            return [f"{mutant.name}: killed, though the list says why it would survive"]
    return []
