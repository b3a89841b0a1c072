# SPDX-License-Identifier: GPL-2.0-only
"""README's table of exit statuses, row by row: each by processes of ./inv that end so."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from harness.base import paths
from harness.run.worker import Test
from tests.unit.support import toyinv, toysuite

pytestmark = pytest.mark.slow

# The environment's name for a pipe.
BEGUN = "TOY_BEGUN"

PASSES = "@S1\ndef test_passes(guest): pass\n"
FAILS = "@S1\ndef test_fails(guest):\n    assert 1 == 2\n"
ON_THE_HOST = "@S1\ndef test_on_the_host():\n    assert 1 == 2\n"
SKIPS = f"pytest.skip('not today', allow_module_level=True)\n{PASSES}"
WANTS = f"pytest.importorskip('no_such_module')\n{PASSES}"
# It passes, and is skipped where there are divert sockets.
ELSEWHERE = "@pytest.mark.statement('S2/plain')\ndef test_elsewhere(guest): pass\n"
CRASHES = "@S1\ndef test_crashes(guest):\n    guest.crashed = True\n"
# Says that it has begun, and then nothing.
WAITS = f"""
@S1
def test_waits(guest):
    open(os.environ["{BEGUN}"], "w").write("x")
    time.sleep(100)
"""
KILLED = "@S1\ndef test_killed(guest):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
TWO = "@S1\ndef test_two(guest): pass\n"
# Where it is to run, a test is not there.
VANISHES = """
def pytest_collection_modifyitems(config, items):
    if config.getoption("--divert-worker"):
        items[:] = [item for item in items if item.name != "test_two"]
"""
NO_BOOT = toysuite.CONFTEST.replace("BROKEN = False", "BROKEN = True")
TEST = ("test", "--variant", "base", "--jobs", "1")


@dataclass(frozen=True)
class Row:
    """A command line on a toy suite, what it must end with, and words that it has to say."""

    status: int
    said: str
    words: tuple[str, ...] = TEST
    suite: str = PASSES
    # A second module of it.
    other: str = ""
    faults: tuple[str, ...] = ()
    conftest: str = toysuite.CONFTEST
    # What the suite's inventory has.
    owed: tuple[str, ...] = ()
    # A signal that the process gets when a test has begun.
    number: int = 0
    # Whether `report` is to end with the same.
    shown_again: bool = False


ROWS = {
    "passes": Row(0, "PASS: 1 passed, 0 failed, 0 skipped"),
    "fails": Row(1, "FAIL: 1 passed, 1 failed", suite=PASSES + FAILS, shown_again=True),
    "only tests of the host fail": Row(1, "FAIL: 0 passed, 1 failed", suite=ON_THE_HOST),
    "nothing applies": Row(
        2,
        "(1) applies to base: they need no divert",
        (*TEST, "-k", "elsewhere"),
        PASSES + ELSEWHERE,
    ),
    "no Python": Row(1, "cannot be collected", suite="this is no Python\n"),
    "no Python, and an expression": Row(
        1, "cannot be collected", (*TEST, "-k", "passes"), "this is no Python\n"
    ),
    "a module skips itself": Row(
        1, "test_toy.py skips itself when it is collected: Skipped: not today", suite=SKIPS
    ),
    "a module skips itself beside another": Row(
        1, "test_other.py skips itself when it is collected: Skipped: not today", other=SKIPS
    ),
    "a module that is not there": Row(
        1, "test_other.py skips itself when it is collected: Skipped: could not import", other=WANTS
    ),
    "a test of the inventory is gone": Row(
        1, "test_toy.py::test_gone is not there: 1 (divert)", owed=("test_passes", "test_gone")
    ),
    "one that is gone is not asked for": Row(
        0, "PASS: 1 passed", (*TEST, "-k", "passes"), owed=("test_passes", "test_gone")
    ),
    "a session has not all of them": Row(
        1,
        "1 tests of the inventory are not among those of the session, test_toy.py::test_two the ",
        suite=PASSES + TWO,
        conftest=toysuite.CONFTEST + VANISHES,
    ),
    "an unknown variant": Row(2, "there is no variant nonsense", ("test", "--variant", "nonsense")),
    "no guests at once": Row(2, "--jobs 0: it has to be 1 or more", (*TEST[:3], "--jobs", "0")),
    "less than none": Row(2, "--jobs -1: it has to be 1 or more", (*TEST[:3], "--jobs", "-1")),
    "no number": Row(2, "--jobs many: it has to be a number", (*TEST[:3], "--jobs", "many")),
    "an expression that selects none": Row(2, "no guest test's name matches", (*TEST, "-k", "zzz")),
    "required, and not among those to be tested": Row(
        2, "none of its variants is among", (*TEST, "--require", "linux-6.1")
    ),
    "nothing can be had": Row(3, "linux-2.2.12: NOT RUN", faults=("missing",)),
    "nothing can be built": Row(3, "base: NOT BUILT", faults=("unbuilt",)),
    "a session is killed": Row(3, "the session was killed by SIGKILL in", suite=PASSES + KILLED),
    "a session is silent": Row(
        3, "the session said nothing for 6 s, and was ended", suite=WAITS, faults=("impatient",)
    ),
    "a guest crashes": Row(
        4, "guest lost: kernel panic: toy", suite=PASSES + CRASHES, shown_again=True
    ),
    "a guest crashes, a test fails": Row(4, "guest lost: kernel panic", suite=FAILS + CRASHES),
    "no guest boots": Row(4, "guest lost: it does not boot", conftest=NO_BOOT),
    "Ctrl-C": Row(130, "interrupted", suite=WAITS, number=signal.SIGINT, shown_again=True),
    "SIGTERM": Row(143, "ended by SIGTERM", suite=WAITS, number=signal.SIGTERM, shown_again=True),
}


def table(file: str) -> list[str]:
    """The first column of the file's table of exit statuses."""
    text = (paths.ROOT / file).read_text()
    section = re.split(r"^## (?:Exit status|Errors)$", text, flags=re.M)[1].split("\n## ")[0]
    return re.findall(r"^\| ([0-9][^|]*?) \|", section, re.M)


def test_tables_have_the_same_rows_and_each_is_seen_here() -> None:
    assert table("README.md") == table("docs/design.md") == ["0", "1", "2", "3", "4", "128 + n"]
    assert {min(row.status, 128) for row in ROWS.values()} == {0, 1, 2, 3, 4, 128}


def run(folder: Path, row: Row) -> tuple[int, str]:
    """What the row's process ends with, and all that it says."""
    pipe = folder / "begun"
    os.mkfifo(pipe)
    begun = os.open(pipe, os.O_RDWR)
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "tests.unit.support.toyinv", str(folder), *row.words],
            cwd=paths.ROOT,
            env={**os.environ, BEGUN: str(pipe)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                if row.number:
                    assert select.select([begun], [], [], 120)[0], "no test has begun"
                    process.send_signal(row.number)
                said, _ = process.communicate(timeout=120)
            except BaseException:
                process.kill()
                raise
        return process.returncode, said
    finally:
        os.close(begun)


@pytest.mark.parametrize("name", ROWS)
def test_row(name: str, tmp_path: Path) -> None:
    row = ROWS[name]
    suite = toysuite.make(tmp_path, row.suite, row.conftest)
    tests = {f"test_toy.py::{name}": Test(("S1/opens",)) for name in row.owed}
    toysuite.owe(suite, tests)
    if row.other:
        (suite / "test_other.py").write_text(toysuite.HEADER + row.other)
    (tmp_path / toyinv.FAULTS).write_text(json.dumps(row.faults))
    status, said = run(tmp_path, row)
    assert (row.said in said, status) == (True, row.status), said
    assert "Traceback" not in said
    if row.shown_again:
        (tmp_path / "begun").unlink()
        words = ("report", "--run", str(tmp_path / "runs" / "latest"))
        again = replace(row, words=words, number=0)
        assert run(tmp_path, again)[0] == row.status
