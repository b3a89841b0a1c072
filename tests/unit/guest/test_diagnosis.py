# SPDX-License-Identifier: GPL-2.0-only
"""A lost guest is named, and the message quotes its console. A shell script plays QEMU."""

from __future__ import annotations

import os
import pty
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import pytest

from harness.base.deadline import Deadline
from harness.base.errors import EXIT_GUEST, GuestLostError, InfrastructureError
from harness.guest import qemu
from harness.guest.console import Console
from harness.guest.diagnosis import Diagnosis
from harness.guest.emulator import Emulator
from harness.guest.symbols import Symbols

CONSOLES = Path(__file__).parent / "consoles"
SYMBOLS = Symbols((0xC0100100, 0xC0100200, 0xC0200000), ("divert_sendmsg", "ip_rcv", "_end"))

Diagnose = Callable[[str], tuple[Diagnosis, Console]]


@pytest.fixture
def diagnose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Diagnose]:
    with ExitStack() as stack:

        def start(script: str) -> tuple[Diagnosis, Console]:
            program = tmp_path / "bin" / qemu.PROGRAM
            program.parent.mkdir()
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(0o755)
            monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
            spec = qemu.QemuSpec(Path("bzImage"), "tcg", 64)
            emulator = Emulator(spec, tmp_path / "qemu.log")
            stack.callback(emulator.close)
            console = Console(emulator.console_fd, tmp_path / "console.log", limit=20_000)
            stack.callback(console.join, 5)
            stack.callback(emulator.kill)
            return Diagnosis("base", console, emulator, SYMBOLS), console

        yield start


def lost(diagnose: Diagnose, script: str) -> GuestLostError:
    diagnosis, console = diagnose(script)
    assert console.wait_for("never written", Deadline(10, "trouble")) is None
    with pytest.raises(GuestLostError) as error:
        diagnosis.check()
    assert error.value.exit_status == EXIT_GUEST
    return error.value


def test_a_healthy_guest_passes(diagnose: Diagnose) -> None:
    diagnosis, console = diagnose(f"cat {CONSOLES}/boot.txt; exec sleep 100")
    assert console.wait_for("DIVERT-GUEST-READY", Deadline(10, "mark"))
    diagnosis.check()


def test_panic(diagnose: Diagnose, tmp_path: Path) -> None:
    error = lost(diagnose, f"cat {CONSOLES}/panic.txt; exit 0")
    assert error.kind == "panic"
    first, *rest = error.message.splitlines()
    assert first == (
        "panic, guest of variant base: Kernel panic: VFS: Unable to mount root fs on 01:00"
    )
    assert "RAMDISK: Couldn't find valid RAM disk image" in rest[1]
    assert rest[-1].endswith("Rebooting in 1 seconds..")
    assert error.hint == f"all of the console: {tmp_path}/console.log"


def test_oops_with_names(diagnose: Diagnose) -> None:
    error = lost(diagnose, f"cat {CONSOLES}/oops.txt; exec sleep 100")
    assert error.kind == "oops"
    assert "EIP:    0010:[<c0100110>] divert_sendmsg+0x10" in error.message
    assert "Call Trace: [<c0100234>] ip_rcv+0x34" in error.message


@pytest.mark.parametrize(
    ("console", "kind", "what"),
    [
        (
            "linux-6.1/oops",
            "oops",
            "BUG: kernel NULL pointer dereference, address: 0000000000000010 "
            "(in bad_read.isra.0+0x5/0x10 [crashme])",
        ),
        (
            "linux-6.1/bug",
            "oops",
            "kernel BUG at ./crashme.c:54! (in crashme_init+0x84/0x1000 [crashme])",
        ),
        # It has the function and the module itself.
        (
            "linux-6.1/warning",
            "warning",
            "WARNING: CPU: 0 PID: 110 at ./crashme.c:52 crashme_init+0x6a/0x1000 [crashme]",
        ),
        (
            "linux-6.1/refcount",
            "memory corrupted",
            "refcount_t: decrement hit 0; leaking memory. (in refcount_warn_saturate+0xfb/0x110, "
            "called from crashme_init+0x1b3/0x1000 [crashme])",
        ),
        (
            "linux-6.12/general-protection",
            "oops",
            "Oops: general protection fault, probably for non-canonical address "
            "0x6b6b6b6b6b6b6b6b: 0000 [#1] PREEMPT SMP NOPTI "
            "(in bad_read.isra.0+0x5/0x10 [crashme])",
        ),
    ],
)
def test_function_and_module(diagnose: Diagnose, console: str, kind: str, what: str) -> None:
    error = lost(diagnose, f"cat {CONSOLES}/{console}.txt; exec sleep 100")
    assert error.kind == kind
    first, *rest = error.message.splitlines()
    assert first == f"{kind}, guest of variant base: {what}"
    assert sum("Call Trace:" in line for line in rest) == 1
    assert "---[ end trace" in rest[-1]


def test_crash_that_nobody_was_told_of(diagnose: Diagnose) -> None:
    diagnosis, console = diagnose(f"cat {CONSOLES}/linux-6.1/warning.txt; exec sleep 100")
    assert console.wait_for("never written", Deadline(10, "trouble")) is None
    assert diagnosis.overlooked
    with pytest.raises(GuestLostError):
        diagnosis.check()
    assert not diagnosis.overlooked
    console.forget()
    assert not diagnosis.overlooked
    diagnosis.check()


@pytest.mark.parametrize(
    ("script", "kind", "what"),
    [
        ("echo up; exit 0", "reset", "the guest reset or switched itself off"),
        (
            "echo up; echo qemu: terminating on signal 15 from pid 1 >&2; exit 0",
            "QEMU killed",
            "qemu: terminating on signal 15 from pid 1",
        ),
        ("echo up; kill -KILL $$", "QEMU killed", "QEMU was killed by SIGKILL"),
        ("echo no disk >&2; exit 1", "QEMU failed", "QEMU ended with status 1: no disk"),
    ],
)
def test_end_of_qemu(diagnose: Diagnose, script: str, kind: str, what: str) -> None:
    error = lost(diagnose, script)
    assert error.kind == kind
    assert error.message.splitlines()[0] == f"{kind}, guest of variant base: {what}"


def test_flood(diagnose: Diagnose) -> None:
    error = lost(diagnose, "while :; do echo more and more; done")
    assert error.kind == "console flood"


def test_full_disk_is_not_the_guest_s_fault(tmp_path: Path) -> None:
    watched, guest = pty.openpty()
    console = Console(watched, Path("/dev/full"))
    os.write(guest, b"more than fits\n")
    assert console.wait_for("never written", Deadline(10, "trouble")) is None
    emulator = cast(Emulator, None)
    with pytest.raises(InfrastructureError, match="cannot write /dev/full: No space left"):
        Diagnosis("base", console, emulator, SYMBOLS).check()
    console.join(5)
    os.close(guest)
    os.close(watched)
