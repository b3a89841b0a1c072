# SPDX-License-Identifier: GPL-2.0-only
"""A test that passes where what it relies on is false is named, unless it is listed."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base import paths
from harness.canaries import canary, world
from harness.canaries.canary import Canary
from harness.canaries.outcome import Outcome
from harness.canaries.stage import Ran
from harness.record.stream import Writer
from tests.guest.support import worlds
from tests.unit.canaries.test_canaries import finished

ROW = Canary("dead", "all wires are", 1, ("base",), verdict="FAIL", needs="base", world="dead")
RAN = Ran("base: 2 failed\nFAIL: 1 passed, 2 failed\n", 1, 1.0)


def outcome(folder: Path, listed: dict[str, str]) -> Outcome:
    """Of a run in which a test passes that relied on it, one that did not, and one fails."""
    run = folder / "runs" / "latest"
    run.mkdir(parents=True)
    writer = Writer(run / "events.jsonl")
    for name, how in (("test_a[x]", "passed"), ("test_b", "passed"), ("test_c", "failed")):
        writer.write(finished(name, how, ""))
    writer.close()
    relied = ("test_a[x]", "test_c")
    lines = [f"tests/guest/test_canary.py::{name}\n" for name in relied]
    (folder / "relied").write_text("".join(lines))
    return world.outcome(ROW, RAN, folder, listed)


def test_who_passes_is_vacuous(tmp_path: Path) -> None:
    differs = outcome(tmp_path, {}).differs
    assert differs == ("test_canary.py::test_a[x] passes, and is not in vacuous.toml",)


@pytest.mark.parametrize(
    "pattern", ["test_canary.py::test_a[x]", "test_canary.py::test_a[?]", "*_a*"]
)
def test_who_is_listed_may_pass(tmp_path: Path, pattern: str) -> None:
    assert outcome(tmp_path, {pattern: "it needs no wire"}).right


def test_who_is_listed_has_to_pass(tmp_path: Path) -> None:
    listed = {"*_a*": "it needs no wire", "*_c": "nor does it"}
    assert outcome(tmp_path, listed).differs == ("*_c of vacuous.toml does not pass any more",)


def test_without_its_events_nothing_is_known(tmp_path: Path) -> None:
    (differs,) = world.outcome(ROW, RAN, tmp_path, {}).differs
    assert differs.startswith("nothing is known of it: cannot read")


def test_each_world_has_a_row_and_a_list_of_tests_that_there_are() -> None:
    rows = {row.name: row for row in canary.load() if row.world}
    listed = world.load()
    assert rows.keys() == listed.keys()
    for row in rows.values():
        assert callable(getattr(worlds, row.world))
    for tests in listed.values():
        for test, reason in tests.items():
            file, _, name = test.partition("::")
            text, function = (paths.GUEST_TESTS / file).read_text(), name.partition("[")[0]
            assert function == "*" or f"def {function}(" in text, test
            assert len(reason) > 20, test
