# SPDX-License-Identifier: GPL-2.0-only
"""The statements of SPEC.md as data: where each holds, and what differs between kernels."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.base import paths
from harness.base.errors import UserError
from harness.matrix import configurations, kernels
from harness.matrix.variants import Variant

NOT = "no "
# What is said of a test that has nothing to say about a kernel.
NOT_APPLICABLE = "not applicable: "
# ... whatever its statements say.
UNFIT = f"{NOT_APPLICABLE}it needs a kernel with "
# What other configurations have than the variants' (SPEC.md O4).
CONFIGURATION = "configuration"
# The chapters of SPEC.md, in its order.
CHAPTERS = "SRPITFOGCXM"


@dataclass(frozen=True)
class Case:
    """A part of a statement with needs of its own."""

    needs: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Statement:
    """One numbered statement: its origins, what it needs of a kernel, and its words in short.

    A statement with cases is proved by these; one without is a single case of its own name.
    """

    name: str
    origin: tuple[str, ...]
    needs: tuple[str, ...]
    text: str
    cases: Mapping[str, Case]

    @property
    def parts(self) -> dict[str, Case]:
        """What has to be proved, by the names that tests use: `S1/eperm`, or `S1`."""
        if not self.cases:
            return {self.name: Case(self.needs, self.text)}
        return {f"{self.name}/{case}": part for case, part in self.cases.items()}


def features(variant: Variant) -> frozenset[str]:
    """What a kernel has, in the words of matrix/statements."""
    kernel = kernels.named(variant.kernel)
    has = variant.options | kernel.features
    if variant.module:
        has |= kernel.module_features
    if "divert" in variant.series:
        has |= {"patched"}
    if variant.diverts:
        has |= {"divert"}
    if variant.processors > 1:
        has |= {"smp"}
    if variant.changes:
        has |= {CONFIGURATION} | variant.gives
    return frozenset(has - variant.lacks)


def words() -> frozenset[str]:
    """All features that a kernel can have."""
    known = frozenset({"patched", "divert", "passthrough", "defrag", "smp", CONFIGURATION})
    kernel = (row.features | row.module_features for row in kernels.load().values())
    choice = (row.gives for row in configurations.load().choices.values())
    return known.union(*kernel, *choice)


def load(folder: Path = paths.HARNESS / "matrix" / "statements") -> dict[str, Statement]:
    """All statements by name, in the order of SPEC.md."""
    known = {}
    for chapter in CHAPTERS:
        with (folder / f"{chapter.lower()}.toml").open("rb") as stream:
            for name, row in tomllib.load(stream).items():
                known[name] = _statement(name, row)
    return known


def _statement(name: str, row: Mapping[str, Any]) -> Statement:
    needs = tuple(row["needs"])
    cases = {}
    for case, part in row.get("cases", {}).items():
        if isinstance(part, str):
            cases[case] = Case(needs, part)
        else:
            cases[case] = Case(tuple(part["needs"]), part["text"])
    return Statement(name, tuple(row["origin"]), needs, row["text"], cases)


def needs(name: str, known: Mapping[str, Statement]) -> tuple[str, ...]:
    """The needs of what a test names: `S1`, or its case `S1/eperm`.

    Raises UserError if there is no such thing, and if a statement that has cases is named whole.
    """
    statement, _, case = name.partition("/")
    if statement not in known:
        raise UserError(f"there is no statement {name}", "see harness/matrix/statements/")
    parts = known[statement].parts
    if name in parts:
        return parts[name].needs
    what = f"has no case {case}" if case else "is proved by its cases, so a test has to name one"
    raise UserError(f"{statement} {what}", f"its cases: {', '.join(known[statement].cases) or '-'}")


def unmet(wanted: Iterable[str], has: frozenset[str]) -> str | None:
    """The first need that is not met by a kernel that has `has`, or None."""
    for need in wanted:
        lacking = need.removeprefix(NOT)
        if (lacking in has) == need.startswith(NOT):
            return need
    return None


def missing(
    wanted: Iterable[str], has: frozenset[str], lacks: Mapping[str, str]
) -> tuple[str, str] | None:
    """The first need that a guest would meet if nothing were missing, and the source that is.

    `lacks` has the source by what it gives. None where that is not why a need is unmet.
    """
    wanted = tuple(wanted)
    if unmet(wanted, has | lacks.keys()) is not None:
        return None
    need = unmet(wanted, has)
    return None if need is None else (need, lacks[need])


def why_skipped(
    names: Iterable[str],
    has: frozenset[str],
    known: Mapping[str, Statement],
    lacks: Mapping[str, str] | None = None,
) -> str | None:
    """Why a test of these statements has nothing to say about a kernel, or cannot for what its
    guest `lacks` (see `missing`); None if it has.
    """
    for name in names:
        wanted = needs(name, known)
        lacking = missing(wanted, has, lacks or {})
        if lacking is not None:
            return f"not run: {name} needs {lacking[0]}, and {lacking[1]} is missing"
        need = unmet(wanted, has)
        if need is not None:
            return f"{NOT_APPLICABLE}{name} needs a kernel with {need}"
    return None


def why_unfit(wanted: Iterable[str], has: frozenset[str]) -> str | None:
    """The same of what a test needs for itself, whatever its statements do."""
    need = unmet(wanted, has)
    return None if need is None else f"{UNFIT}{need}"


def difference(
    name: str, has: frozenset[str], path: Path = paths.HARNESS / "matrix" / "differences.toml"
) -> tuple[str, str]:
    """What is expected of a kernel that has `has`, and why, where a row says that.

    Raises UserError if no row fits.
    """
    with path.open("rb") as stream:
        data = tomllib.load(stream)
    for row in data.get(name, {}).get("rows", []):
        if unmet(row["needs"], has) is None:
            return str(row["is"]), str(row.get("why", ""))
    raise UserError(f"nothing says what {name} is for this kernel", f"see {path.name}")
