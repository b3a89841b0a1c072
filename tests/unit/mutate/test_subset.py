# SPDX-License-Identifier: GPL-2.0-only
"""Which tests a mutant is shown, and in which order; the file that tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base import paths
from harness.base.errors import UserError
from harness.mutate import subset, syntax
from harness.mutate.edit import Edit
from harness.mutate.mutants import MODULE, Mutant
from harness.mutate.subset import Coverage
from harness.record import linecoverage
from harness.record.linecoverage import BOOT, LineCoverage, Source, Test

C = b"#define N 5\nint f(int x)\n{\n\tif (x)\n\t\tg();\n\treturn 1;\n}\n"
FILE = "module/x.c"
BASE = "linux-6.1:base"


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    (tmp_path / "module").mkdir()
    (tmp_path / FILE).write_bytes(C)


def mutant(text: str) -> Mutant:
    fault = next(row for row in syntax.faults(FILE, C) if row.text == text)
    return Mutant(fault.name, MODULE, Edit(MODULE, FILE, 1, ("a",), ("b",)), fault=fault)


def told(
    tests: dict[str, tuple[float, list[int]]], code: set[int], variant: str = BASE
) -> Coverage:
    """Tests by name, with their seconds and the lines that they ran."""
    ran: dict[int, tuple[int, ...]] = {}
    for number, (_, lines) in enumerate(tests.values()):
        for line in lines:
            ran[line] = (*ran.get(line, ()), number)
    rows = tuple(Test(variant, name, seconds) for name, (seconds, _) in tests.items())
    source = Source(linecoverage.digest(C), frozenset(code), ran)
    return Coverage((LineCoverage(rows, {"linux-6.1": {FILE: source}}),))


def test_a_case_of_each_function_first_the_quickest_first() -> None:
    tests = {"m::a[1]": (3.0, [4]), "m::a[2]": (1.0, [4]), "m::b": (2.0, [4]), "m::c": (0.1, [6])}
    found = told(tests, {4, 5, 6}).of(mutant("x"), BASE, tests)
    assert found == ("m::a[2]", "m::b", "m::a[1]")


def test_what_is_not_known_is_asked_last_and_what_is_gone_not_at_all() -> None:
    tests = {"m::a": (1.0, [4]), "m::b": (1.0, []), "m::gone": (1.0, [4])}
    found = told(tests, {4}).of(mutant("x"), BASE, ["m::new", "m::b", "m::a"])
    assert found == ("m::a", "m::new")


def test_line_that_only_the_boot_runs_may_be_seen_by_any_test() -> None:
    tests = {BOOT: (0.0, [4]), "m::a": (1.0, []), "m::b": (1.0, [6])}
    assert told(tests, {4, 6}).of(mutant("x"), BASE, ["m::a", "m::b"]) == ("m::a", "m::b")


def test_line_without_code_is_asked_for_by_its_function_and_a_table_not_at_all() -> None:
    tests = {"m::a": (1.0, [6]), "m::b": (1.0, [4, 6])}
    assert told(tests, {4, 6}).of(mutant("g()"), BASE, tests) == ("m::a", "m::b")
    assert told(tests, {4, 5, 6}).of(mutant("g()"), BASE, tests) == ()
    assert told(tests, {4, 5, 6}).of(mutant("5"), BASE, tests) is None


def test_of_another_variant_where_nothing_is_known_of_this_one() -> None:
    tests = {"m::a": (1.0, [4])}
    there = told(tests, {4}, "linux-6.1:defrag")
    assert there.of(mutant("x"), BASE, tests) == ("m::a",)
    assert there.of(mutant("x"), "linux-6.12:base", tests) is None


def test_every_second_is_of_a_statement_that_the_function_serves() -> None:
    covering = ["m::a", "m::b", "m::c[1]", "m::c[2]", "m::d"]
    named = ["m::elsewhere", "m::c[1]", "m::c[2]", "m::d"]
    assert subset.mixed(covering, named) == ("m::a", "m::c[1]", "m::b", "m::d", "m::c[2]")


def test_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    (run,) = told({"m::a": (1.5, [4])}, {4, 6}).runs
    run.write(tmp_path / "coverage.json")
    assert linecoverage.read(tmp_path / "coverage.json") == run
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(UserError, match="cannot use "):
        linecoverage.read(tmp_path / "other.json")


def test_newest_of_all_tests_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    (run,) = told({"m::a": (1.5, [4])}, {4, 6}).runs
    for name, whole in (("1", True), ("2", False), ("3", True)):
        folder = tmp_path / name / linecoverage.FOLDER
        folder.mkdir(parents=True)
        LineCoverage(run.tests, run.sources, whole).write(folder / linecoverage.FILE)
    (tmp_path / "4" / linecoverage.FOLDER).mkdir(parents=True)
    (tmp_path / "4" / linecoverage.FOLDER / linecoverage.FILE).write_text("{}")
    assert [each.path.parts[-3] for each in subset.load(None).runs] == ["3", "1"]
    assert len(subset.load(str(tmp_path / "2/coverage/coverage.json")).runs) == 1
