# SPDX-License-Identifier: GPL-2.0-only
"""All of `./inv check` as one JUnit file: what steps have written themselves, and a case for each
step besides, since a step may fail without a test of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from junitparser import Error, Failure, JUnitXml, JUnitXmlError, Skipped, TestCase, TestSuite

from harness.check.steps import StepResult

FILE = "junit.xml"
STEPS = "check"


def write(path: Path, results: Sequence[StepResult]) -> None:
    """Write the file. Raises OSError."""
    root = JUnitXml("check")
    steps = TestSuite(STEPS)
    for result in results:
        steps.add_testcase(_case(result))
        for suite in _own(result):
            suite.name = f"{result.step.name}: {suite.name}"
            root.append(suite)
    steps.update_statistics()
    root.append(steps)
    root.update_statistics()
    root.write(str(path))


def _case(result: StepResult) -> TestCase:
    """A step: what it counted, and why it did not pass."""
    case = TestCase(result.step.name, STEPS, round(result.seconds, 3))
    counts = result.counts
    why = _printable(result.output or result.note or str(counts))
    told: Any = None
    if counts.failed or (result.family is not None and not counts.unbuilt):
        told = Failure(str(counts))
    elif counts.unbuilt:
        told = Error(str(counts))
    elif not counts.passed:
        told = Skipped(str(counts))
    if told is not None:
        told.text = why
        case.result = [told]
    return case


def _own(result: StepResult) -> Iterator[Any]:
    """The suites of a step's own file, if it has one that can be read."""
    if result.step.junit is None:
        return
    try:
        root = JUnitXml.fromfile(str(result.step.junit))
    except (OSError, SyntaxError, JUnitXmlError):
        # Its step's case tells: a tool that leaves no such file has failed.
        return
    yield from (root,) if isinstance(root, TestSuite) else root


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
