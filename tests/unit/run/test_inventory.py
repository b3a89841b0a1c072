# SPDX-License-Identifier: GPL-2.0-only
"""Which tests there are is data: what has gone is named, and a run that lacks it is no pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from harness.base import paths
from harness.base.errors import TestsFailedError
from harness.matrix import variants
from harness.matrix.variants import Variant
from harness.run import inventory, inventoryfiles, worker
from harness.run.inventoryfiles import Inventory
from harness.run.request import requested
from harness.run.selection import Selection
from harness.run.worker import Test
from tests.unit.support import toysuite

S1, S2 = Test(("S1/opens",)), Test(("S2/plain",))
SMP = Test(("S1/opens",), ("smp", "no checkers"))
TESTS = {
    "a_first/test_a.py::test_one": S1,
    "a_first/test_a.py::test_two[x]": S1,
    "a_first/test_a.py::test_two[y]": S1,
    "a_first/test_b.py::test_three": S2,
    "a_first/test_b.py::test_three_again[1]": SMP,
    "a_first/test_b.py::test_three_again[2]": S1,
}
BASE, STOCK, SMALL = (variants.load()[name] for name in ("base", "stock", "linux-6.1:smp"))


def of(tests: Mapping[str, Test], *chosen: Variant) -> Inventory:
    functions = inventory.count(tests)
    wanted = {each for own in functions.values() for each in own}
    return Inventory(functions, inventory.where(wanted, chosen or variants.load().values()))


STORED = of(TESTS)


def without(*names: str) -> dict[str, Test]:
    return {name: test for name, test in TESTS.items() if name not in names}


@pytest.mark.slow
def test_inventory_is_that_of_the_tests_that_there_are() -> None:
    """See ./inv inventory; if what has come and gone is meant: ./inv inventory --write."""
    stored = inventoryfiles.read(paths.GUEST_TESTS)
    now = inventory.of_suite(paths.GUEST_TESTS)
    differ = inventory.differences(stored, now)
    assert not differ, "\n".join([*differ, "if that is meant: ./inv inventory --write"])
    written = inventoryfiles.texts(now.functions, now.applies)
    files = sorted(paths.GUEST_TESTS.rglob(inventoryfiles.FILE))
    assert {path.relative_to(paths.GUEST_TESTS).as_posix() for path in files} | {
        inventoryfiles.APPLIES
    } == set(written)
    for name, text in written.items():
        assert (paths.GUEST_TESTS / name).read_text() == text


def test_a_line_has_the_needs_and_the_number_of_cases() -> None:
    lines = STORED.functions
    assert lines["a_first/test_a.py::test_one"] == {"divert": "1"}
    assert lines["a_first/test_a.py::test_two"] == {"divert": "2 1ca6473b"}
    assert lines["a_first/test_b.py::test_three"] == {"no divert": "1"}
    again = lines["a_first/test_b.py::test_three_again"]
    assert list(again) == ["divert", "divert, no checkers, smp"]


def test_whatever_is_not_there_is_named() -> None:
    assert inventory.missing(STORED, TESTS, [BASE]) == []
    for names, said in (
        (["a_first/test_a.py::test_one"], "a_first/test_a.py::test_one is not there: 1 (divert)"),
        (["a_first/test_a.py::test_two[x]"], "a_first/test_a.py::test_two has 1 "),
        ([name for name in TESTS if "test_b" in name], "a_first/test_b.py is not there: 2 funct"),
    ):
        (line,) = inventory.missing(STORED, without(*names), [BASE])
        assert line.startswith(said)


@pytest.mark.parametrize(
    "changed",
    [
        {"a_first/test_a.py::test_two[z]": S1},
        {"a_first/test_a.py::test_two[y]": S2},
        {"a_first/test_a.py::test_one": SMP},
    ],
)
def test_a_test_that_is_another_is_named(changed: dict[str, Test]) -> None:
    (line,) = inventory.missing(STORED, TESTS | changed, [BASE])
    assert line.startswith(f"{next(iter(changed)).partition('[')[0]} has ")
    assert " where the inventory has " in line


def test_case_with_another_name_is_another_case() -> None:
    tests = {name.replace("[y]", "[z]"): test for name, test in TESTS.items()}
    assert len(inventory.missing(STORED, tests, [BASE])) == 1


def test_new_test_is_not_missing() -> None:
    assert inventory.missing(STORED, TESTS | {"a_first/test_c.py::test_new": S1}, [BASE]) == []


def test_kernel_that_has_no_longer_what_it_had() -> None:
    lines = inventory.missing(STORED, TESTS, [replace(BASE, fragments=()), STOCK])
    assert lines == ["base: tests that need divert no longer apply"]


def test_variant_of_which_nothing_is_known() -> None:
    new = replace(BASE, name="new")
    assert inventory.missing(STORED, TESTS, [new]) == [
        "new is a variant of which applies.toml says nothing"
    ]


def test_which_tests_are_owed() -> None:
    assert inventory.owed(STORED, TESTS, "stock") == {
        "a_first/test_b.py::test_three": ("no divert",)
    }
    own = inventory.owed(STORED, TESTS, "linux-6.1:smp")
    assert own["a_first/test_b.py::test_three_again[1]"] == ("divert", "no checkers", "smp")
    assert len(own) == 5
    assert inventory.number(STORED, "linux-6.1:smp") == 5
    # Of what was asked for, that alone.
    some = {name: test for name, test in TESTS.items() if "two" in name}
    assert list(inventory.owed(STORED, some, "base")) == list(some)


def test_files_say_what_was_written(tmp_path: Path) -> None:
    (tmp_path / "a_first").mkdir()
    (tmp_path / "b_gone").mkdir()
    (tmp_path / "b_gone" / inventoryfiles.FILE).write_text('["test_x.py"]\nx = { "any" = "1" }\n')
    configuration = replace(BASE, name="configuration-05")
    stored = of(TESTS, *variants.load().values(), configuration)
    inventoryfiles.write(tmp_path, stored)
    assert inventoryfiles.read(tmp_path) == stored
    assert not (tmp_path / "b_gone" / inventoryfiles.FILE).exists()
    text = (tmp_path / inventoryfiles.APPLIES).read_text()
    assert '"configurations" = "05"' in text
    # What is the same on many kernels is said once.
    assert text.count("linux-6.12-kcsan") == 1
    chapter = (tmp_path / "a_first" / inventoryfiles.FILE).read_text()
    assert 'test_one = { "divert" = "1" }' in chapter.splitlines()


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(TestsFailedError, match=r"cannot use .*applies\.toml"):
        inventoryfiles.read(tmp_path)
    inventoryfiles.write(tmp_path, of({}))
    (tmp_path / inventoryfiles.FILE).write_text("<<<<<<< HEAD\n")
    with pytest.raises(TestsFailedError, match=r"inventory\.toml:1: no TOML.*\n.*--write"):
        inventoryfiles.read(tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[kernels]\na = "b"\n', "toml:2: kernels.a: expected a list of kernels"),
        ('[kernels]\n[any]\na = ["b"]\n', "toml:3: any.a: expected the names of variants"),
        ("[kernels]\na = [1]\n", r"toml:2: kernels.a\[1\]: expected string, got integer"),
    ],
)
def test_lists_and_names(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / inventoryfiles.APPLIES).write_text(text)
    with pytest.raises(TestsFailedError, match=says):
        inventoryfiles.read(tmp_path)


def test_what_has_come_and_gone() -> None:
    assert inventory.differences(STORED, STORED) == []
    gone = of(without("a_first/test_a.py::test_one"))
    assert inventory.differences(STORED, gone) == ["gone: a_first/test_a.py::test_one: 1 (divert)"]
    assert inventory.differences(gone, STORED) == ["new: a_first/test_a.py::test_one: 1 (divert)"]
    fewer = replace(STORED, applies={**STORED.applies, "no divert": frozenset({"stock"})})
    (line,) = inventory.differences(STORED, fewer)
    assert line.startswith("what needs no divert no longer runs on ")


@pytest.fixture(name="suite")
def _suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A suite of two tests, one of them not in its inventory."""
    suite = toysuite.make(tmp_path, "@S1\ndef test_one(): pass\n@S1\ndef test_two(): pass\n")
    toysuite.owe(suite, {"test_toy.py::test_one": S1})
    monkeypatch.setattr(paths, "GUEST_TESTS", suite)
    return suite


@pytest.mark.slow
def test_run_of_all_asks_for_all_and_one_of_some_does_not(suite: Path) -> None:
    request = requested([BASE, STOCK])
    assert {name: list(own) for name, own in request.owed.items()} == {
        "base": ["test_toy.py::test_one", "test_toy.py::test_two"],
        "stock": [],
    }
    toysuite.owe(suite, {"test_toy.py::test_one": S1, "test_toy.py::test_gone": S1})
    assert list(requested([BASE], "one").owed["base"]) == ["test_toy.py::test_one"]
    with pytest.raises(TestsFailedError) as caught:
        requested([BASE])
    assert "test_toy.py::test_gone is not there: 1 (divert)" in caught.value.message
    assert "./inv inventory --write" in caught.value.hint


@pytest.mark.slow
def test_the_command(
    suite: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(inventory, "every_variant", lambda: [BASE, STOCK])
    with pytest.raises(TestsFailedError, match="is not that of the tests"):
        inventory.show()
    assert "new: test_toy.py::test_two: 1 (divert)" in capsys.readouterr().out
    inventory.show(write=True)
    inventory.show()
    assert "the inventory is that of the tests" in capsys.readouterr().out
    assert (
        inventory.count(worker.survey(Selection(root=suite)))
        == inventoryfiles.read(suite).functions
    )
