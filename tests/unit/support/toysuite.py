# SPDX-License-Identifier: GPL-2.0-only
"""A toy suite for the tests of plugin and pool: real sessions of pytest, without a guest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.matrix import variants
from harness.record.events import Event, TestFinished
from harness.run import inventory, inventoryfiles, workerpool
from harness.run.inventoryfiles import Inventory
from harness.run.worker import Test, WorkerSpec

# A guest that crashes when a test says so, and a fixture that lends it as the real one is lent.
CONFTEST = """
import contextlib
import pytest
from harness.base.errors import GuestError
from harness.guest.lender import Lender

class Toy:
    boot_seconds = 0.5
    accelerator = "toy"
    crashed = False
    def check(self):
        if self.crashed:
            raise GuestError("kernel panic: toy", "console: last words")
    def snapshot(self, name):
        pass
    def put_back(self, name):
        pass
    def resume(self):
        pass

@contextlib.contextmanager
def boot(number):
    if BROKEN:
        raise GuestError("it does not boot")
    yield Toy()

BROKEN = False

@pytest.fixture
def guest(request, divert_session, artifacts):
    if divert_session.lender is None:
        divert_session.lender = Lender(boot, divert_session)
    with divert_session.lender.lend(request.node.nodeid) as toy:
        (artifacts / "console.txt").write_text("console")
        yield toy
"""

HEADER = "import os, signal, time, pytest\nS1 = pytest.mark.statement('S1/opens')\n"


def make(folder: Path, tests: str, conftest: str = CONFTEST) -> Path:
    """A folder with a toy suite of the tests given."""
    suite = folder / "suite"
    suite.mkdir()
    (suite / "conftest.py").write_text(conftest)
    (suite / "test_toy.py").write_text(HEADER + tests)
    owe(suite, {})
    return suite


def owe(suite: Path, tests: Mapping[str, Test]) -> None:
    """Make these the tests of the suite's inventory."""
    wanted = ("divert", "no divert", *inventory.needs(tests).values())
    applies = inventory.where(wanted, variants.load().values())
    inventoryfiles.write(suite, Inventory(inventory.count(tests), applies))


def spec(folder: Path, variant: str = "base", has: tuple[str, ...] = ("divert",)) -> WorkerSpec:
    """What a session is told, without kernel and image."""
    return WorkerSpec(
        variant=variant,
        has=has,
        folder=str(folder / variant),
        events="",
        seed=1,
        keep=False,
        bzimage="",
        objects="",
        initrd="",
        private_key="",
        host_key="",
    )


class Heard:
    """What a run of the pool told."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.troubles: list[str] = []

    def on_trouble(self, told: WorkerSpec, what: str) -> None:
        """Keep what went wrong."""
        self.troubles.append(f"{told.variant} {what}")

    def finished(self) -> dict[str, TestFinished]:
        """The tests that ended, by their name alone."""
        ended = [event for event in self.events if isinstance(event, TestFinished)]
        return {event.test.rpartition("::")[2]: event for event in ended}


def run(specs: list[WorkerSpec], suite: Path, expression: str = "", **options: float) -> Heard:
    """Run the suite for each of the specs, two at once."""
    heard = Heard()
    workerpool.run(
        specs,
        suite,
        expression,
        jobs=2,
        on_event=heard.events.append,
        on_trouble=heard.on_trouble,
        **options,
    )
    return heard
