# SPDX-License-Identifier: GPL-2.0-only
"""What the data says of mutants: the files of harness/mutate/mutants, each row with its file."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.base import datafile
from harness.base.datafile import Keys, Schema, Table
from harness.kernel import kernel
from harness.matrix import configurations, statements, variants
from harness.mutate import edit as edits
from harness.mutate.edit import Place
from harness.mutate.syntax import Fault


class Says(Table, frozen=True, kw_only=True):
    """What a row can say of a mutant. What is None is as it is without."""

    breaks: tuple[str, ...] | None = None
    variants: tuple[str, ...] | None = None
    tests: tuple[str, ...] | None = None
    survives: str | None = None

    @property
    def said(self) -> dict[str, Any]:
        """What it does say, by name."""
        every = {name: getattr(self, name) for name in Says.__struct_fields__}
        return {name: value for name, value in every.items() if value is not None}


class Hunk(Says, frozen=True, kw_only=True):
    """Which hunks a row is of: see the head of hunks.toml."""

    patch: str
    file: str = "*"
    number: int | None = None
    adds: tuple[str, ...] | None = None
    left_out: str | None = None

    def is_of(self, place: Place) -> bool:
        """Whether a hunk is one of them."""
        name = f"{edits.part(place.series)}/{place.patch.path.name}"
        return (
            fnmatch.fnmatchcase(name, self.patch)
            and fnmatch.fnmatchcase(place.file, self.file)
            and self.number in (None, place.number)
            and self.adds in (None, tuple(place.added))
        )


class OfSyntax(Says, frozen=True, kw_only=True):
    """Of which mutants that are made from the syntax a row is: see the head of syntax.toml."""

    file: str = "*"
    function: str | None = None
    operator: str | None = None
    text: str | None = None
    number: int | None = None

    def is_of(self, fault: Fault) -> bool:
        """Whether one is among them."""
        return (
            fnmatch.fnmatchcase(fault.file, self.file)
            and self.function in (None, fault.function)
            and self.operator in (None, fault.operator)
            and self.text in (None, fault.text)
            and self.number in (None, fault.number)
        )


class Listed(Says, frozen=True, kw_only=True):
    """A mutant: see the head of socket.toml."""

    name: str
    source: str = kernel.SOURCE
    file: str
    old: str
    new: str


class _Hunks(Table, frozen=True, kw_only=True):
    hunk: tuple[Hunk, ...] = ()


class _Syntax(Table, frozen=True, kw_only=True):
    fault: tuple[OfSyntax, ...] = ()


class _Mutants(Table, frozen=True, kw_only=True):
    mutant: tuple[Listed, ...] = ()


_FOLDER = "harness/mutate/mutants"
HUNKS = Schema(_Hunks, f"{_FOLDER}/hunks.toml")
SYNTAX = Schema(_Syntax, f"{_FOLDER}/syntax.toml")
LISTED = Schema(_Mutants, f"{_FOLDER}/*.toml")


@dataclass(frozen=True)
class Rows:
    """All that is said; each file with what is `listed` in it."""

    hunks_file: Path
    hunks: Sequence[Hunk]
    syntax_file: Path
    syntax: Sequence[OfSyntax]
    listed: dict[Path, Sequence[Listed]]


def read(folder: Path) -> Rows:
    """The rows of all files of the folder. Raises UserError if one is not as its head says."""
    hunks, syntax = (folder / Path(each.where).name for each in (HUNKS, SYNTAX))
    others = sorted(set(folder.glob("*.toml")) - {hunks, syntax})
    rows = Rows(
        hunks,
        HUNKS.read(hunks).hunk,
        syntax,
        SYNTAX.read(syntax).fault,
        {path: LISTED.read(path).mutant for path in others},
    )
    HUNKS.refuse(_unknown("hunk", rows.hunks), hunks)
    SYNTAX.refuse(_unknown("fault", rows.syntax), syntax)
    for path, listed in rows.listed.items():
        LISTED.refuse(_unknown("mutant", listed), path)
    return rows


def _unknown(kind: str, rows: Sequence[Says]) -> Iterator[datafile.Fault]:
    """Statements and variants that there are not."""
    known, every = statements.load(), variants.load()
    for number, row in enumerate(rows):
        keys: Keys = (kind, number)
        yield from datafile.each_among((*keys, "breaks"), row.breaks or (), known)
        for place, name in enumerate(row.variants or ()):
            # All of these would take a second to find.
            if not name.startswith(configurations.PREFIX):
                yield from datafile.among((*keys, "variants", place), name, every)
