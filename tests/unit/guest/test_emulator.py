# SPDX-License-Identifier: GPL-2.0-only
"""A QEMU cannot outlive the harness, and says how it ended. A shell script plays QEMU."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.base import paths
from harness.base.errors import DeadlineError, InfrastructureError
from harness.guest import qemu
from harness.guest.emulator import Emulator

SPEC = qemu.QemuSpec(Path("bzImage"), "tcg", 64)


def play(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str) -> None:
    """Let `script` be QEMU."""
    program = tmp_path / "bin" / qemu.PROGRAM
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


def test_console_and_messages_are_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    play(monkeypatch, tmp_path, "echo console; echo message >&2; exit 3")
    emulator = Emulator(SPEC, tmp_path / "qemu.log")
    assert emulator.wait(5) == 3
    assert os.read(emulator.console_fd, 100) == b"console\n"
    assert emulator.ending() == "QEMU ended with status 3: message"
    emulator.close()


def test_nobody_else_can_write_on_its_terminal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What wall and write put there, for which they have the group tty, would be the guest's."""
    openpty = pty.openpty

    def as_on_most_hosts() -> tuple[int, int]:
        ours, terminal = openpty()
        os.fchmod(terminal, 0o620)
        return ours, terminal

    monkeypatch.setattr(pty, "openpty", as_on_most_hosts)
    play(monkeypatch, tmp_path, "tty; stat -L -c %a /dev/stdin; read line")
    emulator = Emulator(SPEC, tmp_path / "qemu.log")
    with os.fdopen(os.dup(emulator.console_fd), "rb") as console:
        assert console.readline().startswith(b"/dev/pts/")
        assert console.readline() == b"600\n"
    emulator.close()


def test_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    play(monkeypatch, tmp_path, "kill -KILL $$")
    emulator = Emulator(SPEC, tmp_path / "qemu.log")
    assert emulator.wait(5) == -signal.SIGKILL
    assert emulator.ending() == "QEMU was killed by SIGKILL"
    emulator.close()


def test_first_message_is_the_cause(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What KVM says of an instruction has forty lines, of which the first tells."""
    said = "qemu: warning: host lacks pni\nKVM internal error. Suberror: 1\nEAX=00000000 EBX=1"
    play(monkeypatch, tmp_path, f"echo '{said}' >&2")
    emulator = Emulator(SPEC, tmp_path / "qemu.log")
    emulator.wait(5)
    assert emulator.first_message() == "KVM internal error. Suberror: 1"
    emulator.close()


def test_close_ends_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    play(monkeypatch, tmp_path, "trap '' TERM HUP INT; echo up; while :; do sleep 100; done")
    emulator = Emulator(SPEC, tmp_path / "qemu.log")
    os.read(emulator.console_fd, 10)
    with pytest.raises(DeadlineError):
        emulator.wait(0.05)
    emulator.close()
    assert emulator.status == -signal.SIGKILL
    emulator.close()


def test_absent_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InfrastructureError, match="lacks qemu-system-i386") as error:
        Emulator(SPEC, tmp_path / "qemu.log")
    assert error.value.hint == "run: ./inv setup"


STARTER = """
import os
import sys
from pathlib import Path
from harness.guest import qemu
from harness.guest.emulator import Emulator
emulator = Emulator(qemu.QemuSpec(Path("bzImage"), "tcg", 64), Path(sys.argv[1]))
os.read(emulator.console_fd, 1)  # Its trap is set.
print("up", flush=True)
sys.stdin.read()
"""


def test_killing_the_harness_hangs_it_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fifo = tmp_path / "ended"
    os.mkfifo(fifo)
    play(monkeypatch, tmp_path, f"trap 'echo hung up >{fifo}; exit 0' HUP; echo; read line")
    harness = subprocess.Popen(
        [sys.executable, "-c", STARTER, tmp_path / "qemu.log"],
        cwd=paths.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert harness.stdout is not None
    assert harness.stdout.readline() == b"up\n"
    harness.kill()
    harness.wait(5)
    # Opens, and reads to the end, only if somebody writes: the trap above.
    reader = subprocess.run(["cat", fifo], capture_output=True, timeout=10, check=True)
    assert reader.stdout == b"hung up\n"
    harness.communicate()
