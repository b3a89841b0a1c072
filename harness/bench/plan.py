# SPDX-License-Identifier: GPL-2.0-only
"""What a benchmark measures and compares, as harness/bench/bench.toml has it."""

from __future__ import annotations

import fnmatch
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.base import paths
from harness.base.errors import UserError
from harness.matrix import statements
from harness.matrix.variants import Variant

DATA = paths.HARNESS / "bench" / "bench.toml"
_HOOK = "{hook}"


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


def load(path: Path = DATA) -> Plan:
    """The table, in the order of the file."""
    data = tomllib.loads(path.read_text())
    return Plan(
        tuple(_datagram(name, row) for name, row in data["datagrams"].items()),
        tuple(_way(name, row) for name, row in _ways(data["ways"], data["hooks"]).items()),
        tuple(
            Comparison(row["text"], _rows(row["over"]), _rows(row["under"]), row.get("target"))
            for each in data["comparisons"]
            for row in _at_hooks(each, data["hooks"])
        ),
        {feature: tuple(names) for feature, names in data["modules"].items()},
    )


def _ways(rows: dict[str, Any], hooks: Sequence[str]) -> dict[str, Any]:
    """Those of no hook, then for each hook those of all."""
    found = {name: row for name, row in rows.items() if _HOOK not in name}
    for hook in hooks:
        found |= _at({name: row for name, row in rows.items() if _HOOK in name}, hook)
    return found


def _at_hooks(row: dict[str, Any], hooks: Sequence[str]) -> list[dict[str, Any]]:
    return [_at(row, hook) for hook in hooks] if _HOOK in row["over"] else [row]


def _at(value: Any, hook: str) -> Any:
    """A value of the file with the hook's name in all of its texts."""
    if isinstance(value, str):
        return value.replace(_HOOK, hook)
    if isinstance(value, list):
        return [_at(each, hook) for each in value]
    if isinstance(value, dict):
        return {_at(name, hook): _at(each, hook) for name, each in value.items()}
    return value


def _datagram(name: str, row: dict[str, Any]) -> Datagram:
    needs = tuple(row.get("needs", ()))
    return Datagram(name, row["bytes"], row["window"], needs, row.get("wires", "cards"))


def _way(name: str, row: dict[str, Any]) -> Way:
    return Way(
        name,
        row["text"],
        tuple(row["needs"]),
        tuple(row.get("setup", ())),
        tuple(row.get("teardown", ())),
        row.get("program", ""),
        row.get("chain", ""),
        row.get("baseline", False),
    )


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
