# SPDX-License-Identifier: GPL-2.0-only
"""What QEMU's log of blocks says, processor by processor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

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


def test_blocks_and_steps() -> None:
    ran = blocks.parse(LOG.splitlines(keepends=True))
    first, second = 0xC0154260, 0xC0154286
    module = 0xFFFFFFFFC0266000
    assert ran.blocks == {first, second, module, module + 0x10}
    assert ran.steps >= {(first, second), (module, module + 0x10)}
    assert (second, module) not in ran.steps


def test_a_file_is_read_once(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(LOG)
    assert len(blocks.read(file).blocks) == 4
    assert blocks.read(file) == blocks.Ran()


class Qemu:
    """A monitor that notes what it is told, and is gone in the end."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def monitor(self, line: str) -> str:
        if self.told[-1:] == ["log none"]:
            raise GuestLostError("QEMU ended", "gone")
        self.told.append(line)
        return ""


def test_logs_between_begin_and_end(tmp_path: Path) -> None:
    qemu = Qemu()
    blocks.begin(cast("Monitor", qemu), tmp_path / "log")
    blocks.end(cast("Monitor", qemu))
    assert qemu.told == [f"logfile {tmp_path}/log", "log exec,nochain", "log none"]
    blocks.end(cast("Monitor", qemu))
