# SPDX-License-Identifier: GPL-2.0-only
"""A run as TAP 13, a line for each case, and as the kernel's KTAP 1, a subtest for each suite."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence

from harness.report.cases import RED, Case, Suite

_BLANKS = re.compile(r"\s+")


def tap(suites: Sequence[Suite]) -> str:
    """TAP version 13 (testanything.org), with the reasons and places of what failed in YAML.

    Not 14: what most hosts have (prove of Perl 5.36) refuses that, and sees no test of a subtest.
    """
    rows = [(suite, case) for suite in suites for case in suite.cases]
    lines = ["TAP version 13", f"1..{len(rows)}"]
    for number, (suite, case) in enumerate(rows, 1):
        lines += _lines(number, suite, case)
    return "\n".join([*lines, ""])


def ktap(suites: Sequence[Suite]) -> str:
    """KTAP version 1 (Documentation/dev-tools/ktap.rst of Linux), reasons as diagnostics."""
    lines = ["KTAP version 1", f"1..{len(suites)}"]
    for number, suite in enumerate(suites, 1):
        lines += _indented(_ktap_cases(suite))
        lines.append(f"{_ok(suite.red)} {number} {_plain(suite.name)}")
    return "\n".join([*lines, ""])


def _lines(number: int, suite: Suite, case: Case) -> Iterator[str]:
    name = _escaped(f"{suite.name}: {_name(case)}")
    skip = f" # SKIP {_escaped(case.first)}" if case.outcome == "skipped" else ""
    yield f"{_ok(case.outcome in RED)} {number} - {name}{skip}"
    if case.outcome in RED:
        # JSON strings are YAML's, too.
        yield "  ---"
        yield f"  message: {json.dumps(case.message)}"
        yield f"  severity: {'fail' if case.outcome == 'failed' else 'error'}"
        if case.file:
            yield f"  at: {{ file: {json.dumps(case.file)}, line: {case.line} }}"
        yield "  ..."


def _ktap_cases(suite: Suite) -> Iterator[str]:
    yield "KTAP version 1"
    yield f"# Subtest: {_plain(suite.name)}"
    yield f"1..{len(suite.cases)}"
    for number, case in enumerate(suite.cases, 1):
        if case.outcome in RED:
            yield from (f"# {_visible(line)}" for line in case.message.splitlines())
        skip = f" # SKIP {_plain(case.first)}" if case.outcome == "skipped" else ""
        yield f"{_ok(case.outcome in RED)} {number} {_plain(_name(case))}{skip}"


def _name(case: Case) -> str:
    return case.test.test if case.test else f"{case.name}: {case.first}"


def _ok(red: bool) -> str:
    return "not ok" if red else "ok"


def _escaped(text: str) -> str:
    """A description of TAP: one line, in which # would begin a directive."""
    return _visible(text).replace("\\", "\\\\").replace("#", "\\#")


def _plain(text: str) -> str:
    """A description of KTAP, which has no way to write #."""
    return _visible(text).replace("#", "_")


def _visible(text: str) -> str:
    line = _BLANKS.sub(" ", text).strip()
    return "".join(c if c.isprintable() else "\ufffd" for c in line)


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)
