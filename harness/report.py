# SPDX-License-Identifier: GPL-2.0-only
"""What a person sees of a run: table, failures, verdict; and the files of its folder."""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness import events as events_module
from harness import junit, paths, statements, terminal
from harness.errors import UserError
from harness.events import Event, TestFinished
from harness.verdict import VariantSummary, Verdict, judge

EVENTS = "events.jsonl"
SUMMARY = "summary.txt"
JUNIT = "junit.xml"
# In full on the terminal; the others are named, and all are in the summary.
FAILURES_SHOWN = 10
MESSAGE_LINES = 15


def repeat(test: TestFinished) -> str:
    """The command line that repeats one test alone."""
    name = test.test.rpartition("::")[2]
    return f"./inv test --variant {test.variant} -k {shlex.quote(name)}"


def render(events: Sequence[Event], folder: Path, *, everything: bool = False) -> RenderableType:
    """The report of a stream: table, statements, failures, verdict."""
    verdict = judge(events)
    parts: list[RenderableType] = []
    if verdict.variants and not verdict.not_run:
        parts += [table(verdict), _times(verdict), ""]
    if by_statement(events):
        parts.append(statement_table(events) if everything else _statement_counts(events))
    shown = verdict.failures if everything else verdict.failures[:FAILURES_SHOWN]
    for test in shown:
        parts += ["", _failure(test)]
    if len(shown) < len(verdict.failures):
        more = verdict.failures[len(shown) :]
        parts += ["", Text(f"and {len(more)} more, all in {folder / SUMMARY}:")]
        parts += [Text(f"  {test.variant}: {test.test}") for test in more]
    for row in verdict.not_run:
        parts += ["", Text(f"{row.kernel}: NOT RUN\n{row.reason}", style="bold yellow")]
    parts += ["", *(Text(f"kept: {kept.variant}: {kept.login}") for kept in verdict.kept)]
    parts += [Text(f"run: {folder}"), _verdict_line(verdict)]
    return Group(*parts)


def table(verdict: Verdict) -> Table:
    """Variant x counts and seconds."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    grid.add_column("variant", no_wrap=True)
    for heading in ("passed", "failed", "skipped", "build s", "boot s", "tests s"):
        grid.add_column(heading, justify="right", no_wrap=True)
    grid.add_column("accelerator", no_wrap=True)
    grid.add_column("verdict", overflow="fold")
    for row in verdict.variants:
        grid.add_row(
            row.variant,
            str(row.passed),
            str(row.failed),
            str(row.skipped),
            "cached" if row.build_cached else _seconds(row.build_seconds),
            _seconds(row.boot_seconds, 2),
            _seconds(row.test_seconds),
            row.accelerator,
            _variant_verdict(row),
        )
    return grid


def _variant_verdict(row: VariantSummary) -> Text:
    return Text("; ".join(row.reasons), style="red") if row.reasons else Text("pass", style="green")


def _seconds(seconds: float | None, digits: int = 1) -> str:
    return "-" if seconds is None else f"{seconds:.{digits}f}"


def _times(verdict: Verdict) -> Text:
    image = verdict.image
    if image is None:
        built = "not built"
    else:
        built = "cached" if image.cached else f"built in {image.seconds:.1f} s"
    started = verdict.started
    told = f"; seed {started.seed}; {started.jobs} guests at once" if started else ""
    total = f"; {verdict.seconds:.1f} s in all" if verdict.seconds is not None else ""
    return Text(f"guest image: {built}{told}{total}")


def by_statement(events: Sequence[Event]) -> dict[str, dict[str, Counter[str]]]:
    """Statement -> variant -> outcome -> number of tests; statements in SPEC.md's order."""
    found: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for event in events:
        if isinstance(event, TestFinished):
            for name in dict.fromkeys(name.partition("/")[0] for name in event.statements):
                found[name][event.variant][event.outcome] += 1
    return {name: dict(found[name]) for name in statements.load() if name in found}


def statement_table(events: Sequence[Event]) -> Table:
    """Statement x variant: tests passed, of those that apply; "-" where none does."""
    found = by_statement(events)
    names = list(dict.fromkeys(variant for row in found.values() for variant in row))
    grid = Table(box=None, pad_edge=False, header_style="bold")
    grid.add_column("statement")
    grid.add_column("origin", no_wrap=True)
    for variant in names:
        grid.add_column(variant, justify="right", no_wrap=True)
    known = statements.load()
    for name, row in found.items():
        cells = [_cell(row.get(variant, Counter())) for variant in names]
        grid.add_row(name, ", ".join(known[name].origin), *cells)
    return grid


def _cell(count: Counter[str]) -> str:
    applicable = count["passed"] + count["failed"]
    return f"{count['passed']}/{applicable}" if applicable else "-"


def _statement_counts(events: Sequence[Event]) -> Text:
    line = Text("tests by statement:")
    for name, row in by_statement(events).items():
        total = sum(row.values(), Counter[str]())
        applicable = total["passed"] + total["failed"]
        line.append(f" {name} ")
        line.append(f"{total['passed']}/{applicable}", style="red" if total["failed"] else "")
    return line


def _failure(test: TestFinished) -> Text:
    text = Text()
    text.append("FAILED ", style="bold red")
    text.append(f"{test.variant}: {test.test} ({', '.join(test.statements)})\n")
    lines = test.message.splitlines()
    for line in lines[:MESSAGE_LINES]:
        text.append(f"  {line}\n")
    if len(lines) > MESSAGE_LINES:
        text.append(f"  ... ({len(lines) - MESSAGE_LINES} more lines in its files)\n")
    if test.artifacts:
        text.append(f"  files: {test.artifacts}\n")
    text.append(f"  again: {repeat(test)}")
    return text


def _verdict_line(verdict: Verdict) -> Text:
    passed, failed, skipped = verdict.counts
    counts = f"{passed} passed, {failed} failed, {skipped} skipped"
    if verdict.passed:
        return Text(f"PASS: {counts}", style="bold green")
    word = "NOT RUN" if verdict.not_run else "FAIL"
    return Text(f"{word}: {counts} ({'; '.join(verdict.reasons)})", style="bold red")


def write(folder: Path) -> list[Event]:
    """Write a run's summary and JUnit file from its events, and return these."""
    events = events_module.read(folder / EVENTS)
    with (folder / SUMMARY).open("w", encoding="utf-8") as stream:
        plain = Console(file=stream, width=160, highlight=False)
        terminal.print_whole(plain, render(events, folder, everything=True))
    junit.write(folder / JUNIT, events, judge(events))
    return events


def show(run: str | None = None) -> None:
    """Print the report of an old run again: of the folder named, or of the latest."""
    folder = Path(run) if run else paths.RUNS / "latest"
    if not (folder / EVENTS).is_file():
        raise UserError(f"{folder} is no run's folder", f"runs are kept in {paths.RUNS}")
    folder = folder.resolve()
    terminal.show(render(write(folder), folder))
