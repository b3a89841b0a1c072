# SPDX-License-Identifier: GPL-2.0-only
"""The statements of SPEC.md as data: where each holds, and what differs between kernels."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from harness.base import paths
from harness.base.datafile import Fault, Schema, Table
from harness.base.errors import UserError
from harness.matrix import features as words
from harness.matrix import kernels
from harness.matrix.features import NOT
from harness.matrix.variants import Variant

# What is said of a test that has nothing to say about a kernel.
NOT_APPLICABLE = "not applicable: "
# ... whatever its statements say.
UNFIT = f"{NOT_APPLICABLE}it needs a kernel with "
# What other configurations have than the variants' (SPEC.md O4).
CONFIGURATION = "configuration"
# The chapters of SPEC.md, in its order.
CHAPTERS = "SRPITFOGCXM"


class _Case(Table, frozen=True, kw_only=True):
    needs: tuple[str, ...]
    text: str


class _Row(Table, frozen=True, kw_only=True):
    """What a file says of a statement; a case that is words alone has its needs."""

    origin: tuple[Annotated[str, Meta(pattern="^[HFKD]")], ...]
    needs: tuple[str, ...]
    text: str
    cases: dict[str, str | _Case] = msgspec.field(default_factory=dict)


class _Expected(Table, frozen=True, kw_only=True):
    needs: tuple[str, ...]
    is_: str = msgspec.field(name="is")
    why: str = ""


class _Rows(Table, frozen=True, kw_only=True):
    rows: tuple[_Expected, ...]


DATA = Schema(dict[str, _Row], "harness/matrix/statements/*.toml")
DIFFERENCES = Schema(dict[str, _Rows], "harness/matrix/differences.toml")


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
    """What a kernel has, in the words of features.toml."""
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


def load(folder: Path = paths.HARNESS / "matrix" / "statements") -> dict[str, Statement]:
    """All statements by name, in the order of SPEC.md. Raises UserError if one cannot be."""
    known: dict[str, Statement] = {}
    there = words.words()
    for chapter in CHAPTERS:
        file = folder / f"{chapter.lower()}.toml"
        said = DATA.read(file)
        DATA.refuse((fault for row in said.items() for fault in _wrong(chapter, *row, there)), file)
        known |= {name: _statement(name, row) for name, row in said.items()}
    return known


def _wrong(chapter: str, name: str, row: _Row, there: Collection[str]) -> Iterator[Fault]:
    """A name of another chapter, and words for features that are none."""
    if not re.fullmatch(rf"{chapter}[1-9]\d*", name):
        yield Fault((name,), f"no name of this chapter's, as {chapter}1")
    yield from words.unknown((name, "needs"), row.needs, there)
    for case, part in row.cases.items():
        if isinstance(part, _Case):
            yield from words.unknown((name, "cases", case, "needs"), part.needs, there)


def _statement(name: str, row: _Row) -> Statement:
    cases = {
        case: Case(row.needs, part) if isinstance(part, str) else Case(part.needs, part.text)
        for case, part in row.cases.items()
    }
    return Statement(name, row.origin, row.needs, row.text, cases)


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


def difference(name: str, has: frozenset[str], path: Path | None = None) -> tuple[str, str]:
    """What is expected of a kernel that has `has`, and why, where a row says that.

    Raises UserError if no row fits.
    """
    said, there = DIFFERENCES.read(path), words.words()
    DIFFERENCES.refuse(
        (
            fault
            for each, table in said.items()
            for number, row in enumerate(table.rows)
            for fault in words.unknown((each, "rows", number, "needs"), row.needs, there)
        ),
        path,
    )
    for row in said[name].rows if name in said else ():
        if unmet(row.needs, has) is None:
            return row.is_, row.why
    where = (path or Path(DIFFERENCES.where)).name
    raise UserError(f"nothing says what {name} is for this kernel", f"see {where}")
