# SPDX-License-Identifier: GPL-2.0-only
"""A run as JUnit XML, for tools that read it: a test suite for each variant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from junitparser import Error, Failure, Skipped
from junitparser.xunit2 import JUnitXml, TestCase, TestSuite

from harness.record.events import Event, TestFinished
from harness.report.verdict import Verdict


def write(path: Path, events: Sequence[Event], verdict: Verdict) -> None:
    """Write the run to `path`. Why a variant failed beyond its tests is an error of
    its own, and so is what could not be built.
    """
    root = JUnitXml("divert sockets")
    for row in verdict.variants:
        suite = TestSuite(row.variant)
        for test in events:
            if isinstance(test, TestFinished) and test.variant == row.variant:
                suite.add_testcase(_case(test))
        for reason in row.reasons:
            if reason != f"{row.failed} failed":
                suite.add_testcase(_error(row.variant, "session", reason))
        suite.update_statistics()
        suite.time = round(row.test_seconds or 0, 3)
        root.append(suite)
    for unbuilt in verdict.not_built:
        suite = TestSuite(unbuilt.name)
        suite.add_testcase(_error(unbuilt.name, "build", unbuilt.reason))
        root.append(suite)
    root.write(str(path))


def _error(suite: str, name: str, reason: str) -> TestCase:
    case = TestCase(name, suite)
    error = Error(_printable(reason.partition("\n")[0]))
    error.text = _printable(reason)
    case.result = [error]
    return case


def _case(test: TestFinished) -> TestCase:
    module, _, name = test.test.partition("::")
    case = TestCase(name, f"{test.variant}.{Path(module).stem}", round(test.seconds, 3))
    for statement in test.statements:
        case.add_property("statement", statement)
    if test.outcome == "failed":
        failure = Failure(_printable(test.message.partition("\n")[0]))
        failure.text = _printable(f"{test.message}\n{test.artifacts}")
        case.result = [failure]
    elif test.outcome == "skipped":
        case.result = [Skipped(_printable(test.message))]
    return case


def _printable(text: str) -> str:
    # XML 1.0 has no place for most control characters, and consoles are full of them.
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
