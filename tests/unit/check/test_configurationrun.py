# SPDX-License-Identifier: GPL-2.0-only
"""The configurations, built one after another by something that stands for the kernel's build."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.base import paths
from harness.base.errors import (
    InfrastructureError,
    MissingSourceError,
    UserError,
)
from harness.check import check, configurationrun, guestruns
from harness.check.steps import Counts, Step, StepResult
from harness.kernel import kernel
from harness.kernel.kernel import Kernel
from harness.kernel.kerneltrees import Trees
from harness.matrix import configurations
from harness.matrix.configurations import PREFIX
from harness.matrix.variants import Variant
from harness.report import verdict
from harness.run import inventory, runner, worker
from harness.run.inventoryfiles import Inventory
from harness.run.request import Request
from harness.run.runner import RunResult
from harness.run.worker import Test


class Toy:
    """Builds but what is in `broken`: configurations, with or without `of stock` behind."""

    def __init__(self, here: Path) -> None:
        self.here = here
        self.broken: dict[str, InfrastructureError] = {}
        self.asked: list[str] = []
        self.before: set[str] = set()
        self.apart = "vmlinux"

    def build(
        self,
        variant: Variant,
        *,
        jobs: int = 0,
        given: Sequence[str] = (),
        trees: Trees | None = None,
    ) -> Kernel:
        assert trees is not None
        self.asked.append(variant.name)
        if variant.name in self.broken:
            raise self.broken[variant.name]
        folder = self.here / variant.name
        folder.mkdir(exist_ok=True)
        (folder / "vmlinux").write_text("vmlinux")
        cached = variant.name in self.before
        seconds = 0.0 if cached else 5.0
        return Kernel(variant, folder, folder, folder, folder, folder, seconds, cached)

    def build_apart(self, variant: Variant, folder: Path, *, given: Sequence[str] = ()) -> Path:
        self.asked.append(f"{variant.name} apart")
        (folder / "vmlinux").write_text(self.apart)
        return folder / "vmlinux"


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    made = Toy(tmp_path)
    monkeypatch.setattr(kernel, "build", made.build)
    monkeypatch.setattr(kernel, "build_apart", made.build_apart)
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    return made


def test_each_named_is_built_and_the_last_from_nothing_too(
    toy: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    toy.before = {f"{PREFIX}03"}
    configurationrun.run(only="03, configuration-05,no-proc")
    *names, last = toy.asked
    assert set(names) == {f"{PREFIX}{name}" for name in ("no-proc", "03", "05")}
    assert last == f"{[name for name in names if name != f'{PREFIX}03'][-1]} apart"
    out = capsys.readouterr().out
    assert "3 of 3 configurations compile and link" in out
    assert "(before)" in out
    assert list((toy.here / "build").iterdir()) == []


def test_one_that_fails_stops_no_other_and_is_tried_without_the_series(
    toy: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    toy.broken[f"{PREFIX}03"] = InfrastructureError("undefined reference to `x'")
    toy.broken[f"{PREFIX}04"] = InfrastructureError("undefined reference to `y'")
    toy.broken[f"{PREFIX}04 of stock"] = InfrastructureError("undefined reference to `z'")
    with pytest.raises(InfrastructureError) as caught:
        configurationrun.run(only="03,04,05")
    assert "undefined reference to `x'\nwithout the divert series it builds" in str(caught.value)
    assert "without the divert series:\nundefined reference to `z'" in str(caught.value)
    assert f"{PREFIX}05" in toy.asked
    assert "1 of 3 configurations compile and link" in capsys.readouterr().out


def test_without_the_series_it_has_the_same_options_but_ours() -> None:
    row = configurations.rows()[f"{PREFIX}01"]
    plain = configurationrun.stock(row)
    assert plain.series == ("toolchain",)
    symbols = {option.symbol for option in plain.changes}
    assert {option.symbol for option in row.options} - symbols == {
        "CONFIG_IP_DIVERT",
        "CONFIG_IP_DIVERT_PASSTHROUGH",
    }
    assert "divert" not in plain.fragments


def test_another_kernel_from_nothing_is_an_error_and_leaves_the_cache(toy: Toy) -> None:
    toy.apart = "another"
    with pytest.raises(InfrastructureError, match="the kernel from nothing is another") as caught:
        configurationrun.run(only="03,05")
    first, last, _ = toy.asked
    assert str(caught.value).startswith(f"{last}: ")
    assert not (toy.here / last).exists()
    assert (toy.here / first).exists()


def test_without_the_source_nothing_is_tried_twice(
    toy: Toy,
) -> None:
    toy.broken = {f"{PREFIX}{name}": MissingSourceError("no archive") for name in ("03", "05")}
    with pytest.raises(MissingSourceError):
        configurationrun.run(only="03,05")
    assert len(toy.asked) == 1


def test_what_most_of_the_kernel_depends_on_changes_least(toy: Toy) -> None:
    rows = configurations.rows()
    wide = configurations.load().wide
    for _ in configurationrun.build(rows.values()):
        pass
    assert set(toy.asked) == set(rows)
    values = [[rows[name].values[each] for each in wide] for name in toy.asked]
    assert values == sorted(values)


@pytest.mark.parametrize(
    ("only", "boot", "message"),
    [
        ("no-prox", 0, "there is no configuration no-prox\ndid you mean configuration-no-proc"),
        (" ,", 0, "names no configuration"),
        ("no-proc", 1, "0 can be booted"),
        (None, -1, "--boot -1"),
    ],
)
def test_mistakes_are_told(toy: Toy, only: str | None, boot: int, message: str) -> None:
    with pytest.raises(UserError) as caught:
        configurationrun.run(only=only, boot=boot)
    assert message in str(caught.value)
    assert toy.asked == []


def test_those_that_boot_are_tested(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def run(request: Request) -> RunResult:
        seen.extend(row.name for row in request.variants)
        return RunResult(toy.here, (), verdict.judge([]))

    monkeypatch.setattr(runner, "run", run)
    monkeypatch.setattr(worker, "survey", lambda *_: {"test": Test(("S1/opens",))})
    monkeypatch.setattr(inventory, "require", lambda *_, **__: Inventory({}, {}))
    # No events: the run did not come to its end.
    with pytest.raises(InfrastructureError):
        configurationrun.run(only="no-proc,02,03,05", boot=2)
    assert seen == [f"{PREFIX}02", f"{PREFIX}03"]


def test_drawn_by_the_seed_alone_and_the_first_boots() -> None:
    every = [tuple(row.name for row in configurationrun.draw(seed)) for seed in range(30)]
    assert every == [tuple(row.name for row in configurationrun.draw(seed)) for seed in range(30)]
    assert len(set(every)) > 20
    for names in every:
        assert len(set(names)) == len(names) == configurations.load().check_builds
        assert configurations.rows()[names[0]].boots


def test_check_builds_some_and_tests_one(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    tested: list[str] = []

    def guests(_name: str, chosen: Sequence[Variant], expression: str, *_: object) -> object:
        tested.extend(row.name for row in chosen)
        assert expression == configurations.load().check_sample
        return StepResult(Step("", ()), Counts(passed=7), 1.0, "")

    monkeypatch.setattr(guestruns, "run", guests)
    result = check.other_configurations((), ())
    assert result.counts == Counts(passed=10)
    assert len(tested) == 1
    assert tested[0] in toy.asked
    assert configurations.rows()[tested[0]].boots
    toy.broken = {name: InfrastructureError("broken") for name in configurations.rows()}
    failed = check.other_configurations((), ())
    assert failed.counts == Counts(unbuilt=3)
    assert failed.output.count("broken\nwithout the divert series it builds") == 3
    toy.broken = {name: MissingSourceError("no archive") for name in configurations.rows()}
    assert check.other_configurations((), ()).counts == Counts(skipped=3)
