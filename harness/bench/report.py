# SPDX-License-Identifier: GPL-2.0-only
"""The table of a benchmark on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.base import terminal
from harness.bench.result import FIGURES, Compared, Row, Spread


def render(
    rows: Sequence[Row],
    compared: Sequence[Compared],
    not_run: Mapping[str, str],
    not_built: Mapping[str, str],
) -> list[terminal.Shown]:
    """Each measurement by variant and datagram, then the comparisons, then what is missing."""
    parts: list[terminal.Shown] = [table(rows)]
    if compared:
        parts += ["", comparison_table(compared)]
    for kernel, reason in not_run.items():
        parts += ["", terminal.text(f"{kernel}: NOT RUN\n{reason}", style="bold yellow")]
    for name, reason in not_built.items():
        parts += ["", terminal.text(f"{name}: NOT BUILT\n{reason}", style="bold red")]
    return parts


def table(rows: Sequence[Row]) -> terminal.Grid:
    """A line a measurement; those of one variant and datagram together, their baseline first.

    Each figure is a median, with that of its ratio to the baseline and its quartiles.
    """
    figures = [
        each
        for heading in ("packets/s", "trip us", "CPU us")
        for each in (heading, "to plain", "quartiles")
    ]
    grid = terminal.Grid("variant", "datagram", "way", *figures, right=figures)
    before = None
    for row in sorted(rows, key=lambda row: _group(rows, row)):
        what = row.measurement
        group = (what.variant.name, what.datagram.name)
        names = group if group != before else ("", "")
        cells = [cell for name in FIGURES for cell in _figure(row, name)]
        grid.row(*names, what.way.text, *cells)
        before = group
    return grid


def _figure(row: Row, name: str) -> tuple[str, str, str]:
    return f"{row.figures[name].median:,.0f}", *_ratio(row.ratios.get(name))


def _group(rows: Sequence[Row], row: Row) -> tuple[int, int]:
    """Where a row's variant, then its datagram, first come."""
    variants = [each.measurement.variant.name for each in rows]
    datagrams = [each.measurement.datagram.name for each in rows]
    return (
        variants.index(row.measurement.variant.name),
        datagrams.index(row.measurement.datagram.name),
    )


def comparison_table(compared: Sequence[Compared]) -> terminal.Grid:
    """A line a pair: the figures of the one by those of the other."""
    figures = ("packets/s", "quartiles", "target", "trip", "quartiles", "CPU", "quartiles")
    grid = terminal.Grid("compared", "this", "to that", *figures, right=figures)
    before = ""
    for row in compared:
        text = "" if row.text == before else row.text
        rate, trip, cost = (_ratio(row.ratios[name]) for name in FIGURES)
        grid.row(text, row.over.name, row.under.name, *rate, _target(row), *trip, *cost)
        before = row.text
    return grid


def _target(row: Compared) -> terminal.Styled:
    if row.target is None:
        return terminal.text()
    style = "green" if row.met else "bold red"
    return terminal.text(f"{row.target:.2f} {'met' if row.met else 'MISSED'}", style=style)


def _ratio(value: Spread | None) -> tuple[str, str]:
    if value is None:
        return "", ""
    return f"{value.median:.2f}", f"{value.q1:.2f}-{value.q3:.2f}"
