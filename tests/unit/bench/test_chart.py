# SPDX-License-Identifier: GPL-2.0-only
"""The chart shows what bench.json has, in proportion."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from harness.bench import chart

SVG = "{http://www.w3.org/2000/svg}"


def row(
    variant: str, way: str, size: int, rate: float, wires: str = "cards", **others: Any
) -> dict[str, Any]:
    spread = {"q1": rate * 0.9, "median": rate, "q3": rate * 1.2}
    flat = {"q1": 50.0, "median": 50.0, "q3": 50.0}
    kernel = variant.partition(":")[0] if ":" in variant else "linux-2.2.12"
    return {
        "kernel": kernel,
        "variant": variant,
        "way": way,
        "text": f"{way} <&>",
        "datagram": f"{wires}-{size}",
        "wires": wires,
        "bytes": size,
        "rate": spread,
        "trip": flat,
        "cost": flat,
        **others,
    }


ROWS = [
    row("base", "plain", 1400, 1000),
    row("linux-6.1:base", "plain", 1400, 4000),
    row("base", "divert-input", 1400, 250),
    row("defrag", "plain", 1400, 500),
    row("linux-6.1:base", "divert-input-batch", 1400, 2000),
    row("base", "plain", 4000, 90),
    row("linux-6.1:base", "plain", 1400, 90000, "memory"),
]

DATA: dict[str, Any] = {
    "rounds": 5,
    "seconds": 0.5,
    "accelerator": {"base": "tcg", "linux-6.1:base": "kvm"},
    "measurements": ROWS,
}


def test_a_panel_for_each_variant_and_datagram_of_a_kernel() -> None:
    panels = chart.panels(ROWS)
    assert [(panel.title, len(panel.lines)) for panel in panels] == [
        ("linux-2.2.12:base, 1,400 bytes through the guest's cards", 2),
        ("linux-2.2.12:defrag, 1,400 bytes through the guest's cards", 1),
        ("linux-2.2.12:base, 4,000 bytes through the guest's cards", 1),
        ("linux-6.1:base, 1,400 bytes through the guest's cards", 2),
        ("linux-6.1:base, 1,400 bytes in the guest's memory", 1),
    ]
    assert [panel.y for panel in panels] == sorted({panel.y for panel in panels})


def test_bars_of_a_kernel_and_datagram_have_one_scale() -> None:
    base, defrag, *_ = chart.panels(ROWS)
    plain, divert = (line.bars[0] for line in base.lines)
    (other,) = (line.bars[0] for line in defrag.lines)
    assert divert.length == pytest.approx(plain.length / 4)
    assert other.length == pytest.approx(plain.length / 2)
    assert (plain.low, plain.high) == pytest.approx((plain.length * 0.9, plain.length * 1.2))
    assert plain.text == "1,000"
    assert [tick.text for tick in base.axes[0]] == [
        *("0", "200", "400", "600", "800", "1,000", "1,200"),
    ]
    assert plain.length == pytest.approx(base.axes[0][5].at)


@pytest.mark.parametrize("rate", [1, 7.3, 99, 1000, 123456])
def test_no_bar_is_longer_than_its_axis(rate: float) -> None:
    (panel,) = chart.panels([row("base", "plain", 64, rate)])
    (line,) = panel.lines
    longest = panel.axes[0][-1].at
    assert longest / 2 < line.bars[0].high <= longest + 1e-6
    assert 3 < len(panel.axes[0]) <= 7


def test_ways_that_take_many_a_call_are_told_apart() -> None:
    lines = [line for panel in chart.panels(ROWS) for line in panel.lines]
    assert {line.family for line in lines} == {"plain", "divert", "divert-many"}


def test_the_file_is_svg_with_title_units_and_a_bar_for_each_figure(tmp_path: Path) -> None:
    path = chart.write(tmp_path, DATA)
    assert path.name == "bench.svg"
    root = ET.fromstring(path.read_text(encoding="utf-8"))
    texts = [text.text or "" for text in root.iter(f"{SVG}text")]
    assert texts[0].startswith("Packets through the guest")
    assert "Median of 5 rounds of 0.5 s" in texts[1]
    assert "kvm, tcg" in texts[1]
    for unit in ("packets/s, more is better", "CPU µs for each packet, less is better"):
        assert texts.count(unit) == 5
    assert texts.count("divert-input <&>") == 1
    bars = [each for each in root.iter(f"{SVG}rect") if each.get("class") != "paper"]
    assert len(bars) == 3 * len(ROWS)
    assert float(root.get("height", 0)) > max(panel.y for panel in chart.panels(ROWS))


def _lines(svg: str) -> list[ET.Element]:
    return [each for each in ET.fromstring(svg).iter(f"{SVG}line") if each.get("class") == "spread"]


def test_it_is_a_picture_with_a_name_in_light_and_dark() -> None:
    svg = chart.render(DATA)
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    named = (root.get("aria-labelledby") or "").split()
    texts = {
        each.get("id"): each.text for each in root if each.tag in (f"{SVG}title", f"{SVG}desc")
    }
    assert root[0].tag == f"{SVG}title"
    assert [bool(texts[name]) for name in named] == [True, True]
    assert "@media (prefers-color-scheme: dark)" in svg
    # No colour but those of classes, which both schemes have.
    assert not [each for each in root.iter() if each.get("fill") or each.get("stroke")]


def test_one_round_has_no_quartiles() -> None:
    assert len(_lines(chart.render(DATA))) == 3 * len(ROWS)
    svg = chart.render({**DATA, "rounds": 1})
    assert not _lines(svg)
    assert "quartile" not in svg
    assert "One round of 0.5 s." in svg


def test_nothing_measured_is_an_empty_chart() -> None:
    root = ET.fromstring(chart.render({**DATA, "measurements": []}))
    assert not [each for each in root.iter(f"{SVG}rect") if each.get("class") != "paper"]
