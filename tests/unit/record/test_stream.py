# SPDX-License-Identifier: GPL-2.0-only
"""Events survive the way to the disk and back; what is lost of them on it is said."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import IO

import pytest

from harness.base.errors import InfrastructureError, NoRoomError
from harness.record import events, stream
from harness.report.verdict import judge
from tests.unit.report.test_verdict import GOOD

ONE_OF_EACH: tuple[events.Event, ...] = (
    events.RunStarted(
        command="./inv test",
        variants=("base", "off"),
        expression="",
        seed=7,
        jobs=2,
        host="Linux",
        qemu="QEMU 7",
    ),
    events.KernelBuilt(variant="base", seconds=14.5, cached=False),
    events.ImageBuilt(seconds=0.0, cached=True),
    events.NotRun(kernel="linux-2.2.12", reason="no archive"),
    events.NotBuilt(name="off", variants=("off",), reason="x.c:1: error"),
    events.SourceMissing(name="a-1", title="a 1", instead="b is there", hint="put it there"),
    events.VariantSelected(variant="base", kernel="k", has=("divert",), lacks={"a": "a-1"}),
    events.TestsCollected(variant="base", tests=("a.py::one", "a.py::two")),
    events.GuestBooted(variant="base", seconds=1.1, accelerator="tcg"),
    events.GuestLost(variant="base", test="a.py::one", message="oops\nEIP 0"),
    events.GuestKept(variant="base", login="ssh root@127.0.0.1"),
    events.TestStarted(variant="base", test="a.py::one"),
    events.TestFinished(
        variant="base",
        test="a.py::one",
        outcome="failed",
        statements=("S1", "S2"),
        seconds=0.1,
        message='"quoted" \u2028 and\nnewline',
        artifacts="/there",
    ),
    events.NoRoom(message="no room", variant="base", test="a.py::two"),
    events.EventsLost(line=3, why="no such event"),
    events.SessionFinished(variant="base", status=1, seconds=3.0),
    events.RunFinished(interrupted=True),
)


def test_every_event_comes_back_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    writer = stream.Writer(file)
    for event in ONE_OF_EACH:
        writer.write(event)
    writer.close()
    assert tuple(stream.read(file)) == ONE_OF_EACH
    assert len(file.read_text().split("\n")) == len(ONE_OF_EACH) + 1


def test_last_line_without_its_end_does_not_count() -> None:
    lines = [stream.to_line(event) for event in ONE_OF_EACH[:3]]
    assert stream.parse([*lines[:2], lines[2][:-1]]) == list(ONE_OF_EACH[:2])
    assert stream.parse([*lines[:2], lines[2][:20]]) == list(ONE_OF_EACH[:2])


@pytest.mark.parametrize(
    "line",
    [
        "not json\n",
        "[1]\n",
        '{"event": "Nonsense"}\n',
        '{"event": "RunFinished", "mood": "good"}\n',
        '{"event": "SessionFinished", "variant": "base"}\n',
        stream.to_line(ONE_OF_EACH[12]).replace('"failed"', '"fine"'),
    ],
)
def test_line_that_is_no_event_is_lost_and_the_rest_is_read(line: str) -> None:
    first, last = (stream.to_line(event) for event in (ONE_OF_EACH[0], ONE_OF_EACH[-1]))
    begin, lost, end = stream.parse([first, line, last])
    assert (begin, end) == (ONE_OF_EACH[0], ONE_OF_EACH[-1])
    assert isinstance(lost, events.EventsLost)
    assert (lost.line, bool(lost.why)) == (2, True)
    with pytest.raises(ValueError, match=r"^line 1: "):
        stream.parse([line])


class Tight:
    """A file on a disk that takes `room` bytes more, and from then on none."""

    def __init__(self, file: IO[bytes], room: int) -> None:
        self.file = file
        self.room = room

    def write(self, data: bytes) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self.file.write(data[: self.room])
        self.room -= written
        return written

    def close(self) -> None:
        self.file.close()


@pytest.mark.parametrize("left", [0, 1, 40])
def test_what_a_full_disk_cuts_off_is_lost_alone(tmp_path: Path, left: int) -> None:
    """Neither what was before it nor what comes when there is room again; and it is no pass."""
    file = tmp_path / "events.jsonl"
    writer = stream.Writer(file)
    first, second = GOOD[:3], GOOD[3:]
    for event in first:
        writer.write(event)
    disk = Tight(writer._stream, left)
    writer._stream = disk  # type: ignore[assignment]
    with pytest.raises(NoRoomError, match=r"cannot write .*events\.jsonl: No space left") as caught:
        writer.write(events.GuestKept(variant="base", login="ssh"))
    assert "make room there" in caught.value.hint
    disk.room = 1 << 20
    for event in second:
        writer.write(event)
    writer.close()
    seen = stream.read(file)
    (lost,) = (event for event in seen if isinstance(event, events.EventsLost))
    assert [event for event in seen if event != lost] == list(GOOD)
    assert judge(GOOD).passed
    assert judge(seen).reasons == (f"line {lost.line} of the events is lost",)


def test_stream_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="cannot read"):
        stream.read(tmp_path / "events.jsonl")
    (tmp_path / "events.jsonl").write_text("nonsense\n")
    with pytest.raises(InfrastructureError, match="not a stream of events"):
        stream.read(tmp_path / "events.jsonl")
