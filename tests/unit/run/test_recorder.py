# SPDX-License-Identifier: GPL-2.0-only
"""The stream of a run: on disk, in memory, and what a full disk does to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base import runfolder
from harness.base.errors import NoRoomError
from harness.record import runfolders, stream
from harness.record.events import (
    Event,
    GuestLost,
    KernelBuilt,
    NoRoom,
    RunFinished,
    SessionFinished,
)
from harness.run.progress import Progress
from harness.run.recorder import Recorder
from tests.unit.report.test_verdict import finished
from tests.unit.support import toysuite

BUILT = KernelBuilt(variant="base", seconds=1.0, cached=False)
FAILED = finished("t::a", "failed", "it broke")


@pytest.fixture(name="recorder")
def _recorder(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path, Progress({}, None))


@pytest.fixture(name="full")
def _full(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk on which a file of some size finds no room, though a line may."""

    def probe(folder: Path) -> None:
        raise NoRoomError(f"cannot write {folder}: No space left on device", "make room there")

    monkeypatch.setattr(runfolder, "probe", probe)


def test_all_is_on_disk_and_in_memory(recorder: Recorder, tmp_path: Path) -> None:
    told: list[Event] = [BUILT, FAILED, RunFinished()]
    for event in told:
        recorder.record(event)
    recorder.close()
    assert recorder.events == told == stream.read(tmp_path / runfolders.EVENTS)


def test_stream_that_finds_no_room_ends_the_run_once(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(recorder, "_writer", stream.Writer(Path("/dev/full")))
    with pytest.raises(NoRoomError, match="No space left on device"):
        recorder.record(BUILT)
    # What the sessions say while they are ended is kept, and ends nothing.
    recorder.record(FAILED)
    recorder.record(RunFinished())
    kinds = [type(event) for event in recorder.events]
    assert kinds == [KernelBuilt, NoRoom, type(FAILED), RunFinished]


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize(
    "event",
    [
        FAILED,
        GuestLost(variant="base", test="t", message="QEMU failed"),
        SessionFinished(variant="base", status=3, seconds=1.0),
    ],
)
def test_what_may_be_for_want_of_room_is_looked_into(recorder: Recorder, event: Event) -> None:
    recorder.record(BUILT)
    recorder.record(finished("t::b"))
    recorder.record(SessionFinished(variant="off", status=1, seconds=1.0))
    with pytest.raises(NoRoomError, match="No space left"):
        recorder.record(event)
    assert recorder.events[-2] == event


@pytest.mark.usefixtures("full")
def test_session_that_ends_badly_is_looked_into(recorder: Recorder, tmp_path: Path) -> None:
    spec = toysuite.spec(tmp_path)
    with pytest.raises(NoRoomError):
        recorder.trouble(spec, "ended with status 3")
    recorder.trouble(spec, "ended with status 3")


def test_session_that_found_no_room_ends_the_run(recorder: Recorder) -> None:
    event = NoRoom(variant="base", test="t", message="cannot write x: full\nmake room there")
    with pytest.raises(NoRoomError) as caught:
        recorder.record(event)
    assert (caught.value.message, caught.value.hint) == ("cannot write x: full", "make room there")
    assert recorder.events == [event]
