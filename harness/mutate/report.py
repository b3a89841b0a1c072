# SPDX-License-Identifier: GPL-2.0-only
"""The report of a mutation run: mutant x verdict, how many are killed, and what there is to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from harness.base import terminal
from harness.mutate.mutants import MODULE, LeftOut, Mutant
from harness.mutate.operators import UNSEEN_BY_NATURE
from harness.mutate.result import Result, Verdict

# What counts against the tests; what is no program, or no other one, counts neither way.
_MISSED = (Verdict.SURVIVED, Verdict.UNSEEN, Verdict.UNCOVERED, Verdict.VOID)

Results = Mapping[str, Result]


def render(
    mutants: Sequence[Mutant], results: Results, left_out: Sequence[LeftOut]
) -> terminal.Shown:
    """A line a mutant in the order of the list, the killed of those made from the syntax left out;
    how many are killed, by file and by operator; the counts and what has to be done.
    """
    table = terminal.Grid(
        "mutant", "verdict", "variant", "test", "seconds", right=("seconds",), folded=("test",)
    )
    for mutant in mutants:
        result = results.get(mutant.name)
        if result is None:
            if mutant.fault is None:
                table.row(mutant.name, "not run")
            continue
        fault = result.is_fault(mutant)
        if mutant.fault is not None and not fault:
            continue
        verdict = terminal.text(result.verdict.value, style="red" if fault else "")
        test = result.test.rpartition("/")[2] or mutant.survives
        table.row(mutant.name, verdict, result.variant, test, f"{result.seconds:.1f}")
    done = [mutant for mutant in mutants if mutant.name in results]
    parts: list[terminal.Shown] = [table] if table.columns[0] else []
    if any(mutant.fault for mutant in done):
        parts.append(_rates("file", lambda mutant: mutant.edit.file, done, results))
        parts.append(_rates("operator", lambda mutant: mutant.kind, done, results))
    return terminal.group(*parts, "\n".join(["", *summary(mutants, results, left_out)]))


def _rates(
    name: str, key: Callable[[Mutant], str], mutants: Sequence[Mutant], results: Results
) -> terminal.Grid:
    """How many of each group were killed, of those that count."""
    columns = ("killed", "survive", "not seen", "not covered", "excused", "no other code", "rate")
    table = terminal.Grid(name, *columns, right=columns)
    groups: dict[str, list[Mutant]] = {}
    for mutant in mutants:
        groups.setdefault(key(mutant), []).append(mutant)
    for group, members in sorted(groups.items()):
        table.row(group, *_row(members, results))
    if len(groups) > 1:
        table.row("all", *_row(mutants, results))
    return table


def _row(mutants: Sequence[Mutant], results: Results) -> list[str]:
    count: Counter[Verdict | str] = Counter()
    for mutant in mutants:
        verdict = results[mutant.name].verdict
        excused = mutant.survives and verdict is not Verdict.KILLED
        count["excused" if excused else verdict] += 1
    survive = count[Verdict.SURVIVED] + count[Verdict.VOID]
    none = count[Verdict.SAME] + count[Verdict.UNBUILT]
    figures = (count[Verdict.KILLED], survive, count[Verdict.UNSEEN], count[Verdict.UNCOVERED])
    return [*map(str, (*figures, count["excused"], none)), rate(mutants, results)]


def rate(mutants: Sequence[Mutant], results: Results) -> str:
    """The share of what is killed in words: `95.2 %`; of those that count, and are not excused."""
    told = [(mutant, results[mutant.name].verdict) for mutant in mutants if mutant.name in results]
    killed = sum(verdict is Verdict.KILLED for _, verdict in told)
    missed = sum(verdict in _MISSED and not mutant.survives for mutant, verdict in told)
    return f"{100 * killed / (killed + missed):.1f} %" if killed + missed else "-"


def summary(mutants: Sequence[Mutant], results: Results, left_out: Sequence[LeftOut]) -> list[str]:
    """The counts, the rates, and a line for each thing that is to be done."""
    count = Counter(result.verdict.value for result in results.values())
    missing = len(mutants) - len(results)
    counted = [f"{number} {verdict}" for verdict, number in sorted(count.items())]
    counted += [f"{missing} not run"] if missing else []
    lines = [f"{len(mutants)} mutants: {', '.join(counted)}; {len(left_out)} hunks make none"]
    for name, of in (("module", True), ("series", False)):
        members = [mutant for mutant in mutants if (mutant.source == MODULE) is of]
        if any(mutant.name in results for mutant in members):
            seen = [mutant for mutant in members if mutant.kind not in UNSEEN_BY_NATURE]
            lines.append(
                f"{name}: {rate(members, results)} killed; "
                f"{rate(seen, results)} without {', '.join(UNSEEN_BY_NATURE)}"
            )
    for mutant in mutants:
        if (result := results.get(mutant.name)) is not None:
            lines += _remark(mutant, result)
    return lines


def _remark(mutant: Mutant, result: Result) -> list[str]:
    what = f" ({', '.join(mutant.breaks)})" if mutant.breaks else ""
    words = ""
    match result.verdict:
        case Verdict.SURVIVED if not mutant.survives:
            words = f"no test sees it{what}: write one"
        case Verdict.UNSEEN if not mutant.survives and mutant.fault:
            words = "some tests do not see it: have all tried, without --quick"
        case Verdict.UNSEEN if not mutant.survives:
            words = f"no test of {', '.join(mutant.breaks)} sees it"
        case Verdict.UNCOVERED if not mutant.survives:
            words = f"no test runs it{what}: write one"
        case Verdict.UNBUILT | Verdict.SAME if mutant.fault is None:
            words = f"mend the list: {result.message}"
        case Verdict.VOID:
            words = f"{result.test} fails on {result.variant} without it too"
        case Verdict.KILLED if mutant.survives and not mutant.fault:
            words = "killed, though the list says why it would survive"
    return [f"{mutant.name}: {words}"] if words else []
