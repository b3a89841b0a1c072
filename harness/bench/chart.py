# SPDX-License-Identifier: GPL-2.0-only
"""The chart of a benchmark: bench.svg, drawn from what bench.json has."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.base import paths, templates

FILE = "bench.svg"
TITLE = "Packets through the guest: forwarding, rules, divert sockets, NFQUEUE"
_TEMPLATE = paths.HARNESS / "bench" / "bench.svg.j2"

# What the columns show, and in which units; see bench_result.FIGURES.
COLUMNS = {
    "rate": "packets/s, more is better",
    "cost": "CPU µs for each packet, less is better",
    "trip": "round trip of a lone packet, µs, less is better",
}

# Where packets go, by bench.toml's word for it.
_WIRES = {"cards": "through the guest's cards", "memory": "in the guest's memory"}

# All in pixels.
_LABELS = 250
_COLUMN = 380
_GAP = 70
_LINE = 20
_HEAD = 70
_TOP = 84
_MARGIN = 24
_STEPS = 6


@dataclass(frozen=True)
class Bar:
    """A median and its quartiles: as lengths in pixels, and in words."""

    length: float
    low: float
    high: float
    text: str


@dataclass(frozen=True)
class Tick:
    """A value of an axis, and how far from its begin it is in pixels."""

    at: float
    text: str


@dataclass(frozen=True)
class Line:
    """A way, with a bar for each column."""

    text: str
    family: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Panel:
    """The ways of one variant with one datagram; `y` is where it begins, in pixels."""

    title: str
    y: float
    axes: tuple[tuple[Tick, ...], ...]
    lines: tuple[Line, ...]


def write(folder: Path, data: Mapping[str, Any]) -> Path:
    """Write the chart of what bench.json has into the folder."""
    path = folder / FILE
    path.write_text(render(data), encoding="utf-8")
    return path


def render(data: Mapping[str, Any]) -> str:
    """The chart as SVG (pure)."""
    drawn = panels(data["measurements"])
    return templates.load(_TEMPLATE).render(
        panels=drawn,
        columns=[(_left(n), text) for n, text in enumerate(COLUMNS.values())],
        length=_COLUMN,
        line=_LINE,
        head=_HEAD,
        margin=_MARGIN,
        width=_left(len(COLUMNS)) + _MARGIN,
        height=(drawn[-1].y + _height(len(drawn[-1].lines)) if drawn else _TOP) + _MARGIN,
        title=TITLE,
        summary=_summary(data),
        # One value has no quartiles.
        spread=data["rounds"] > 1,
    )


def _summary(data: Mapping[str, Any]) -> str:
    what = f"One round of {data['seconds']} s"
    if data["rounds"] > 1:
        what = f"Median of {data['rounds']} rounds of {data['seconds']} s"
        what += "; the line across is from the first to the third quartile"
    accelerators = ", ".join(sorted(set(data["accelerator"].values())))
    return f"{what}. Accelerator: {accelerators}. The scale is that of a kernel and datagram."


def panels(measurements: Sequence[Mapping[str, Any]]) -> list[Panel]:
    """A panel for each variant and datagram, in the order in which kernels and datagrams come.

    All panels of one kernel and datagram have the same axes (pure).
    """
    groups: dict[tuple[str, str], dict[str, list[Mapping[str, Any]]]] = {}
    for kernel in dict.fromkeys(row["kernel"] for row in measurements):
        for row in measurements:
            if row["kernel"] == kernel:
                group = groups.setdefault((kernel, row["datagram"]), {})
                group.setdefault(row["variant"], []).append(row)
    drawn: list[Panel] = []
    y: float = _TOP
    for (kernel, _), variants in groups.items():
        every = [row for rows in variants.values() for row in rows]
        scales = {name: _scale(max(row[name]["q3"] for row in every)) for name in COLUMNS}
        for variant, rows in variants.items():
            name = variant if variant.startswith(kernel) else f"{kernel}:{variant}"
            title = f"{name}, {rows[0]['bytes']:,} bytes {_WIRES[rows[0]['wires']]}"
            axes = tuple(each.ticks() for each in scales.values())
            drawn.append(Panel(title, y, axes, tuple(_line(row, scales) for row in rows)))
            y += _height(len(rows))
    return drawn


def _left(column: int) -> float:
    return _MARGIN + _LABELS + column * (_COLUMN + _GAP)


def _height(lines: int) -> float:
    return _HEAD + _LINE * lines + 22


@dataclass(frozen=True)
class _Scale:
    """`count` steps of a size fill a column."""

    step: float
    count: int

    def at(self, value: float) -> float:
        return _COLUMN * value / (self.step * self.count)

    def ticks(self) -> tuple[Tick, ...]:
        values = [self.step * n for n in range(self.count + 1)]
        return tuple(Tick(self.at(value), f"{value:,.0f}") for value in values)


def _scale(most: float) -> _Scale:
    """1, 2 or 5 times a power of ten, of which no more than _STEPS reach `most`."""
    power = 10.0 ** math.floor(math.log10(most / _STEPS))
    step = next(power * n for n in (1, 2, 5, 10) if power * n * _STEPS >= most)
    return _Scale(step, math.ceil(most / step))


def _line(row: Mapping[str, Any], scales: Mapping[str, _Scale]) -> Line:
    family = row["way"].partition("-")[0]
    if row["way"].endswith(("-batch", "-best")):
        family += "-many"
    return Line(
        row["text"], family, tuple(_bar(row[name], scale) for name, scale in scales.items())
    )


def _bar(spread: Mapping[str, float], scale: _Scale) -> Bar:
    low, median, high = (scale.at(spread[name]) for name in ("q1", "median", "q3"))
    return Bar(median, low, high, f"{spread['median']:,.0f}")
