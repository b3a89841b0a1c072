# SPDX-License-Identifier: GPL-2.0-only
"""A run as JUnit XML, for tools that read it: a test suite for each variant."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from junitparser import Attr as TextAttr
from junitparser import Error, Failure, IntAttr, Skipped
from junitparser.xunit2 import JUnitXml, TestSuite
from junitparser.xunit2 import TestCase as PlainCase

from harness.report.cases import Case, Suite


class TestCase(PlainCase):
    """A case that says where it is: GitLab, Jenkins and others read it there."""

    __test__ = False  # not a test class, whatever its name begins with
    file = TextAttr()
    line = IntAttr()


def write(path: Path, suites: Iterable[Suite]) -> None:
    """Write the suites of a run to `path`."""
    document(suites).write(str(path))


def document(suites: Iterable[Suite]) -> JUnitXml:
    """The suites of a run."""
    root = JUnitXml("divert sockets")
    for each in suites:
        suite = TestSuite(each.name)
        for case in each.cases:
            suite.add_testcase(_case(each, case))
        suite.update_statistics()
        suite.time = round(each.seconds, 3)
        root.append(suite)
    root.update_statistics()
    return root


def _case(suite: Suite, case: Case) -> TestCase:
    place = f"{suite.name}.{case.module}" if case.module else suite.name
    row = TestCase(_printable(case.name), _printable(place), round(case.seconds, 3))
    if case.file:
        row.file = _printable(case.file)
    if case.line:
        row.line = case.line
    for statement in case.test.statements if case.test else ():
        row.add_property("statement", statement)
    first, whole = _printable(case.first), _printable(case.message)
    if case.outcome == "failed":
        failure = Failure(first)
        failure.text = f"{whole}\n{_printable(case.test.artifacts if case.test else '')}"
        row.result = [failure]
    elif case.outcome == "error":
        error = Error(first)
        error.text = whole
        row.result = [error]
    elif case.outcome == "skipped":
        row.result = [Skipped(whole)]
    return row


def _printable(text: str) -> str:
    # XML 1.0 has no place for most control characters, and consoles are full of them.
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
