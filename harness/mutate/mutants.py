# SPDX-License-Identifier: GPL-2.0-only
"""The mutants: every hunk taken away, and what harness/mutate/mutants lists besides."""

from __future__ import annotations

import fnmatch
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.base import fingerprint, paths
from harness.base.errors import UserError
from harness.kernel import kernel
from harness.matrix import statements
from harness.mutate import edit as edits
from harness.mutate.edit import Edit, Place
from harness.upstream import patches
from harness.upstream.patches import Series

FOLDER = paths.HARNESS / "mutate" / "mutants"
HUNKS = "hunks.toml"
IPCHAINS = "ipchains-1.3.9"
# What is tried until something kills, in this order; most faults show in the first.
VARIANTS = ("base", "passthrough+defrag")

_STATEMENT = re.compile(rf"\b[{statements.CHAPTERS}]\d+\b")


@dataclass(frozen=True)
class Mutant:
    """One fault. `breaks` are statements that it should break: their tests are tried first, and
    before them those with one of `tests` in their names. `survives` explains why no test can see
    it; empty if one has to.
    """

    name: str
    source: str
    edit: Edit
    breaks: tuple[str, ...] = ()
    variants: tuple[str, ...] = VARIANTS
    tests: tuple[str, ...] = ()
    survives: str = ""

    @property
    def fingerprint(self) -> str:
        """Of what a verdict on it depends on, beside the tests and the tree."""
        return fingerprint.of_bytes(repr(self.edit), *self.variants)

    def order(self, proofs: Mapping[str, Sequence[str]], killer: str) -> tuple[str, ...]:
        """The tests to run first: `killer`, those that `tests` names, those of `breaks` in order.

        `proofs` has all tests, with the statements and cases that each proves.
        """
        first = [test for test in proofs if test == killer]
        first += [test for part in self.tests for test in proofs if part in test]
        for name in self.breaks:
            for test, proved in proofs.items():
                if name in {part.partition("/")[0] for part in proved}:
                    first.append(test)
        return tuple(dict.fromkeys(first))


@dataclass(frozen=True)
class LeftOut:
    """A hunk of which no mutant is made, and why."""

    name: str
    reason: str


def _series() -> dict[str, tuple[Series, ...]]:
    return {
        kernel.SOURCE: patches.load_parts(kernel.SOURCE, ("divert",)),
        IPCHAINS: patches.load_all(IPCHAINS),
    }


def load(folder: Path = FOLDER) -> tuple[tuple[Mutant, ...], tuple[LeftOut, ...]]:
    """All mutants, those of hunks first, and the hunks that are left out.

    Raises UserError, which names the mutant, if one cannot be made of the series as it is.
    """
    series = _series()
    mutants, left_out = _of_hunks(_rows(folder / HUNKS, "hunk"), series)
    for path in sorted(folder.glob("*.toml")):
        if path.name != HUNKS:
            mutants += [_listed(row, series) for row in _rows(path, "mutant")]
    names = [mutant.name for mutant in mutants]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two mutants have the name {name}", f"see {folder}")
    return tuple(mutants), tuple(left_out)


def select(mutants: Sequence[Mutant], patterns: str) -> tuple[Mutant, ...]:
    """Those whose name, file or statement one of `patterns` is, separated by commas and with * and
    ?, or whose name one is part of.

    Raises UserError if there is none for one of them.
    """
    words = [word.strip() for word in patterns.split(",")]
    for word in words:
        if not any(_matches(mutant, word) for mutant in mutants):
            raise UserError(f"no mutant matches {word}", "see harness/mutate/mutants/")
    return tuple(mutant for mutant in mutants if any(_matches(mutant, word) for word in words))


def _matches(mutant: Mutant, pattern: str) -> bool:
    words = (mutant.name, mutant.edit.file, *mutant.breaks)
    return pattern in mutant.name or any(fnmatch.fnmatchcase(word, pattern) for word in words)


def _rows(path: Path, kind: str) -> list[dict[str, Any]]:
    with path.open("rb") as stream:
        data = tomllib.load(stream)
    rows: list[dict[str, Any]] = data.get(kind, [])
    return rows


def _listed(row: Mapping[str, Any], series: Mapping[str, Sequence[Series]]) -> Mutant:
    source = row.get("source", kernel.SOURCE)
    try:
        edit = edits.replacement(series[source], row["file"], row["old"], row["new"])
    except UserError as error:
        raise UserError(f"mutant {row['name']}: {error.message}", error.hint) from None
    return _mutant(row["name"], source, edit, row)


def _mutant(name: str, source: str, edit: Edit, row: Mapping[str, Any]) -> Mutant:
    return Mutant(
        name,
        source,
        edit,
        breaks=tuple(row.get("breaks", ())),
        variants=tuple(row.get("variants", VARIANTS)),
        tests=tuple(row.get("tests", ())),
        survives=row.get("survives", ""),
    )


def _of_hunks(
    rows: Sequence[Mapping[str, Any]], series: Mapping[str, Sequence[Series]]
) -> tuple[list[Mutant], list[LeftOut]]:
    mutants: list[Mutant] = []
    left_out: list[LeftOut] = []
    used = [False] * len(rows)
    for source, place in _places(series):
        name = _name(source, place)
        found = [number for number, row in enumerate(rows) if _is_of(row, place)]
        if len(found) > 1:
            raise UserError(f"{HUNKS} has more than one row for {name}")
        row = rows[found[0]] if found else {}
        for number in found:
            used[number] = True
        if "left_out" in row:
            left_out.append(LeftOut(name, row["left_out"]))
            continue
        said = {"breaks": dict.fromkeys(_STATEMENT.findall(place.patch.head)), **row}
        mutants.append(_mutant(name, source, edits.removal(place), said))
    for row, was_used in zip(rows, used, strict=True):
        if not was_used:
            raise UserError(f"{HUNKS} has a row for no hunk: {dict(row)}")
    return mutants, left_out


def _places(series: Mapping[str, Sequence[Series]]) -> Iterator[tuple[str, Place]]:
    for source, parts in series.items():
        for row in parts:
            for place in edits.hunks(row):
                yield source, place


def _name(source: str, place: Place) -> str:
    number = place.patch.path.name.partition("-")[0]
    whose = "" if source == kernel.SOURCE else "ipchains-"
    return f"{whose}{number}:{place.file}:{place.number}"


def _is_of(row: Mapping[str, Any], place: Place) -> bool:
    return (
        fnmatch.fnmatchcase(f"{edits.part(place.series)}/{place.patch.path.name}", row["patch"])
        and fnmatch.fnmatchcase(place.file, row.get("file", "*"))
        and row.get("number", place.number) == place.number
        and ("adds" not in row or list(place.added) == row["adds"])
    )
