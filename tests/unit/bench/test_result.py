# SPDX-License-Identifier: GPL-2.0-only
"""Medians, spread and ratios of what was measured."""

from __future__ import annotations

import json

import pytest

from harness.base import terminal
from harness.bench import plan, report, result
from harness.bench.measurement import Sample
from harness.bench.plan import Comparison, Measurement
from harness.bench.result import Spread
from harness.matrix import variants

PLAN = plan.load()
BY_NAME = variants.load()
WAYS = {way.name: way for way in PLAN.ways}
SIZES = {datagram.name: datagram for datagram in PLAN.datagrams}


def row(variant: str, way: str, size: str = "1400") -> Measurement:
    return Measurement(BY_NAME[variant], WAYS[way], SIZES[size])


def sample(rate: float, trip: float = 50.0, cost: float = 20.0) -> Sample:
    return Sample(rate, cost, (trip - 1, trip, trip + 1))


SAMPLES = {
    row("base", "plain"): [sample(1000), sample(2000), sample(4000)],
    # In each round half as fast, whatever else the machine did.
    row("base", "divert-input"): [sample(500, 75), sample(1000, 100), sample(2000, 200)],
    row("defrag", "plain"): [sample(800), sample(1600), sample(3600)],
    row("defrag", "plain", "4000"): [sample(100), sample(200), sample(300)],
}


def test_quartiles() -> None:
    assert result.spread([4, 1, 3, 2, 5]) == Spread(2, 3, 4)
    assert result.spread([7]) == Spread(7, 7, 7)


def test_a_ratio_is_of_the_same_round() -> None:
    diverted = result.rows(SAMPLES)[1]
    assert diverted.figures["rate"].median == 1000
    assert diverted.ratios["rate"] == Spread(0.5, 0.5, 0.5)
    assert diverted.ratios["trip"] == Spread(1.75, 2.0, 3.0)
    assert diverted.ratios["cost"] == Spread(1, 1, 1)


def test_the_baseline_is_that_of_variant_and_datagram() -> None:
    assert [each.ratios["rate"].median for each in result.rows(SAMPLES)] == [1, 0.5, 1, 1]


def test_without_a_baseline_there_is_no_ratio() -> None:
    (alone,) = result.rows({row("base", "accept"): [sample(5)]})
    assert alone.figures["rate"].median == 5
    assert alone.ratios == {}


def test_a_comparison_takes_each_way_and_datagram_of_both() -> None:
    found = result.compare(SAMPLES, [Comparison("F7", ("defrag", ""), ("base", ""))])
    assert [(each.over.name, each.under.name) for each in found] == [
        ("defrag/plain/1400", "base/plain/1400")
    ]
    rate = found[0].ratios["rate"]
    assert (rate.q1, rate.median, rate.q3) == pytest.approx((0.8, 0.8, 0.85))
    assert found[0].met is None


@pytest.mark.parametrize(("target", "met"), [(0.4, True), (0.5, True), (0.6, False)])
def test_a_target_is_for_the_median(target: float, met: bool) -> None:
    wanted = Comparison("", ("base", "divert-input"), ("base", "plain"), target)
    (found,) = result.compare(SAMPLES, [wanted])
    assert found.met is met


def test_kernels_are_not_compared_with_each_other() -> None:
    samples = {row("base", "plain"): [sample(1)], row("linux-6.1:stock", "plain"): [sample(1)]}
    wanted = Comparison("", ("base", "plain"), ("stock", "plain"))
    assert result.compare(samples, [wanted]) == []


def test_the_file_has_every_round() -> None:
    wanted = Comparison("F7", ("defrag", ""), ("base", ""))
    data = json.loads(json.dumps(result.as_data(SAMPLES, [wanted])))
    first, second, *_ = data["measurements"]
    assert (first["name"], first["bytes"], first["window"]) == ("base/plain/1400", 1400, 16)
    assert (first["datagram"], first["wires"]) == ("1400", "cards")
    assert [each["rate"] for each in first["rounds"]] == [1000, 2000, 4000]
    assert second["to_plain"]["rate"] == {"q1": 0.5, "median": 0.5, "q3": 0.5}
    assert data["comparisons"][0]["over"] == "defrag/plain/1400"


def test_the_tables_show_a_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    compared = result.compare(
        SAMPLES, [Comparison("slower", ("base", "divert-input"), ("base", "plain"), 0.6)]
    )
    for part in report.render(
        result.rows(SAMPLES), compared, {"linux-9": "no file"}, {"base": "it broke"}
    ):
        terminal.show(part)
    text = capsys.readouterr().out
    line = next(line for line in text.splitlines() if "divert on input" in line)
    figures = "1,000 0.50 0.50-0.50 100 2.00 1.75-3.00 20 1.00 1.00-1.00"
    assert " ".join(line.split()) == f"divert on input {figures}"
    assert "0.60 MISSED" in text
    assert "linux-9: NOT RUN\nno file" in text
    assert "base: NOT BUILT\nit broke" in text


def test_rows_of_a_variant_and_datagram_come_together() -> None:
    rows = result.rows(dict(reversed(SAMPLES.items())))
    assert report.table(rows).columns[0] == ["defrag", "defrag", "base", ""]
