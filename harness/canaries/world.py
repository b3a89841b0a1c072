# SPDX-License-Identifier: GPL-2.0-only
"""The suite in a world where what tests rely on is false: who passes has proved nothing of it."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from harness.base import datafile
from harness.base.datafile import Schema
from harness.base.errors import InfrastructureError
from harness.canaries import canary
from harness.canaries.canary import Canary
from harness.canaries.outcome import Outcome, judge
from harness.canaries.stage import Ran, Stage
from harness.record import runfolders, stream
from harness.record.events import TestFinished

DATA = Schema(dict[str, dict[str, str]], "harness/canaries/vacuous.toml")
_FILE = "vacuous.toml"
_CONFTEST = "tests/guest/conftest.py"
_MODULE = "tests.guest.support.worlds"
# Where the session notes who relied on what is false, below build/; by a path from the checkout.
_RELIED = "relied"


def make(row: Canary, stage: Stage) -> None:
    """Have the stage's session run in the row's world."""
    stage.append(_CONFTEST, f"from {_MODULE} import {row.world}\n\n{row.world}()")


def outcome(row: Canary, ran: Ran, build: Path, listed: Mapping[str, str] | None = None) -> Outcome:
    """Hold what was seen in a world against what the row says, and against the tests `listed`: each
    (with * and ?) passes there, with the reason; none: those of vacuous.toml.
    """
    judged = judge(row, ran)
    listed = load()[row.name] if listed is None else listed
    try:
        events = stream.read(build / "runs" / "latest" / runfolders.EVENTS)
        relied = set((build / _RELIED).read_text().splitlines())
    except (InfrastructureError, OSError) as error:
        return replace(judged, differs=(*judged.differs, f"nothing is known of it: {error}"))
    passed = {
        event.test
        for event in events
        if isinstance(event, TestFinished) and event.outcome == "passed"
    }
    found = sorted(test for test in passed if f"tests/guest/{test}" in relied)
    differs = [
        f"{test} passes, and is not in {_FILE}"
        for test in found
        if not any(_matches(test, pattern) for pattern in listed)
    ]
    differs += [
        f"{pattern} of {_FILE} does not pass any more"
        for pattern in listed
        if not any(_matches(test, pattern) for test in found)
    ]
    return replace(judged, differs=(*judged.differs, *differs))


def load() -> dict[str, dict[str, str]]:
    """For each world the tests that may pass in it, and why. Raises UserError for one that no
    canary has.
    """
    said = DATA.read()
    worlds = [row.name for row in canary.load() if row.world]
    DATA.refuse(fault for name in said for fault in datafile.among((name,), name, worlds))
    return said


def _matches(test: str, pattern: str) -> bool:
    """Brackets are those of a parameter, as pytest writes them."""
    return fnmatch.fnmatchcase(test, pattern.replace("[", "[[]"))
