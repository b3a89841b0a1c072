# SPDX-License-Identifier: GPL-2.0-only
"""The folders of runs: made by their time, and found again wherever they were moved to."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from harness.base import occupancy, runfolder
from harness.record import stream
from harness.record.events import Event, TestFinished

EVENTS = "events.jsonl"
# Of a variant's folder in that of the run.
TESTS = "tests"


def new(runs: Path) -> Path:
    """A folder for a run that begins now, named by the time; `latest` points to it.

    Raises NoRoomError if it cannot be made.
    """
    with runfolder.of_run(runs):
        return _new(runs)


def _new(runs: Path) -> Path:
    name = time.strftime("%Y-%m-%d_%H.%M.%S")
    number = 1
    folder = runs / name
    while True:
        try:
            folder.mkdir(parents=True)
            break
        except FileExistsError:
            number += 1
            folder = runs / f"{name}.{number}"
    link = runs / f".latest.{os.getpid()}"
    link.unlink(missing_ok=True)
    link.symlink_to(folder.name)
    link.replace(runs / "latest")
    occupancy.enter(folder)
    return folder


def events(folder: Path) -> list[Event]:
    """What is known of the run in a folder, with the files of its tests where they are now.

    Raises InfrastructureError if it cannot be read.
    """
    return list(_here(stream.read(folder / EVENTS), folder))


def _here(rows: Iterable[Event], folder: Path) -> Iterable[Event]:
    for event in rows:
        if isinstance(event, TestFinished) and event.artifacts:
            here = folder / event.variant / TESTS / Path(event.artifacts).name
            yield replace(event, artifacts=str(here)) if here.is_dir() else event
        else:
            yield event
