# SPDX-License-Identifier: GPL-2.0-only
"""Which tests ran which lines of the code under test: the file that `./inv test --coverage` leaves.

It tells of each source by its digest, so that nobody takes it for another one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.base import fingerprint
from harness.base.errors import UserError

FOLDER, FILE = "coverage", "coverage.json"
# What ran in the guest's boot, before any test.
BOOT = "(boot)"


@dataclass(frozen=True)
class Test:
    """A test that was run on `variant`, and how long it took, in seconds, traced."""

    __test__ = False  # not a test class, whatever its name begins with
    variant: str
    name: str
    seconds: float


@dataclass(frozen=True)
class Source:
    """What is known of a file: `code` are the lines that have code, `ran` those that a test ran,
    with the places of these tests in LineCoverage.tests; `lines` and `branches` how many ran, of
    how many.
    """

    digest: str
    code: frozenset[int]
    ran: Mapping[int, tuple[int, ...]]
    lines: tuple[int, int] = (0, 0)
    branches: tuple[int, int] = (0, 0)
    not_run: tuple[int, ...] = ()


@dataclass(frozen=True)
class LineCoverage:
    """All that a run tells. `whole` if all tests were run; `sources` are by kernel and name."""

    tests: tuple[Test, ...]
    sources: Mapping[str, Mapping[str, Source]]
    whole: bool = True
    path: Path = field(default=Path(), compare=False)

    def write(self, path: Path) -> None:
        """Write it."""
        kernels = {
            kernel: {name: _row(source) for name, source in sources.items()}
            for kernel, sources in self.sources.items()
        }
        tests = [[test.variant, test.name, test.seconds] for test in self.tests]
        data = {"whole": self.whole, "tests": tests, "kernels": kernels}
        path.write_text(json.dumps(data, separators=(",", ":")) + "\n")


def digest(content: bytes) -> str:
    """What a source is known by."""
    return fingerprint.of_bytes(content)


def _row(source: Source) -> dict[str, object]:
    return {
        "digest": source.digest,
        "lines": source.lines,
        "branches": source.branches,
        "not run": source.not_run,
        "code": sorted(source.code),
        "tests": {str(number): list(tests) for number, tests in sorted(source.ran.items())},
    }


def read(path: Path) -> LineCoverage:
    """What is in the file. Raises UserError if it is not there or something else."""
    try:
        data: Any = json.loads(path.read_text())
        return LineCoverage(
            tuple(Test(*row) for row in data["tests"]),
            {
                kernel: {name: _source(row) for name, row in rows.items()}
                for kernel, rows in data["kernels"].items()
            },
            data["whole"],
            path,
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f"cannot use {path}: {error}", "name a coverage.json of ./inv test --coverage"
        ) from error


def _source(row: Mapping[str, Any]) -> Source:
    return Source(
        str(row["digest"]),
        frozenset(row["code"]),
        {int(number): tuple(tests) for number, tests in row["tests"].items()},
        (row["lines"][0], row["lines"][1]),
        (row["branches"][0], row["branches"][1]),
        tuple(row["not run"]),
    )


def newest(runs: Path) -> Sequence[Path]:
    """The files below a folder of runs, the newest first."""
    found: Iterable[Path] = runs.glob(f"*/{FOLDER}/{FILE}")
    return sorted((path for path in found if not path.parents[1].is_symlink()), reverse=True)
