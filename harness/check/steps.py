# SPDX-License-Identifier: GPL-2.0-only
"""The steps of `invoke check`: what each counts, and those that are a tool over the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from harness.base import paths
from harness.base.errors import InfrastructureError, TestsFailedError
from harness.report import exitstatus

# The slowest step, the unit tests, takes some minutes on two cores that do nothing else.
STEP_SECONDS = 1800.0
# Many a unit test waits for a process of its own.
_SESSIONS = 2 * (os.cpu_count() or 1)


# Its program is a script, whose first line cannot name every folder in which a checkout may lie.
_LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command()"
_CLANG_FORMAT = "from clang_format import clang_format; clang_format()"
# Whose C is held to .clang-format: what the series adds is in 2.2.12's style.
_C = ("docs", "harness", "module", "packaging", "tests/programs")


@dataclass(frozen=True)
class Step:
    """One tool over the whole checkout; its exit status 0 means passed."""

    name: str
    argv: tuple[str, ...]
    junit: Path | None = None


@dataclass(frozen=True)
class Counts:
    """How many tests passed, failed, and were skipped. A tool counts as one test.

    `unbuilt` is what could not be built, so that its tests could not run.
    """

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    unbuilt: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
            self.unbuilt + other.unbuilt,
        )

    def __str__(self) -> str:
        counts = f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"
        return f"{counts}, {self.unbuilt} not built" if self.unbuilt else counts


@dataclass(frozen=True)
class StepResult:
    """What came of a step: counts, seconds, its output if it failed, and what the end must say.

    `error` is the family of errors that it ended with, where the counts do not tell.
    """

    step: Step
    counts: Counts
    seconds: float
    output: str
    note: str = ""
    error: exitstatus.Family | None = None

    @property
    def family(self) -> exitstatus.Family | None:
        """The family of errors that `check` has to end with for this step; None if all is well."""
        if self.error is not None:
            return self.error
        if self.counts.failed:
            return TestsFailedError
        return InfrastructureError if self.counts.unbuilt else None


def steps(folder: Path, *, fast: bool = False) -> tuple[Step, ...]:
    """The steps that need no guest; results are written to `folder`.

    The fast ones leave out the unit tests with the mark `slow`, and mypy keeps what it has read.
    """
    python = (sys.executable, "-m")
    junit = folder / "unit.xml"
    # pytest finds a meaning of its own in dollars of a path: none of what is above the checkout.
    told = os.path.relpath(junit, paths.ROOT)
    return (
        Step("ruff check", (*python, "ruff", "check", "--no-cache")),
        Step("ruff format", (*python, "ruff", "format", "--check", "--no-cache")),
        Step(
            "clang-format", (*python[:1], "-c", _CLANG_FORMAT, "--dry-run", "-Werror", *_c_files())
        ),
        Step("imports", (*python[:1], "-c", _LINT_IMPORTS, "--no-cache", "--no-logo")),
        Step(
            "mypy --strict",
            (*python, "mypy", "--strict", f"--cache-dir={folder / 'mypy' if fast else os.devnull}"),
        ),
        Step(
            "unit tests",
            (
                *(*python, "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={told}"),
                *("-n", str(_SESSIONS), "--dist", "worksteal"),
                *(("-m", "not slow") if fast else ()),
            ),
            junit,
        ),
    )


def _c_files() -> list[str]:
    """Every file of C of ours, relative to the checkout."""
    return sorted(
        str(file.relative_to(paths.ROOT))
        for folder in _C
        for file in (paths.ROOT / folder).rglob("*.[ch]")
    )


def run_step(step: Step, root: Path = paths.ROOT) -> StepResult:
    """Run one step in `root`. A tool that cannot run or gives no result has failed."""
    begin = time.monotonic()
    if step.junit is not None:
        step.junit.unlink(missing_ok=True)
    try:
        done = subprocess.run(
            step.argv,
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=STEP_SECONDS,
            check=False,
        )
        status, output = done.returncode, done.stdout
    except OSError as error:
        status, output = -1, f"cannot start {step.argv[0]}: {error.strerror}"
    except subprocess.TimeoutExpired as error:
        # With text=True the partial output is bytes all the same (a quirk of subprocess).
        partial = error.stdout.decode(errors="replace") if error.stdout else ""
        status, output = -1, f"{partial}\nstill running after {STEP_SECONDS:g} s"
    counts = Counts(passed=1) if status == 0 else Counts(failed=1)
    if step.junit is not None:
        counts = from_junit(step.junit, counts)
    return StepResult(step, counts, time.monotonic() - begin, output if counts.failed else "")


def from_junit(file: Path, otherwise: Counts) -> Counts:
    """Counts of a JUnit file; `otherwise` when it is not there, cannot be read, or has no test.

    Never fewer failures than `otherwise` has: a tool that failed is not made good by its file.
    """
    try:
        suites = list(ElementTree.parse(file).getroot().iter("testsuite"))  # noqa: S314 (our own)
    except (OSError, ElementTree.ParseError):
        return Counts(failed=1)

    def total(attribute: str) -> int:
        return sum(int(suite.get(attribute, "0")) for suite in suites)

    tests, skipped = total("tests"), total("skipped")
    failed = max(total("failures") + total("errors"), otherwise.failed)
    if tests == 0:
        return Counts(failed=1)
    return Counts(max(0, tests - failed - skipped), failed, skipped)
