# SPDX-License-Identifier: GPL-2.0-only
"""The statements of SPEC.md as data: where each holds, and what differs between kernels."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness import paths
from harness.errors import UserError
from harness.variants import Variant

NOT = "no "


@dataclass(frozen=True)
class Case:
    """A part of a statement with needs of its own."""

    needs: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Statement:
    """One numbered statement: its origins, what it needs of a kernel, and its words in short."""

    name: str
    origin: tuple[str, ...]
    needs: tuple[str, ...]
    text: str
    cases: Mapping[str, Case]


def features(variant: Variant) -> frozenset[str]:
    """What a kernel has, in the words of statements.toml."""
    has = set(variant.options)
    if "divert" in variant.series:
        has.add("patched")
    if "divert" in variant.fragments:
        has.add("divert")
    return frozenset(has)


def load(path: Path = paths.DATA / "statements.toml") -> dict[str, Statement]:
    """All statements by name, in the order of the file."""
    with path.open("rb") as stream:
        data = tomllib.load(stream)
    return {
        name: Statement(
            name,
            tuple(row["origin"]),
            tuple(row["needs"]),
            row["text"],
            {
                case: Case(tuple(part["needs"]), part["text"])
                for case, part in row.get("cases", {}).items()
            },
        )
        for name, row in data.items()
    }


def needs(name: str, known: Mapping[str, Statement]) -> tuple[str, ...]:
    """The needs of `S1`, or of its case `S1/case`. Raises UserError if there is no such thing."""
    statement, _, case = name.partition("/")
    if statement not in known:
        raise UserError(f"there is no statement {name}", "see harness/data/statements.toml")
    if not case:
        return known[statement].needs
    if case not in known[statement].cases:
        raise UserError(f"{statement} has no case {case}", "see harness/data/statements.toml")
    return known[statement].cases[case].needs


def unmet(wanted: Iterable[str], has: frozenset[str]) -> str | None:
    """The first need that is not met by a kernel that has `has`, or None."""
    for need in wanted:
        lacking = need.removeprefix(NOT)
        if (lacking in has) == need.startswith(NOT):
            return need
    return None


def why_not_applicable(
    names: Iterable[str], has: frozenset[str], known: Mapping[str, Statement]
) -> str | None:
    """Why a test of these statements has nothing to say about a kernel; None if it has."""
    for name in names:
        need = unmet(needs(name, known), has)
        if need is not None:
            return f"not applicable: {name} needs a kernel with {need}"
    return None


def difference(name: str, has: frozenset[str], path: Path = paths.DATA / "differences.toml") -> str:
    """What is expected of a kernel that has `has`. Raises UserError if no row says it."""
    with path.open("rb") as stream:
        data = tomllib.load(stream)
    for row in data.get(name, {}).get("rows", []):
        if unmet(row["needs"], has) is None:
            return str(row["is"])
    raise UserError(f"nothing says what {name} is for this kernel", f"see {path.name}")
