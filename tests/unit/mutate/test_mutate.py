# SPDX-License-Identifier: GPL-2.0-only
"""The command: two runs in one checkout, what is drawn, and what check draws of."""

from __future__ import annotations

import json
import signal
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness.base import occupancy, paths
from harness.base.errors import UserError
from harness.mutate import mutants as mutate_list
from harness.mutate import mutate, programs, record, subset
from harness.mutate.mutants import Mutant
from harness.mutate.mutate import Choice
from harness.mutate.result import Result, Verdict


class NoRun:
    """A run that finds nothing out, and says what it was to do."""

    asked: tuple[Mutant, ...] = ()
    variants: Collection[str] = ()
    verdict = Verdict.KILLED

    def __init__(self, *_: object, **__: object) -> None:
        self.results: dict[str, Result] = {}
        self.not_run: dict[str, str] = {}

    def all(self, mutants: Sequence[Mutant], chosen: Collection[str]) -> None:
        NoRun.asked, NoRun.variants = tuple(mutants), chosen
        self.results = {each.name: Result(each.name, self.verdict, 1.0, "") for each in mutants}


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    monkeypatch.setattr(subset, "load", lambda _: subset.NOTHING)
    monkeypatch.setattr(mutate, "Run", NoRun)
    monkeypatch.setattr(NoRun, "verdict", Verdict.KILLED)


@pytest.mark.slow
def test_the_second_run_of_a_checkout_is_refused() -> None:
    lock = paths.BUILD / programs.FOLDER / mutate.LOCK
    with (
        occupancy.once(lock, "./inv mutate"),
        pytest.raises(UserError, match="runs in this checkout already: process ") as caught,
    ):
        mutate.mutate(Choice(), quick=True)
    assert "use another checkout" in caught.value.hint
    mutate.mutate(Choice(), quick=True)


@pytest.mark.slow
def test_a_seed_draws_the_same_again() -> None:
    drawn = []
    for _ in range(2):
        mutate.mutate(Choice("module/*", sample=5, seed="7"))
        drawn.append([each.name for each in NoRun.asked])
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 5
    mutate.mutate(Choice("module/*", sample=5, seed="8"))
    assert [each.name for each in NoRun.asked] != drawn[0]
    with pytest.raises(UserError, match="--seed x: a seed is 0 to 999999"):
        mutate.mutate(Choice("module/*", sample=5, seed="x"))


@pytest.mark.slow
def test_the_module_is_tried_on_the_kernels_named() -> None:
    mutate.mutate(Choice("module/socket/gso.c", kernel="linux-6.12"))
    assert NoRun.asked
    for each in NoRun.asked:
        assert "linux-6.12:base" in each.variants
        assert "linux-6.12:stock" not in each.variants
    mutate.mutate(Choice(listed=True))
    assert all(each.fault is None for each in NoRun.asked)
    with pytest.raises(UserError, match="no mutant is tried on base"):
        mutate.mutate(Choice("module/socket/gso.c", variant="base"))


def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A record of three mutants that are there, and of one that is not."""
    there = [each.name for each in mutate_list.load()[0] if each.source == mutate_list.MODULE][:3]
    file = tmp_path / "killed.toml"
    names = [*there, "module/gone.c:f:call:g()"]
    file.write_text("".join(f'{json.dumps(name)} = "a::test_b"\n' for name in names))
    monkeypatch.setattr(record.DATA, "where", str(file))
    return there


@pytest.mark.slow
def test_check_draws_of_what_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = recorded(tmp_path, monkeypatch)
    found = mutate.sample(9, 1, "linux-6.12")
    assert sorted(each.name for each in found.drawn) == sorted(there)
    assert {each.tests for each in NoRun.asked} == {("a::test_b",)}
    assert NoRun.variants == {"linux-6.12:base"}
    assert not found.faults
    monkeypatch.setattr(NoRun, "verdict", Verdict.UNSEEN)
    (fault,) = mutate.sample(1, 1, "linux-6.12").faults
    assert "not seen; a::test_b killed it once" in fault


def test_record_has_what_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, three = recorded(tmp_path, monkeypatch)
    killed = Result(two, Verdict.KILLED, 1.0, "", test="c::test_d", confirmed=True)
    survived = replace(killed, name=one, verdict=Verdict.SURVIVED, test="")
    of_series = replace(killed, name="bind-twice")
    unsure = replace(killed, name=three, test="e::test_f", confirmed=False)
    record.write([killed, survived, of_series], [one, two, three])
    assert record.read() == {two: "c::test_d", three: "a::test_b"}
    # A run that was broken off has not seen yet that its tests pass without the mutants.
    record.write([unsure], [two, three])
    assert record.read() == {two: "c::test_d", three: "a::test_b"}
    record.DATA.path.write_text("a = 1\n")
    with pytest.raises(UserError, match=r"killed\.toml:1: a: expected string, got integer"):
        record.read()
