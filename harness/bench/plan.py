# SPDX-License-Identifier: GPL-2.0-only
"""What a benchmark measures and compares, as harness/bench/bench.toml has it."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from harness.base import datafile
from harness.base.datafile import Fault, Schema, Table
from harness.base.errors import UserError
from harness.matrix import features, statements
from harness.matrix import variants as matrix
from harness.matrix.variants import Variant

T = TypeVar("T")

_HOOK = "{hook}"


class _Datagram(Table, frozen=True, kw_only=True):
    bytes: int
    window: int
    needs: tuple[str, ...] = ()
    wires: Literal["cards", "memory"] = "cards"


class _Way(Table, frozen=True, kw_only=True):
    text: str
    needs: tuple[str, ...]
    setup: tuple[str, ...] = ()
    teardown: tuple[str, ...] = ()
    program: str = ""
    chain: Literal["", "input", "forward", "output", "{hook}"] = ""
    baseline: bool = False


class _Comparison(Table, frozen=True, kw_only=True):
    text: str
    over: str
    under: str
    target: float | None = None


class _Bench(Table, frozen=True, kw_only=True):
    hooks: tuple[Literal["input", "forward", "output"], ...]
    modules: dict[str, tuple[str, ...]]
    datagrams: dict[str, _Datagram]
    ways: dict[str, _Way]
    comparisons: tuple[_Comparison, ...]


DATA = Schema(_Bench, "harness/bench/bench.toml")


@dataclass(frozen=True)
class Datagram:
    """A UDP datagram of `bytes` with its IP header, of which `window` may be under way.

    `wires` is "cards", or "memory": see bench.toml.
    """

    name: str
    bytes: int
    window: int
    needs: tuple[str, ...]
    wires: str = "cards"


@dataclass(frozen=True)
class Way:
    """What the guest does with each datagram: see bench.toml."""

    name: str
    text: str
    needs: tuple[str, ...]
    setup: tuple[str, ...] = ()
    teardown: tuple[str, ...] = ()
    program: str = ""
    chain: str = ""
    baseline: bool = False


@dataclass(frozen=True)
class Comparison:
    """Rows of one variant over rows of another, of each kernel: (short name, way or "")."""

    text: str
    over: tuple[str, str]
    under: tuple[str, str]
    target: float | None = None


@dataclass(frozen=True)
class Plan:
    """The table of measurements; `modules` is what guests with a feature load at first."""

    datagrams: tuple[Datagram, ...]
    ways: tuple[Way, ...]
    comparisons: tuple[Comparison, ...]
    modules: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Measurement:
    """One row: a way, with a datagram, on a variant."""

    variant: Variant = field(repr=False)
    way: Way
    datagram: Datagram

    @property
    def name(self) -> str:
        """As --only has it: `base/divert-input/1400`."""
        return f"{self.variant.name}/{self.way.name}/{self.datagram.name}"


def load(path: Path | None = None) -> Plan:
    """The table, in the order of the file. Raises UserError if it is not as its head says."""
    said = DATA.read(path)
    DATA.refuse(_wrong(said), path)
    return Plan(
        tuple(
            Datagram(name, row.bytes, row.window, row.needs, row.wires)
            for name, row in said.datagrams.items()
        ),
        tuple(
            Way(
                name,
                row.text,
                row.needs,
                row.setup,
                row.teardown,
                row.program,
                row.chain,
                row.baseline,
            )
            for name, row in _ways(said.ways, said.hooks).items()
        ),
        tuple(
            Comparison(row.text, _rows(row.over), _rows(row.under), row.target)
            for each in said.comparisons
            for row in _at_hooks(each, said.hooks)
        ),
        said.modules,
    )


def _wrong(said: _Bench) -> Iterator[Fault]:
    """Words, variants and ways that there are not."""
    words = features.words()
    for kind, rows in (("datagrams", said.datagrams), ("ways", said.ways)):
        for name, row in rows.items():
            yield from features.unknown((kind, name, "needs"), row.needs, words)
    for word in said.modules:
        yield from datafile.among(("modules", word), word, words)
    short = sorted({row.short for row in matrix.load().values()})
    ways = _ways(said.ways, said.hooks)
    for number, comparison in enumerate(said.comparisons):
        for each in _at_hooks(comparison, said.hooks):
            for key, text in (("over", each.over), ("under", each.under)):
                yield from _no_row(("comparisons", number, key), text, short, ways)


def _no_row(
    keys: datafile.Keys, text: str, variants: Collection[str], ways: Collection[str]
) -> Iterator[Fault]:
    variant, way = _rows(text)
    yield from datafile.among(keys, variant, variants)
    if way:
        yield from datafile.among(keys, way, ways)


def _ways(rows: Mapping[str, _Way], hooks: Sequence[str]) -> dict[str, _Way]:
    """Those of no hook, then for each hook those of all."""
    found = {name: row for name, row in rows.items() if _HOOK not in name}
    for hook in hooks:
        found |= {
            name.replace(_HOOK, hook): _at(row, hook) for name, row in rows.items() if _HOOK in name
        }
    return found


def _at_hooks(row: _Comparison, hooks: Sequence[str]) -> list[_Comparison]:
    return [_at(row, hook) for hook in hooks] if _HOOK in row.over else [row]


def _at(value: T, hook: str) -> T:
    """A value of the file with the hook's name in all of its texts."""
    return msgspec.convert(_with(msgspec.to_builtins(value), hook), type(value))


def _with(value: object, hook: str) -> object:
    if isinstance(value, str):
        return value.replace(_HOOK, hook)
    if isinstance(value, list | tuple):
        return [_with(each, hook) for each in value]
    if isinstance(value, dict):
        return {name: _with(each, hook) for name, each in value.items()}
    return value


def _rows(text: str) -> tuple[str, str]:
    variant, _, way = text.partition(" ")
    return variant, way


def measurements(plan: Plan, variants: Sequence[Variant]) -> tuple[Measurement, ...]:
    """All that can be measured on the variants; those of one datagram and way side by side."""
    has = {variant.name: statements.features(variant) for variant in variants}
    return tuple(
        Measurement(variant, way, datagram)
        for datagram in plan.datagrams
        for way in plan.ways
        for variant in variants
        if statements.unmet((*way.needs, *datagram.needs), has[variant.name]) is None
    )


def modules(plan: Plan, variant: Variant) -> tuple[str, ...]:
    """What a guest of this variant loads before anything is measured, by name and in order."""
    has = statements.features(variant)
    return tuple(
        name for feature in plan.modules if feature in has for name in plan.modules[feature]
    )


def only(rows: Sequence[Measurement], text: str | None) -> tuple[Measurement, ...]:
    """The rows that `--only` names: by a pattern with * and ?, or any part between slashes.

    The baselines of what is named are among them. Raises UserError if a word names none.
    """
    if text is None:
        return tuple(rows)
    chosen: set[Measurement] = set()
    for word in filter(None, (part.strip() for part in text.split(","))):
        found = {row for row in rows if _matches(row, word)}
        if not found:
            names = ", ".join(dict.fromkeys(row.way.name for row in rows))
            raise UserError(
                f"--only {word} names no measurement",
                f"ways: {names}; as in: --only 'base/divert-*/1400'",
            )
        chosen |= found
    wanted = {(row.variant.name, row.datagram.name) for row in chosen}
    return tuple(
        row
        for row in rows
        if row in chosen or (row.way.baseline and (row.variant.name, row.datagram.name) in wanted)
    )


def _matches(row: Measurement, word: str) -> bool:
    words = (row.name, row.variant.name, row.way.name, row.datagram.name)
    return any(fnmatch.fnmatchcase(each, word) for each in words)


def in_turn(rows: Sequence[Measurement], number: int) -> tuple[Measurement, ...]:
    """The order of a round: there and back, so that what changes slowly hits all alike."""
    return tuple(rows if number % 2 == 0 else reversed(rows))
