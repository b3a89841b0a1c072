# SPDX-License-Identifier: GPL-2.0-only
"""What QEMU's log of blocks says, processor by processor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from harness.base.errors import GuestLostError
from harness.guest import blocks

if TYPE_CHECKING:
    from harness.guest.position import Monitor

LOG = b"""\
Trace 0: 0x7ff30438e740 [00000000/c0154260/00000ab0/ff000200]
Trace 1: 0x7ff30438ea80 [0000000000000000/ffffffffc0266000/00000ab0/ff000200] divert
Trace 0: 0x7ff30438ecc0 [00000000/c0154286/00000ab0/ff000200]
Stopped execution of TB chain before 0x7ff30438ecc0 [c0154286]
Trace 1: 0x7ff30438ecc0 [00000000/ffffffffc0266010/00000ab0/ff000200]
Trace 0: 0x7ff30438ecc0 [00000000/c0154286/00
"""


def begins(steps: blocks.Steps) -> set[int]:
    return {at for step in steps for at in step}


def test_blocks_and_steps() -> None:
    parser = blocks.Parser()
    for number in range(0, len(LOG), 7):
        parser.feed(LOG[number : number + 7])
    first, second = 0xC0154260, 0xC0154286
    module = 0xFFFFFFFFC0266000
    assert begins(parser.steps) == {first, second, module, module + 0x10}
    assert parser.steps >= {(first, second), (module, module + 0x10)}
    assert (second, module) not in parser.steps


def test_not_more_than_so_many_lines_are_looked_at() -> None:
    parser = blocks.Parser(most=1)
    parser.feed(LOG[: LOG.index(b"\n") + 1])
    parser.feed(LOG)
    assert begins(parser.steps) == {0xC0154260}


class Qemu:
    """A monitor that logs LOG, and is gone in the end."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def monitor(self, line: str) -> str:
        if self.told[-1:] == ["log none"]:
            raise GuestLostError("QEMU ended", "gone")
        self.told.append(line)
        if line.startswith("logfile "):
            with Path(line.partition(" ")[2]).open("wb") as stream:
                stream.write(LOG * 100)
        return ""


def test_what_is_logged_between_begin_and_end_is_read(tmp_path: Path) -> None:
    qemu, log = Qemu(), blocks.Log(tmp_path / "log")
    blocks.begin(cast("Monitor", qemu), log)
    blocks.end(cast("Monitor", qemu))
    assert len(begins(log.close())) == 4
    assert qemu.told == [f"logfile {tmp_path}/log", "log exec,nochain", "log none"]
    assert not (tmp_path / "log").exists()
    blocks.end(cast("Monitor", qemu))


def test_a_log_that_is_full_is_ended_once_and_what_qemu_writes_till_then_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks.Parser.__init__, "__defaults__", (3,))
    qemu = Qemu()
    ended: list[str] = []

    def end() -> None:
        # More than a pipe has room for: it would wait for ever if nobody read.
        with (tmp_path / "log").open("wb") as stream:
            stream.write(LOG * 1000)
        ended.append("now")

    log = blocks.Log(tmp_path / "log", end)
    blocks.begin(cast("Monitor", qemu), log)
    assert begins(log.close())
    assert (log.cut, ended) == (True, ["now"])


def test_a_log_to_which_nobody_writes_is_empty(tmp_path: Path) -> None:
    assert blocks.Log(tmp_path / "log").close() == frozenset()
