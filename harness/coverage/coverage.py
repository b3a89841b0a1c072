# SPDX-License-Identifier: GPL-2.0-only
"""A run of the guest tests that tells which lines and branches of the code under test they ran."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from harness.base import terminal
from harness.base.errors import UserError
from harness.boot import bootable
from harness.coverage import debug, measure, page, result
from harness.coverage.debug import Code
from harness.coverage.measure import Coverage
from harness.coverage.result import File
from harness.guest import blocks
from harness.matrix import kernels
from harness.record import linecoverage
from harness.record.events import Event, TestFinished
from harness.record.linecoverage import FILE, FOLDER, LineCoverage, Source
from harness.report import exitstatus, report
from harness.run import runner, tracing
from harness.run.request import Request

# So many of the lines that no test ran are shown; the page has all.
_SHOWN = 40


def test(request: Request, *, times: int = 1) -> None:
    """Run the guest tests that were asked for, traced, and show what of the code they ran.

    The page is `coverage/index.html` in the run's folder, all figures `coverage/coverage.json`.
    Raises what `runner.test` raises, after that; UserError for more than one time, and for guests
    that are to be kept, whose log nobody would read; InfrastructureError if the code is not had
    with its lines.
    """
    other = f"--shard {request.shard}" if request.shard else ""
    other = other or ("--keep" if request.keep else f"--repeat {times}" if times != 1 else "")
    if other:
        raise UserError(
            f"--coverage is of one run, whose guests end with it, not with {other}",
            "leave one of the two out",
        )
    codes = {
        variant.name: debug.of(bootable.build(variant, request.given), request.given)
        for variant in request.variants
    }
    traced = {name: code.ranges for name, code in codes.items()}
    outcome = runner.run(request.traced_as(traced))
    terminal.show(report.render(outcome.events, outcome.folder))
    found, cut = _files(request, codes, outcome.folder)
    folder = outcome.folder / FOLDER
    folder.mkdir()
    (folder / "index.html").write_text(page.render(found, f"{request.command} --coverage", cut))
    tests = _tests(outcome.events)
    whole = request.selected.whole and bool(tests)
    LineCoverage(tests, _sources(found, codes, tests), whole).write(folder / FILE)
    terminal.show(_table(found))
    if cut:
        terminal.say(
            f"of {len(cut)} tests only the first {blocks.MOST_LINES:,} blocks were looked at"
        )
    _say_unexplained(found)
    terminal.say(f"coverage: {folder / 'index.html'}")
    exitstatus.raise_for(outcome.verdict, request.require)


def _files(
    request: Request, codes: Mapping[str, Code], run: Path
) -> tuple[dict[str, Sequence[File]], Sequence[str]]:
    """By kernel; and the tests of which but the beginning was looked at."""
    known = result.reasons()
    cut: set[str] = set()
    found: dict[str, Sequence[File]] = {}
    for kernel in kernels.load():
        chosen = [row for row in request.variants if row.kernel == kernel]
        if not chosen:
            continue
        coverage = Coverage()
        texts: dict[str, str] = {}
        ours: dict[str, frozenset[int]] = {}
        for variant in chosen:
            code = codes[variant.name]
            rows = measure.read(run / variant.name / tracing.FILE)
            # A module is one program for all variants of its kernel.
            build = variant.name if kernels.named(kernel).sources else kernel
            coverage.add(build, variant.name, code.program, rows)
            texts |= code.texts
            ours |= code.ours
        found[kernel] = result.files(coverage, texts, ours, known)
        cut |= coverage.cut
    return found, sorted(cut)


def _tests(events: Iterable[Event]) -> tuple[linecoverage.Test, ...]:
    """The tests, those too that did not apply, and for each variant what its guests' boots are told
    as.
    """
    ran = [
        linecoverage.Test(event.variant, event.test, round(event.seconds, 3))
        for event in events
        if isinstance(event, TestFinished)
    ]
    boots = [
        linecoverage.Test(variant, linecoverage.BOOT, 0.0)
        for variant in dict.fromkeys(test.variant for test in ran)
    ]
    return (*boots, *ran)


def _sources(
    found: Mapping[str, Sequence[File]],
    codes: Mapping[str, Code],
    tests: Sequence[linecoverage.Test],
) -> dict[str, dict[str, Source]]:
    places = {f"{test.variant}:{test.name}": number for number, test in enumerate(tests)}
    digests = {name: row for code in codes.values() for name, row in code.digests.items()}
    return {
        kernel: {
            file.name: Source(
                digests[file.name],
                frozenset(row.number for row in file.code),
                {
                    row.number: tuple(places[test] for test in row.tests if test in places)
                    for row in file.code
                    if row.tests
                },
                file.lines,
                file.branches,
                tuple(row.number for row in file.unexplained),
            )
            for file in files
            if file.code
        }
        for kernel, files in found.items()
    }


def _table(found: Mapping[str, Sequence[File]]) -> terminal.Grid:
    table = terminal.Grid(
        "kernel", "file", "lines", "branches", "not run", right=("lines", "branches", "not run")
    )
    for kernel, files in found.items():
        for file in files:
            if file.code:
                shares = (page.share(file.lines), page.share(file.branches))
                table.row(kernel, file.name, *shares, str(len(file.unexplained)))
        left = sum(len(file.unexplained) for file in files)
        shares = (
            page.share(_total(file.lines for file in files)),
            page.share(_total(file.branches for file in files)),
        )
        table.row(kernel, "all", *shares, str(left))
    return table


def _total(parts: Iterable[tuple[int, int]]) -> tuple[int, int]:
    rows = list(parts)
    return sum(done for done, _ in rows), sum(whole for _, whole in rows)


def _say_unexplained(found: Mapping[str, Sequence[File]]) -> None:
    rows = [
        f"{kernel}: {file.name}:{row.number}: {row.text.strip()}"
        for kernel, files in found.items()
        for file in files
        for row in file.unexplained
    ]
    if rows:
        more = [f"and {len(rows) - _SHOWN} more"] if len(rows) > _SHOWN else []
        terminal.say("\n".join(["no test ran, and no reason is given:", *rows[:_SHOWN], *more]))
        terminal.say(f"a test, or a row of {result.REASONS.where}, each")
