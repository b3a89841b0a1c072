# SPDX-License-Identifier: GPL-2.0-only
"""The report of a run by statement: statements.json, and statements.html to look at."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.base import paths, templates
from harness.network import dissect
from harness.record.events import CanariesEnded, Event, ShardMerged, TestFinished
from harness.record.repeat import repeat
from harness.report import statementverdicts, untried
from harness.report.statementverdicts import Cell, PartVerdict
from harness.report.verdict import Verdict

FOLDER = "report"
PAGE = "statements.html"
_TEMPLATE = paths.HARNESS / "report" / "statements.html.j2"
# A capture may have thousands of frames; the pcap has them all.
_FRAMES_SHOWN = 60
_CHAPTERS = {
    "S": "The socket",
    "R": "Rules",
    "P": "Nobody listens",
    "I": "Injection",
    "T": "No packet is taken twice",
    "F": "Fragments",
    "O": "Options",
    "G": "Getting it",
    "C": "Against the other mechanisms",
    "X": "The example interceptor",
    "M": "On a kernel of today",
}


def write(folder: Path, events: Sequence[Event], verdict: Verdict) -> None:
    """Write report/statements.html and report/statements.json into a run's folder."""
    report = folder / FOLDER
    report.mkdir(exist_ok=True)
    cells = statementverdicts.of(events)
    (report / "statements.json").write_text(json.dumps(_data(events, cells), indent=1) + "\n")
    (report / PAGE).write_text(_page(folder, events, cells, verdict))


def _data(events: Sequence[Event], cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Statement, origin, text, and for each kernel and variant its verdict, tests and seconds."""
    return [
        {
            "statement": known.name,
            "origin": known.origin,
            "text": known.text,
            "variants": [_cell(cell) for cell in cells if cell.statement == known.name],
        }
        for known in statementverdicts.known(events)
    ]


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "kernel": cell.kernel,
        "variant": cell.variant,
        "verdict": cell.verdict,
        "reason": cell.reason,
        "seconds": round(cell.seconds, 3),
        "cases": [
            {
                "case": part.name,
                "text": part.text,
                "verdict": part.verdict,
                "reason": part.reason,
                "seconds": round(part.seconds, 3),
                "tests": [_test(test) for test in part.tests],
            }
            for part in cell.parts
        ],
    }


def _test(test: TestFinished) -> dict[str, Any]:
    return {
        "test": test.test,
        "outcome": test.outcome,
        "seconds": round(test.seconds, 3),
        "measures": test.measures,
        "again": repeat(test),
    }


def _page(folder: Path, events: Sequence[Event], cells: Sequence[Cell], verdict: Verdict) -> str:
    columns = list(dict.fromkeys((cell.kernel, cell.variant) for cell in cells))
    by_place = {(cell.statement, cell.kernel, cell.variant): cell for cell in cells}
    rows = []
    for known in statementverdicts.known(events):
        row = [by_place[(known.name, *column)] for column in columns]
        rows.append((known, row, _cases(row)))
    chapters = [
        (letter, title, [row for row in rows if row[0].name[0] == letter])
        for letter, title in _CHAPTERS.items()
    ]
    return templates.load(_TEMPLATE).render(
        folder=folder.name,
        verdict=verdict,
        started=verdict.started,
        chapters=[chapter for chapter in chapters if chapter[2]],
        columns=columns,
        kernels=list(dict.fromkeys(kernel for kernel, _ in columns)),
        tally=Counter(cell.verdict for cell in cells),
        order=statementverdicts.ORDER,
        unbuilt=verdict.unbuilt,
        done_without=verdict.done_without,
        untried=untried.line(events),
        shards=[event for event in events if isinstance(event, ShardMerged)],
        canaries=_canaries(events),
        failures=verdict.failures,
        causes=_by_cause([_failure(folder, test) for test in verdict.failures]),
        anchor=_anchor,
    )


def _cases(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """The cases of a statement: each variant's part, where it has it, and all runs of each test
    function.
    """
    names = {part.name: part.text for cell in cells for part in cell.parts}
    rows = []
    for name, text in names.items():
        parts = [(cell, _part(cell, name)) for cell in cells]
        tests: dict[str, list[TestFinished]] = {}
        for _, part in parts:
            for test in part.tests if part else ():
                tests.setdefault(test.test.partition("[")[0], []).append(test)
        named = {_counted(function, runs): runs for function, runs in tests.items()}
        rows.append({"name": name, "text": text, "parts": parts, "tests": named})
    return rows


def _counted(function: str, runs: Sequence[TestFinished]) -> str:
    """A test function, with how many cases of it there are."""
    count = len({run.test for run in runs})
    return function if count == 1 else f"{function} ({count} cases)"


def _part(cell: Cell, name: str) -> PartVerdict | None:
    return next((part for part in cell.parts if part.name == name), None)


def _by_cause(failures: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Failures whose messages begin alike, together, in the order of the first of each."""
    causes: dict[str, list[dict[str, Any]]] = {}
    for failure in failures:
        causes.setdefault(failure["test"].message.partition("\n")[0], []).append(failure)
    return causes


def _canaries(events: Sequence[Event]) -> CanariesEnded | None:
    found = [event for event in events if isinstance(event, CanariesEnded)]
    return found[-1] if found else None


def _anchor(*words: str) -> str:
    """What the page's links use as the name of a place."""
    return re.sub(r"[^\w-]+", "-", "-".join(words)).strip("-")


def _failure(folder: Path, test: TestFinished) -> dict[str, Any]:
    """A failed test, with what is in its captures."""
    artifacts = Path(test.artifacts) if test.artifacts else None
    files = sorted(artifacts.glob("*.pcap")) if artifacts else []
    frames = dissect.captures(files)
    statements = dict.fromkeys(name.partition("/")[0] for name in test.statements)
    return {
        "test": test,
        "statements": list(statements),
        "again": repeat(test),
        "captures": [(pcap.name, _relative(pcap, folder)) for pcap in files],
        "frames": frames[:_FRAMES_SHOWN],
        "more": len(frames) - _FRAMES_SHOWN,
    }


def _relative(path: Path, folder: Path) -> str:
    """A link from the page to a file of the run, which may have been moved as a whole."""
    if path.is_relative_to(folder):
        return f"../{path.relative_to(folder).as_posix()}"
    return path.as_uri()
