# SPDX-License-Identifier: GPL-2.0-only
"""What a person sees of a run: table, failures, verdict; and the files of its folder."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from harness.base import paths, runfolder, terminal
from harness.base.errors import NoRoomError, UserError
from harness.record import stream
from harness.record.events import Event, TestFinished
from harness.record.repeat import repeat
from harness.report import exitstatus, junit, statementpage, statementverdicts, untried
from harness.report.statementverdicts import Cell
from harness.report.verdict import VariantSummary, Verdict, judge

EVENTS = "events.jsonl"
SUMMARY = "summary.txt"
JUNIT = "junit.xml"
# In full on the terminal; the others are named, and all are in the summary.
FAILURES_SHOWN = 10
MESSAGE_LINES = 15


def render(events: Sequence[Event], folder: Path, *, everything: bool = False) -> terminal.Shown:
    """The report of a stream: table, failures, verdict; `everything` has each statement too."""
    verdict = judge(events)
    parts: list[terminal.Shown] = []
    if verdict.variants:
        parts += [table(verdict, statementverdicts.of(events)), _times(verdict), ""]
    if everything and statementverdicts.known(events):
        parts.append(statement_table(events))
    shown = verdict.failures if everything else verdict.failures[:FAILURES_SHOWN]
    for test in shown:
        parts += ["", _failure(test)]
    if len(shown) < len(verdict.failures):
        more = verdict.failures[len(shown) :]
        parts += ["", terminal.text(f"and {len(more)} more, all in {folder / SUMMARY}:")]
        parts += [terminal.text(f"  {test.variant}: {test.test}") for test in more]
    for row in verdict.not_run:
        parts += ["", terminal.text(f"{row.kernel}: NOT RUN\n{row.reason}", style="bold yellow")]
    for reason, names in verdict.unbuilt.items():
        told = f"{', '.join(names)}: NOT BUILT\n{reason}"
        parts += ["", terminal.text(told, style="bold red")]
    for line in verdict.done_without:
        parts += ["", terminal.text(line, style="bold yellow")]
    if line := untried.line(events):
        parts += ["", terminal.text(line, style="bold yellow")]
    parts += ["", *(terminal.text(f"kept: {kept.variant}: {kept.login}") for kept in verdict.kept)]
    parts += [terminal.text(f"report: {folder / statementpage.FOLDER / statementpage.PAGE}")]
    parts += [terminal.text(f"run: {folder}"), _verdict_line(verdict)]
    return terminal.group(*parts)


def table(verdict: Verdict, cells: Sequence[Cell] = ()) -> terminal.Grid:
    """Variant x counts and seconds; statements proved, of those that apply to the variant."""
    figures = ("statements", "passed", "failed", "skipped", "build s", "boot s", "tests s")
    grid = terminal.Grid(
        "variant", *figures, "accelerator", "verdict", right=figures, folded=("verdict",)
    )
    for row in verdict.variants:
        grid.row(
            row.variant,
            _proved([cell for cell in cells if cell.variant == row.variant]),
            str(row.passed),
            str(row.failed),
            str(row.skipped),
            "cached" if row.build_cached else _seconds(row.build_seconds),
            _seconds(row.boot_seconds, 2),
            _seconds(row.test_seconds),
            row.accelerator,
            _variant_verdict(row),
        )
    for absent in verdict.not_run:
        grid.row(absent.kernel, *["-"] * 7, "", terminal.text("NOT RUN", style="bold yellow"))
    for broken in verdict.not_built:
        grid.row(broken.name, *["-"] * 7, "", terminal.text("NOT BUILT", style="bold red"))
    return grid


def _proved(cells: Sequence[Cell]) -> str:
    count = Counter(cell.verdict for cell in cells)
    return (
        f"{count[statementverdicts.PROVED]}/{len(cells) - count[statementverdicts.NOT_APPLICABLE]}"
    )


def _variant_verdict(row: VariantSummary) -> terminal.Styled:
    return (
        terminal.text("; ".join(row.reasons), style="red")
        if row.reasons
        else terminal.text("pass", style="green")
    )


def _seconds(seconds: float | None, digits: int = 1) -> str:
    return "-" if seconds is None else f"{seconds:.{digits}f}"


def _times(verdict: Verdict) -> terminal.Styled:
    image = verdict.image
    if image is None:
        built = "not built"
    else:
        built = "cached" if image.cached else f"built in {image.seconds:.1f} s"
    started = verdict.started
    told = f"; seed {started.seed}; {started.jobs} guests at once" if started else ""
    total = f"; {verdict.seconds:.1f} s in all" if verdict.seconds is not None else ""
    return terminal.text(f"guest image: {built}{told}{total}")


def statement_table(events: Sequence[Event]) -> terminal.Grid:
    """Statement x variant: how it stands, with the number of its tests; "-" if not applicable."""
    cells = statementverdicts.of(events)
    variants = tuple(dict.fromkeys(cell.variant for cell in cells))
    grid = terminal.Grid("statement", "origin", *variants, right=variants)
    for known in statementverdicts.known(events):
        row = [_cell(cell) for cell in cells if cell.statement == known.name]
        grid.row(known.name, ", ".join(known.origin), *row)
    return grid


def _cell(cell: Cell) -> str:
    if cell.verdict == statementverdicts.NOT_APPLICABLE:
        return "-"
    return f"{cell.verdict} ({len(cell.tests)})"


def _failure(test: TestFinished) -> terminal.Styled:
    lines = test.message.splitlines()
    proves = f" ({', '.join(test.statements)})" if test.statements else ""
    shown = [f"{test.variant}: {test.test}{proves}"]
    shown += [f"  {line}" for line in lines[:MESSAGE_LINES]]
    if len(lines) > MESSAGE_LINES:
        shown.append(f"  ... ({len(lines) - MESSAGE_LINES} more lines in its files)")
    if test.artifacts:
        shown.append(f"  files: {test.artifacts}")
    shown.append(f"  again: {repeat(test)}")
    return terminal.text(("FAILED ", "bold red"), "\n".join(shown))


def _verdict_line(verdict: Verdict) -> terminal.Styled:
    passed, failed, skipped = verdict.counts
    counts = f"{passed} passed, {failed} failed, {skipped} skipped"
    absent = [f"{row.kernel}: NOT RUN" for row in verdict.not_run]
    kernels = {row.kernel for row in verdict.not_run}
    without = [f"without {row.name}" for row, _ in verdict.missing if row.name not in kernels]
    broken = [f"{row.name}: NOT BUILT" for row in verdict.not_built]
    if verdict.passed:
        told = "; ".join([*absent, *without])
        return terminal.text(f"PASS: {counts}{f' ({told})' if told else ''}", style="bold green")
    told = "; ".join([*verdict.reasons, *broken])
    return terminal.text(f"{verdict.word}: {counts} ({told})", style="bold red")


def write(folder: Path, events: Sequence[Event]) -> None:
    """Write the files of a run from its events, or none of them.

    Raises NoRoomError if they cannot be written.
    """
    try:
        with runfolder.of_run(folder):
            _write(folder, events)
    except NoRoomError:
        # What is cut off may look whole.
        for name in (SUMMARY, JUNIT):
            (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder / statementpage.FOLDER, ignore_errors=True)
        raise


def _write(folder: Path, events: Sequence[Event]) -> None:
    verdict = judge(events)
    with (folder / SUMMARY).open("w", encoding="utf-8") as file:
        terminal.write(file, render(events, folder, everything=True))
    junit.write(folder / JUNIT, events, verdict)
    statementpage.write(folder, events, verdict)


def show(run: str | None = None) -> None:
    """Print the report of an old run again: of the folder named, or of the latest.

    Raises UserError if it is no run's folder, InfrastructureError if its events cannot be read, and
    the error that the run ended with (`exitstatus`).
    """
    folder = Path(run) if run else paths.RUNS / "latest"
    if not (folder / EVENTS).is_file():
        raise UserError(f"{folder} is no run's folder", f"runs are kept in {paths.RUNS}")
    folder = folder.resolve()
    events = stream.read(folder / EVENTS)
    write(folder, events)
    terminal.show(render(events, folder))
    exitstatus.raise_for(judge(events))
