# SPDX-License-Identifier: GPL-2.0-only
"""What a benchmark found: medians, spread, and ratios of what was measured in the same round."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.bench.measurement import Sample
from harness.bench.plan import Comparison, Measurement

# What a sample has: packets a second; microseconds of a lone packet's round trip, and of the
# emulator's processors for each packet.
FIGURES: dict[str, Callable[[Sample], float]] = {
    "rate": lambda sample: sample.rate,
    "trip": lambda sample: sample.trip[1],
    "cost": lambda sample: sample.cost,
}

# The samples of each row, one a round.
Samples = Mapping[Measurement, Sequence[Sample]]


@dataclass(frozen=True)
class Spread:
    """A median between its quartiles."""

    q1: float
    median: float
    q3: float


@dataclass(frozen=True)
class Row:
    """A row's figures, and each by that of its baseline, where that was measured.

    The baseline is the plain way with the same datagram on the same variant.
    """

    measurement: Measurement
    figures: Mapping[str, Spread]
    ratios: Mapping[str, Spread]


@dataclass(frozen=True)
class Compared:
    """A comparison of two rows: the ratio of each figure, and the least that `rate` may have."""

    text: str
    over: Measurement
    under: Measurement
    ratios: Mapping[str, Spread]
    target: float | None

    @property
    def met(self) -> bool | None:
        """Whether the median reaches the target; None without one."""
        return None if self.target is None else self.ratios["rate"].median >= self.target


def spread(values: Sequence[float]) -> Spread:
    """The quartiles of at least one value."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    q1, median, q3 = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(q1, median, q3)


def ratios(over: Sequence[Sample], under: Sequence[Sample]) -> dict[str, Spread]:
    """For each figure the quartiles of the ratios of what was measured in the same round."""
    return {
        name: spread([figure(a) / figure(b) for a, b in zip(over, under, strict=True)])
        for name, figure in FIGURES.items()
    }


def rows(samples: Samples) -> list[Row]:
    """A row for each measurement, in order."""
    baselines = {
        (each.variant.name, each.datagram.name): values
        for each, values in samples.items()
        if each.way.baseline
    }
    found = []
    for each, values in samples.items():
        figures = {name: spread(list(map(figure, values))) for name, figure in FIGURES.items()}
        against = baselines.get((each.variant.name, each.datagram.name))
        found.append(Row(each, figures, ratios(values, against) if against else {}))
    return found


def compare(samples: Samples, comparisons: Sequence[Comparison]) -> list[Compared]:
    """Each comparison, for all pairs of rows that were measured."""
    return [
        Compared(each.text, over, under, ratios(samples[over], samples[under]), each.target)
        for each in comparisons
        for over in samples
        for under in samples
        if _is_pair(each, over, under)
    ]


def _is_pair(comparison: Comparison, over: Measurement, under: Measurement) -> bool:
    same = (over.variant.kernel, over.datagram) == (under.variant.kernel, under.datagram)
    if not same or over.variant.short != comparison.over[0]:
        return False
    if under.variant.short != comparison.under[0]:
        return False
    if not comparison.over[1]:
        return over.way == under.way
    return (over.way.name, under.way.name) == (comparison.over[1], comparison.under[1])


def as_data(samples: Samples, comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """All of it for a JSON file: each round's values too."""
    return {
        "measurements": [
            {
                **_named(row.measurement),
                **{name: asdict(value) for name, value in row.figures.items()},
                "to_plain": {name: asdict(value) for name, value in row.ratios.items()},
                "rounds": [asdict(sample) for sample in samples[row.measurement]],
            }
            for row in rows(samples)
        ],
        "comparisons": [
            {
                "text": each.text,
                "over": each.over.name,
                "under": each.under.name,
                "ratios": {name: asdict(value) for name, value in each.ratios.items()},
                "target": each.target,
                "met": each.met,
            }
            for each in compare(samples, comparisons)
        ],
    }


def _named(row: Measurement) -> dict[str, str | int]:
    return {
        "name": row.name,
        "kernel": row.variant.kernel,
        "variant": row.variant.name,
        "way": row.way.name,
        "text": row.way.text,
        "datagram": row.datagram.name,
        "wires": row.datagram.wires,
        "bytes": row.datagram.bytes,
        "window": row.datagram.window,
    }
