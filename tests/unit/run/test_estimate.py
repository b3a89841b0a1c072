# SPDX-License-Identifier: GPL-2.0-only
"""How long a run takes is told from earlier ones, or from what is recorded; never precisely."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.matrix import variants
from harness.record.events import (
    Event,
    ImageBuilt,
    KernelBuilt,
    Outcome,
    SessionFinished,
    TestFinished,
    VariantSelected,
)
from harness.run import estimate

BASE = variants.named("base")
MODERN = variants.named("linux-6.1:base")


def finished(variant: str, count: int, outcome: Outcome = "passed") -> list[Event]:
    return [
        TestFinished(variant=variant, test=f"t{n}", outcome=outcome, statements=(), seconds=1.0)
        for n in range(count)
    ]


def ended(variant: str, seconds: float, *, at: float = 1000.0, status: int = 0) -> SessionFinished:
    return SessionFinished(variant=variant, status=status, seconds=seconds, at=at)


def test_every_variant_has_recorded_figures(tmp_path: Path) -> None:
    rows = variants.load().values()
    known = estimate.figures(rows, tmp_path)
    assert known.tests.keys() == {row.name for row in rows}
    assert known.builds.keys() >= {row.name for row in rows}
    assert known.where.startswith("by what it took elsewhere: ")


def test_recorded_figures_are_of_so_many_processors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "processors", lambda: 2)
    two = estimate.figures([BASE], tmp_path)
    monkeypatch.setattr(estimate, "processors", lambda: 8)
    eight = estimate.figures([BASE], tmp_path)
    assert eight.builds["base"] == pytest.approx(two.builds["base"] / 4)
    counts = dict.fromkeys(("base",), 1000)
    # One session keeps no more than one processor busy.
    assert estimate.sessions(two, counts, 4) == estimate.sessions(eight, counts, 16)


def test_sessions_share_the_processors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "processors", lambda: 2)
    known = estimate.figures([BASE, MODERN], tmp_path)
    known = estimate.Figures(2, 10, {"base": 0.1, "linux-6.1:base": 0.4}, known.builds, {})
    counts = {"base": 1000, "linux-6.1:base": 1000}
    alone = 10 + 0.4 * 1000 * 1.4
    assert estimate.sessions(known, counts, 2)["linux-6.1:base"] == pytest.approx(alone)
    assert estimate.whole(known, counts, [], 2) == pytest.approx(alone)
    assert estimate.whole(known, counts, [], 1) == pytest.approx(alone + 10 + 0.1 * 1000 * 1.4)
    building = estimate.whole(known, counts, ["base", estimate.IMAGE], 2) - alone
    assert building == pytest.approx(known.builds["base"] + known.builds["image"])


def test_what_a_run_teaches() -> None:
    events = [
        *finished("base", 200),
        *finished("base", 300, "skipped"),
        *finished("linux-6.1:base", 200),
        *finished("few", 5),
        *finished("broken", 500),
        # Four at once on two processors, all the time.
        *(ended(name, 100.0) for name in ("base", "linux-6.1:base", "few")),
        ended("broken", 100.0, status=1),
        KernelBuilt(variant="base", seconds=20.0, cached=False),
        KernelBuilt(variant="defrag", seconds=0.0, cached=True),
        ImageBuilt(seconds=0.5, cached=False),
    ]
    assert estimate.learned(events, 2, {"base": 14, "image": 60}) == {
        "tests": {"base": 0.25, "linux-6.1:base": 0.25},
        "builds": {"base": 20.0},
    }


def test_next_run_goes_by_it(tmp_path: Path) -> None:
    selected = VariantSelected(variant="base", kernel="linux-2.2.12", has=())
    built = KernelBuilt(variant="base", seconds=99.0, cached=False)
    estimate.remember([selected, *finished("base", 200), ended("base", 140.0), built], tmp_path)
    known = estimate.figures([BASE], tmp_path)
    assert known.tests["base"] == pytest.approx(0.5)
    assert known.builds["base"] == 99.0
    assert known.where == "as before here"
    # What is new is added.
    other = VariantSelected(variant="defrag", kernel="linux-2.2.12", has=())
    estimate.remember([other, *finished("defrag", 200), ended("defrag", 280.0)], tmp_path)
    assert estimate.figures([BASE], tmp_path).tests["base"] == pytest.approx(0.5)
    assert [path.name for path in tmp_path.iterdir()] == [estimate.REMEMBERED]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "\x00\x01",
        '{"tests": {"base": 9.0}}',
        '{"processors": 2, "tests": {"base": 1e999}}',
        '{"processors": 2, "tests": {"base": "9"}, "builds": 7}',
        '{"processors": 2, "tests": {"base": -1}, "builds": {"image": null}}',
        '{"processors": 3, "tests": {"base": 9.0}}',
    ],
)
def test_damaged_file_is_as_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(estimate, "processors", lambda: 2)
    none = estimate.figures([BASE], tmp_path)
    (tmp_path / estimate.REMEMBERED).write_text(text)
    assert estimate.figures([BASE], tmp_path) == none
    selected = VariantSelected(variant="base", kernel="linux-2.2.12", has=())
    estimate.remember([selected, *finished("base", 200), ended("base", 140.0)], tmp_path)
    assert json.loads((tmp_path / estimate.REMEMBERED).read_text())["tests"] == {"base": 0.5}


def test_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    estimate.remember([*finished("base", 200), ended("base", 140.0)], tmp_path / "file")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (3, "less than a minute"),
        (50, "about a minute"),
        (100, "about 2 minutes"),
        (700, "about 12 minutes"),
        (1700, "about 30 minutes"),
        (3500, "about 1 h"),
        (5000, "about 1 h 20 min"),
    ],
)
def test_time_as_one_says_it(seconds: float, said: str) -> None:
    assert estimate.about(seconds) == said
