# SPDX-License-Identifier: GPL-2.0-only
"""What a person sees of a run: table, failures, verdict; and the files of its folder."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from harness.base import paths, runfolder, terminal
from harness.base.errors import NoRoomError, UserError
from harness.record import runfolders, stream
from harness.record.events import Event, ShardMerged, TestFinished
from harness.record.repeat import repeat
from harness.report import (
    badge,
    cases,
    exitstatus,
    github,
    junit,
    merge,
    result,
    statementpage,
    statementverdicts,
    tap,
    untried,
)
from harness.report.statementverdicts import Cell
from harness.report.verdict import VariantSummary, Verdict, judge

SUMMARY = "summary.txt"
JUNIT = "junit.xml"
TAP, KTAP = "results.tap", "results.ktap"
MARKDOWN, ANNOTATIONS = "summary.md", "annotations.txt"
BADGE, RESULT = "badge.svg", "result.json"
FILES = (SUMMARY, JUNIT, TAP, KTAP, MARKDOWN, ANNOTATIONS, BADGE, RESULT)
# In full on the terminal; the others are named, and all are in the summary.
FAILURES_SHOWN = 10
MESSAGE_LINES = 15


def render(events: Sequence[Event], folder: Path, *, everything: bool = False) -> terminal.Shown:
    """The report of a stream: table, failures, verdict; `everything` has each statement too."""
    verdict = judge(events)
    parts: list[terminal.Shown] = []
    if shards := [event for event in events if isinstance(event, ShardMerged)]:
        parts += [_shards(shards), ""]
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


def _shards(merged: Sequence[ShardMerged]) -> terminal.Grid:
    """What each machine did, of a run that several shared."""
    grid = terminal.Grid(
        "shard", "run", "seconds", "host", "verdict", right=("seconds",), folded=("verdict",)
    )
    for row in merged:
        grid.row(f"{row.number}/{row.of}", row.run, f"{row.seconds:.1f}", row.host, row.verdict)
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
    part = f" of {verdict.shard}" if verdict.shard else ""
    if verdict.passed:
        told = "; ".join([*absent, *without])
        line = f"PASS{part}: {counts}{f' ({told})' if told else ''}"
        if verdict.shard:
            line += "\nof the whole there is no verdict yet: ./inv report --merge RUN..."
        return terminal.text(line, style="bold green")
    told = "; ".join([*verdict.reasons, *broken])
    return terminal.text(f"{verdict.word}{part}: {counts} ({told})", style="bold red")


def write(folder: Path, events: Sequence[Event]) -> None:
    """Write the files of a run from its events, or none of them.

    Raises NoRoomError if they cannot be written.
    """
    try:
        with runfolder.of_run(folder):
            _write(folder, events)
    except NoRoomError:
        # What is cut off may look whole.
        for name in FILES:
            (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder / statementpage.FOLDER, ignore_errors=True)
        raise


def _write(folder: Path, events: Sequence[Event]) -> None:
    verdict = judge(events)
    with (folder / SUMMARY).open("w", encoding="utf-8") as file:
        terminal.write(file, render(events, folder, everything=True))
    suites = cases.of(events, verdict)
    junit.write(folder / JUNIT, suites)
    word = _verdict_line(verdict).plain.partition("\n")[0]
    for name, text in (
        (TAP, tap.tap(suites)),
        (KTAP, tap.ktap(suites)),
        (MARKDOWN, github.summary(verdict, suites, word)),
        (ANNOTATIONS, github.log_commands(suites)),
        (BADGE, badge.render(verdict)),
        (RESULT, json.dumps(result.of(events, verdict), indent=1) + "\n"),
    ):
        (folder / name).write_text(text, encoding="utf-8")
    statementpage.write(folder, events, verdict)


def show(run: str | None = None, *, as_json: bool = False) -> None:
    """Print the report of an old run again: of the folder named, or of the latest; in full, for
    people, or `as_json` (docs/commands.md).

    Raises UserError if it is no run's folder, InfrastructureError if its events cannot be read, and
    the error that the run ended with (`exitstatus`).
    """
    folder = _folder(Path(run) if run else paths.RUNS / "latest")
    _tell(folder, runfolders.events(folder), as_json=as_json)


def show_merged(runs: Sequence[str], *, as_json: bool = False) -> None:
    """Put the shards in these folders together, as a run with a folder of its own, and print its
    report.

    Raises UserError if they are not shards of one run, InfrastructureError if the events of one
    cannot be read, NoRoomError if the run cannot be written, and the error that it amounts to.
    """
    folders = [_folder(Path(run)) for run in runs]
    events = merge.merge({folder: runfolders.events(folder) for folder in dict.fromkeys(folders)})
    folder = runfolders.new(paths.RUNS)
    with runfolder.of_run(folder):
        events = list(_kept(events, folder))
    writer = stream.Writer(folder / runfolders.EVENTS)
    for event in events:
        writer.write(event)
    writer.close()
    _tell(folder, events, as_json=as_json)


def _folder(folder: Path) -> Path:
    if not (folder / runfolders.EVENTS).is_file():
        raise UserError(f"{folder} is no run's folder", f"runs are kept in {paths.RUNS}")
    return folder.resolve()


def _kept(events: Sequence[Event], folder: Path) -> Iterator[Event]:
    """The same with the files of tests in the folder: shards may come and go."""
    for event in events:
        if (
            isinstance(event, TestFinished)
            and (own := Path(event.artifacts)).is_dir()
            and (event.artifacts)
        ):
            here = folder / event.variant / runfolders.TESTS / own.name
            shutil.copytree(own, here, symlinks=True, dirs_exist_ok=True)
            yield replace(event, artifacts=str(here))
        else:
            yield event


def _tell(folder: Path, events: Sequence[Event], *, as_json: bool) -> None:
    write(folder, events)
    verdict = judge(events)
    if as_json:
        terminal.show_json(result.of(events, verdict))
    else:
        terminal.show(render(events, folder))
    exitstatus.raise_for(verdict, verdict.started.require if verdict.started else ())
