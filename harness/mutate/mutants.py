# SPDX-License-Identifier: GPL-2.0-only
"""The mutants: every hunk taken away, what harness/mutate/mutants lists, and what is made from the
syntax of the series' own files and of the module's."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.base import datafile, fingerprint, paths
from harness.base.errors import UserError
from harness.kernel import kernel, module
from harness.matrix import statements
from harness.mutate import edit as edits
from harness.mutate import rows as data
from harness.mutate import syntax
from harness.mutate.edit import Edit, Place
from harness.mutate.rows import Listed, Rows
from harness.mutate.syntax import Fault
from harness.upstream import patches
from harness.upstream.patches import Series

FOLDER = paths.HARNESS / "mutate" / "mutants"
IPCHAINS = "ipchains-1.3.9"
# The source of the module's, and the folder of it.
MODULE = "module"
# What is tried until something kills, in this order; most faults show in the first.
VARIANTS = ("base", "passthrough+defrag")
MODULE_VARIANTS = ("linux-6.1:base",)

_STATEMENT = re.compile(rf"\b[{statements.CHAPTERS}]\d+\b")


@dataclass(frozen=True)
class Mutant:
    """One fault. `breaks` are statements that it should break: their tests are tried first, and
    before them those with one of `tests` in their names. `survives` explains why no test can see
    it; empty if one has to. `fault` is what one made from the syntax is.
    """

    name: str
    source: str
    edit: Edit
    breaks: tuple[str, ...] = ()
    variants: tuple[str, ...] = VARIANTS
    tests: tuple[str, ...] = ()
    survives: str = ""
    fault: Fault | None = None

    @property
    def kind(self) -> str:
        """By which operator it was made; of one that is listed, or a hunk, that."""
        return self.fault.operator if self.fault else "listed"

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
    """All mutants, those of hunks first, those of the syntax last; and the hunks that are left out.

    Raises UserError, which names the mutant, if one cannot be made of the series as it is.
    """
    series = _series()
    rows = data.read(folder)
    mutants, left_out = _of_hunks(rows, series)
    mutants += _of_lists(rows, series)
    mutants += _of_syntax(rows, series)
    return tuple(mutants), tuple(left_out)


def select(mutants: Sequence[Mutant], patterns: str) -> tuple[Mutant, ...]:
    """Those whose name, file or statement one of `patterns` is, separated by commas and with * and
    ?, or whose name one is part of.

    Raises UserError if there is none for one of them.
    """
    words = _words(patterns, {mutant.name for mutant in mutants})
    for word in words:
        if not any(_matches(mutant, word) for mutant in mutants):
            raise UserError(f"no mutant matches {word}", "see harness/mutate/mutants/")
    return tuple(mutant for mutant in mutants if any(_matches(mutant, word) for word in words))


def _words(patterns: str, names: Collection[str]) -> list[str]:
    """What commas part, but for whole names: one made from the syntax may have commas itself."""
    words: list[str] = []
    parts = patterns.split(",")
    while parts:
        whole = next(
            (end for end in range(len(parts), 0, -1) if ",".join(parts[:end]).strip() in names), 1
        )
        words.append(",".join(parts[:whole]).strip())
        del parts[:whole]
    return words


def _matches(mutant: Mutant, pattern: str) -> bool:
    words = (mutant.name, mutant.edit.file, *mutant.breaks)
    return pattern in mutant.name or any(fnmatch.fnmatchcase(word, pattern) for word in words)


def _of_lists(rows: Rows, series: Mapping[str, Sequence[Series]]) -> list[Mutant]:
    made: dict[str, Mutant] = {}
    for path, listed in rows.listed.items():
        faults = []
        for number, row in enumerate(listed):
            try:
                mutant = _listed(row, series)
            except UserError as error:
                told = f"mutant {row.name}: {error.message}; {error.hint}"
                faults.append(datafile.Fault(("mutant", number), told))
                continue
            if row.name in made:
                told = f"two mutants have the name {row.name}"
                faults.append(datafile.Fault(("mutant", number, "name"), told))
            made[row.name] = mutant
        data.LISTED.refuse(faults, path)
    return list(made.values())


def _listed(row: Listed, series: Mapping[str, Sequence[Series]]) -> Mutant:
    if row.source not in series:
        raise UserError(f"there is no source {row.source}", f"known: {', '.join(series)}")
    edit = edits.replacement(series[row.source], row.file, row.old, row.new)
    return Mutant(row.name, row.source, edit, **row.said)


def _faults(series: Mapping[str, Sequence[Series]]) -> Iterator[tuple[str, str, Fault]]:
    """What is made from the syntax: the source and the part of it (Edit.part), with each fault."""
    for source, parts in series.items():
        for row in parts:
            for name, content in sorted(row.overlay.items()):
                if name.endswith((".c", ".h")):
                    for fault in syntax.faults(name, content):
                        yield source, edits.part(row), fault
    for path in module.sources():
        if path.suffix in (".c", ".h"):
            name = f"{MODULE}/{path.relative_to(module.SOURCE).as_posix()}"
            for fault in syntax.faults(name, path.read_bytes()):
                yield MODULE, MODULE, fault


def _of_syntax(rows: Rows, series: Mapping[str, Sequence[Series]]) -> list[Mutant]:
    used: set[int] = set()
    made = []
    every = list(_faults(series))
    of_file: dict[str, dict[str, None]] = {}
    for _, _, fault in every:
        of_file.setdefault(fault.file, {}).update(dict.fromkeys(_named(fault.comments)))
    for source, part, fault in every:
        said: dict[str, Any] = {}
        for number, row in enumerate(rows.syntax):
            if row.is_of(fault):
                used.add(number)
                # Those further down say it more closely.
                said |= row.said
        edit = Edit(part, fault.file, fault.first, fault.old, fault.new)
        of_all = MODULE_VARIANTS if source == MODULE else VARIANTS
        # What is said of the function names what it serves, or else what is said in the file.
        breaks = _named(fault.comments) or tuple(of_file[fault.file])
        said = {"variants": of_all, "breaks": breaks, **said}
        made.append(Mutant(fault.name, source, edit, fault=fault, **said))
    data.SYNTAX.refuse(_unused("fault", rows.syntax, used), rows.syntax_file)
    return made


def _unused(kind: str, rows: Sequence[object], used: Collection[int]) -> Iterator[datafile.Fault]:
    for number in range(len(rows)):
        if number not in used:
            yield datafile.Fault((kind, number), f"a row for no {kind}")


def _named(text: str) -> tuple[str, ...]:
    """The statements that a text names, in order, each once."""
    return tuple(dict.fromkeys(_STATEMENT.findall(text)))


def _of_hunks(
    rows: Rows, series: Mapping[str, Sequence[Series]]
) -> tuple[list[Mutant], list[LeftOut]]:
    mutants: list[Mutant] = []
    left_out: list[LeftOut] = []
    used: set[int] = set()
    faults = []
    for source, place in _places(series):
        name = _name(source, place)
        found = [number for number, row in enumerate(rows.hunks) if row.is_of(place)]
        used.update(found)
        for number in found[1:]:
            told = f"more than one row for {name}"
            faults.append(datafile.Fault(("hunk", number), told))
        row = rows.hunks[found[0]] if found else None
        if row and row.left_out is not None:
            left_out.append(LeftOut(name, row.left_out))
            continue
        said = {"breaks": _named(place.patch.head), **(row.said if row else {})}
        mutants.append(Mutant(name, source, edits.removal(place), **said))
    data.HUNKS.refuse([*faults, *_unused("hunk", rows.hunks, used)], rows.hunks_file)
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
