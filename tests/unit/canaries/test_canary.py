# SPDX-License-Identifier: GPL-2.0-only
"""The table of canaries: what a row can be, and that each row of ours can be run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.base import paths
from harness.base.errors import UserError
from harness.canaries import canary, crowd, faults
from harness.canaries.canary import Canary

ROWS = canary.load()


def one(folder: Path, text: str) -> Canary:
    file = folder / "canaries.toml"
    file.write_text(f'[name]\nwhat = "it is so"\nstatus = 1\ncause = ["words"]\n{text}')
    (row,) = canary.load(file)
    return row


def test_a_row_with_a_guest_runs_its_tests_there(tmp_path: Path) -> None:
    row = one(tmp_path, 'needs = "linux-6.1:base"')
    assert row.run == ("test", "--variant", "linux-6.1:base", "-k", "test_canary", "--jobs", "1")
    assert row.guest


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", ":1: name: needs no guest, so it has to say what to run"),
        ('needs = "nonsense"', ":5: name.needs: there is no variant nonsense; "),
        ('colour = "yellow"', ":5: name.colour: no such key; known: what"),
        ('quick = "yes"', ":5: name.quick: expected boolean, got string"),
    ],
)
def test_a_row_that_cannot_be(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        one(tmp_path, text)


def test_each_row_can_be_run() -> None:
    for row in ROWS:
        if row.fault:
            faults.named(row.fault)
        if row.shared:
            crowd.check(row)
        if row.test:
            compile(row.test, row.name, "exec")
        for name, text in row.append.items():
            assert (paths.ROOT / name).is_file()
            compile(text, row.name, "exec")


def test_a_fault_that_no_row_makes_is_none() -> None:
    text = (paths.HARNESS / "canaries" / "faults.py").read_text()
    made = set(re.findall(r"^def ([a-z]\w+)\(stage: Stage\) -> None", text, re.MULTILINE))
    assert made == {row.fault for row in ROWS if row.fault}
    with pytest.raises(UserError, match="there is no fault Path"):
        faults.named("Path")


def test_select() -> None:
    names = {"panic": True, "panic-today": False, "halt": True}
    rows = [Canary(name, "", 1, (), quick=quick) for name, quick in names.items()]
    assert [row.name for row in canary.select(rows, "h*, today")] == ["panic-today", "halt"]
    assert [row.name for row in canary.select(rows, "pan")] == ["panic", "panic-today"]
    assert [row.name for row in canary.select(rows, None, quick=True)] == ["panic", "halt"]
    with pytest.raises(UserError, match="no canary matches oops"):
        canary.select(rows, "panic,oops")
