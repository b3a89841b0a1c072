# SPDX-License-Identifier: GPL-2.0-only
"""What became of a mutant, and what is remembered of it from run to run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path

from harness.base import fingerprint, paths
from harness.base.errors import InfrastructureError
from harness.kernel import kernel, module
from harness.mutate.mutants import IPCHAINS, MODULE, Mutant

# What decides, beside the mutant and the series, whether it is seen.
_INPUTS = (
    "tests/guest",
    "tests/programs",
    *(f"harness/matrix/{name}.toml" for name in ("kernels", "variants", "differences")),
    "harness/matrix/statements",
    "images",
    "kernel-config",
)


class Verdict(Enum):
    """What became of a mutant."""

    KILLED = "killed"
    SURVIVED = "SURVIVED"
    # Not seen by the tests of the statements that it breaks; the others were not asked.
    UNSEEN = "not seen"
    UNBUILT = "does not build"
    # No test runs its lines.
    UNCOVERED = "not covered"
    # The compiler makes the same of it as without it.
    SAME = "same code"
    # The test that failed fails without the mutant too, so it says nothing.
    VOID = "VOID"


@dataclass(frozen=True)
class Result:
    """The verdict on one mutant. `test` killed it on `variant`, with `message`; `seconds` is all
    that it took; `fingerprint` is of all that the verdict depends on. `confirmed` says that the
    test was seen to pass without the mutant.
    """

    name: str
    verdict: Verdict
    seconds: float
    fingerprint: str
    test: str = ""
    variant: str = ""
    message: str = ""
    confirmed: bool = False

    def is_fault(self, mutant: Mutant) -> bool:
        """Whether somebody has to do something: write a test, or mend the list."""
        if self.verdict in (Verdict.SURVIVED, Verdict.UNSEEN, Verdict.UNCOVERED):
            return not mutant.survives
        if self.verdict in (Verdict.UNBUILT, Verdict.SAME):
            # Of what is made from the syntax, some is no program, or no other one.
            return mutant.fault is None
        return self.verdict is not Verdict.KILLED


class Memory:
    """The results of earlier runs, in a file that is written after each."""

    def __init__(self, path: Path) -> None:
        """Read the file, if it is there. Raises InfrastructureError if it is something else."""
        self._path = path
        try:
            rows = json.loads(path.read_text()) if path.exists() else {}
            self._results = {name: _result(row) for name, row in rows.items()}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InfrastructureError(f"cannot read {path}: {error}", "remove it") from error

    def known(self, name: str, fingerprint: str) -> Result | None:
        """The result of a mutant, if nothing that it depends on has changed since."""
        result = self._results.get(name)
        return result if result is not None and result.fingerprint == fingerprint else None

    def killer(self, name: str) -> tuple[str, str]:
        """The variant and the test that killed a mutant last, whatever has changed since."""
        result = self._results.get(name)
        if result is None or result.verdict is not Verdict.KILLED:
            return "", ""
        return result.variant, result.test

    def remember(self, result: Result) -> None:
        """Keep a result for later runs."""
        self._results[result.name] = result
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".partial")
        partial.write_text(dump(self._results))
        partial.replace(self._path)


def _result(row: Mapping[str, object]) -> Result:
    values = {**row, "verdict": Verdict(row["verdict"])}
    return Result(**values)  # type: ignore[arg-type]


def dump(results: Mapping[str, Result]) -> str:
    """Results as JSON."""
    rows = {
        name: {**asdict(result), "verdict": result.verdict.value}
        for name, result in results.items()
    }
    return json.dumps(rows, indent=1) + "\n"


def inputs(given: Sequence[str]) -> dict[str, str]:
    """The fingerprint of all that every verdict on a mutant of a source depends on, by source."""
    trees = [fingerprint.of_files(paths.ROOT, _files(paths.ROOT / name)) for name in _INPUTS]
    common = (*trees, kernel.tool_versions(), *given)
    series = fingerprint.of_bytes(*common, fingerprint.of_tree(paths.PATCHES))
    ours = fingerprint.of_files(module.SOURCE, module.sources())
    return {
        kernel.SOURCE: series,
        IPCHAINS: series,
        MODULE: fingerprint.of_bytes(*common, ours),
    }


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        # The list of mutants is in each mutant's own fingerprint.
        if path.is_file() and "__pycache__" not in path.parts and "mutants" not in path.parts:
            yield path
