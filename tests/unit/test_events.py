# SPDX-License-Identifier: GPL-2.0-only
"""Events survive the way to the disk and back; a stream that breaks off is read up to there."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import events
from harness.errors import InfrastructureError

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
    events.SessionFinished(variant="base", status=1, seconds=3.0),
    events.RunFinished(interrupted=True),
)


def test_every_event_comes_back_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    writer = events.Writer(file)
    for event in ONE_OF_EACH:
        writer.write(event)
    writer.close()
    assert tuple(events.read(file)) == ONE_OF_EACH
    assert len(file.read_text().split("\n")) == len(ONE_OF_EACH) + 1


def test_last_line_without_its_end_does_not_count() -> None:
    lines = [events.to_line(event) for event in ONE_OF_EACH[:3]]
    assert events.parse([*lines[:2], lines[2][:-1]]) == list(ONE_OF_EACH[:2])
    assert events.parse([*lines[:2], lines[2][:20]]) == list(ONE_OF_EACH[:2])


@pytest.mark.parametrize(
    "line",
    [
        "not json\n",
        "[1]\n",
        '{"event": "Nonsense"}\n',
        '{"event": "RunFinished", "mood": "good"}\n',
        '{"event": "SessionFinished", "variant": "base"}\n',
        events.to_line(ONE_OF_EACH[12]).replace('"failed"', '"fine"'),
    ],
)
def test_line_that_is_no_event_is_named(line: str) -> None:
    with pytest.raises(ValueError, match=r"^line 2: "):
        events.parse([events.to_line(ONE_OF_EACH[0]), line])


def test_stream_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="cannot read"):
        events.read(tmp_path / "events.jsonl")
    (tmp_path / "events.jsonl").write_text("nonsense\n")
    with pytest.raises(InfrastructureError, match="not a stream of events"):
        events.read(tmp_path / "events.jsonl")
