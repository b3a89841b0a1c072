# SPDX-License-Identifier: GPL-2.0-only
"""One JUnit file for all of `check`: each step, and each test of those that are tests."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.base.errors import GuestError, TestsFailedError
from harness.check import checkjunit
from harness.check.steps import Counts, Step, StepResult

UNIT = """<testsuites><testsuite name="pytest" tests="2" failures="1" errors="0" skipped="0">
<testcase classname="a" name="one"/>
<testcase classname="a" name="two"><failure message="no">why</failure></testcase>
</testsuite></testsuites>"""


def written(tmp_path: Path, *results: StepResult) -> ElementTree.Element:
    checkjunit.write(tmp_path / checkjunit.FILE, results)
    return ElementTree.parse(tmp_path / checkjunit.FILE).getroot()


def test_all_steps_and_their_tests_are_in_it(tmp_path: Path) -> None:
    (tmp_path / "unit.xml").write_text(UNIT)
    root = written(
        tmp_path,
        StepResult(Step("ruff", ()), Counts(passed=1), 1.0, ""),
        StepResult(Step("unit tests", (), tmp_path / "unit.xml"), Counts(1, 1), 2.0, "\x1b two"),
        StepResult(Step("module", ()), Counts(passed=2, unbuilt=1), 1.0, "broke"),
        StepResult(Step("benchmark", ()), Counts(skipped=3), 0.0, ""),
    )
    assert [suite.get("name") for suite in root] == ["unit tests: pytest", "check"]
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("6", "2", "1")
    names = {case.get("name"): [kind.tag for kind in case] for case in root.iter("testcase")}
    assert names == {
        "one": [],
        "two": ["failure"],
        "ruff": [],
        "unit tests": ["failure"],
        "module": ["error"],
        "benchmark": ["skipped"],
    }


@pytest.mark.parametrize("content", [None, "", "<testsuites><testsu", "<html/>"])
def test_step_whose_file_is_broken_is_told_all_the_same(
    tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "unit.xml"
    if content is not None:
        file.write_text(content)
    root = written(tmp_path, StepResult(Step("unit tests", (), file), Counts(failed=1), 1.0, "x"))
    assert (root.get("tests"), root.get("failures")) == ("1", "1")


@pytest.mark.parametrize("error", [GuestError, TestsFailedError])
def test_step_that_failed_without_a_count_is_red(
    tmp_path: Path, error: type[GuestError] | type[TestsFailedError]
) -> None:
    result = StepResult(Step("gdb", ()), Counts(passed=3), 1.0, "lost", error=error)
    assert written(tmp_path, result).get("failures") == "1"
