# SPDX-License-Identifier: GPL-2.0-only
"""Where a guest hangs; the test plays QEMU's monitor, and the guest on a terminal."""

from __future__ import annotations

import os
import pty
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.base.errors import GuestLostError
from harness.guest import position
from harness.guest.console import Console

PANIC = Path(__file__).parent / "consoles" / "linux-6.1" / "interrupted.txt"
REGISTERS = "CPU#0\nRAX=0000000000000000\nRIP=ffffffffc0274000 RFL=00000246"


class Guest:
    """QEMU's monitor, which a guest is behind."""

    def __init__(self, registers: str) -> None:
        self.watched, self.fd = pty.openpty()
        tty.setraw(self.fd)
        self.registers = registers
        self.asked: list[str] = []
        self.answers = True

    def monitor(self, line: str) -> str:
        self.asked.append(line)
        if line == "nmi" and self.answers:
            os.write(self.fd, PANIC.read_bytes())
        return self.registers if line == "info registers" else ""


Start = Callable[[str], tuple[Guest, Console]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    made: list[tuple[Guest, Console]] = []

    def begin(registers: str) -> tuple[Guest, Console]:
        guest = Guest(registers)
        made.append((guest, Console(guest.watched, tmp_path / "console.log")))
        return made[-1]

    yield begin
    for guest, console in made:
        console.stop()
        os.close(guest.watched)
        os.close(guest.fd)


def named(text: str) -> str:
    return f"{text} named"


def test_reference_by_its_address(start: Start) -> None:
    guest, console = start("EAX=00000000\nEIP=c0100110 EFL=00000246")
    assert position.find(guest, console, named) == "EIP [<c0100110>] named"
    assert guest.asked == ["info registers"]


def test_kernel_of_today_says_it_when_interrupted(start: Start) -> None:
    guest, console = start(REGISTERS)
    found = position.find(guest, console, named)
    assert guest.asked == ["info registers", "nmi"]
    assert found == "in crashme_init+0x439/0x1000 [crashme]"


def test_kernel_that_takes_no_interrupt(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(position, "_PANIC_SECONDS", 0.05)
    guest, console = start(REGISTERS)
    guest.answers = False
    assert position.find(guest, console, named) == "RIP ffffffffc0274000"


def test_unknown_registers(start: Start) -> None:
    guest, console = start("no such command")
    assert position.find(guest, console, named) == "position unknown"


def test_monitor_that_is_gone(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    guest, console = start(REGISTERS)

    def gone(_: str) -> str:
        raise GuestLostError("QEMU ended", "QEMU's monitor is gone")

    monkeypatch.setattr(guest, "monitor", gone)
    assert position.find(guest, console, named) == "QEMU's monitor is gone"
