# SPDX-License-Identifier: GPL-2.0-only
"""gdb's life beside its guest: how it is started, and what its end means."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from harness.base.errors import GuestError, GuestLostError, InfrastructureError, UserError
from harness.boot import bootable
from harness.gdb import debugger
from harness.gdb.debugger import Wishes
from harness.gdb.door import Door
from harness.gdb.script import Script
from harness.guest.process import Result

TOLD = Script(Path("/k/vmlinux"), "/remote", breaks=("divert_enqueue",))


@pytest.fixture(name="machine")
def _machine(tmp_path: Path) -> MagicMock:
    """A guest that is well."""
    machine = MagicMock()
    machine.spec.folder = tmp_path
    machine.console.closed = False
    machine.emulator.messages.return_value = ""
    return machine


def gdb_is(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a shell's script in gdb's place."""
    program = tmp_path / "bin" / "gdb"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


def attach(machine: MagicMock, wishes: Wishes = Wishes()) -> int:  # noqa: B008
    with Door(machine.spec.folder) as door:
        return debugger.attach(machine, door, TOLD, wishes)


def test_words_and_files_go_to_gdb_behind_our_own(
    machine: MagicMock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    gdb_is('for word; do echo "<$word>"; done; exit 3', tmp_path, monkeypatch)
    assert attach(machine, Wishes(commands="more", words=("-batch", "-ex", "p a b"))) == 3
    ours = tmp_path / debugger.SCRIPT
    assert capfd.readouterr().out.split("\n")[:-1] == [
        *("<-q>", f"<--command={ours}>", "<--command=more>", "<-batch>", "<-ex>", "<p a b>"),
    ]
    assert "break divert_enqueue\ncontinue\n" in ours.read_text()


def test_guest_stands_still_before_gdb_and_goes_on_after_it(
    machine: MagicMock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what is to be stopped could be past before there is a breakpoint."""
    gdb_is("exit 0", tmp_path, monkeypatch)
    calls: list[str] = []
    process = machine.ssh.start.return_value
    process.send.side_effect = lambda _: calls.append("go")
    process.wait.return_value = Result(0, "", "")
    machine.qmp.stop.side_effect = lambda: calls.append("stop")
    machine.qmp.resume.side_effect = lambda: calls.append("resume")
    machine.check.side_effect = lambda: calls.append("check")
    assert attach(machine, Wishes(start="ping -c 1 192.0.2.2")) == 0
    assert calls == ["stop", "go", "resume", "check"]


def test_guest_that_is_not_well_afterwards_is_an_error(
    machine: MagicMock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gdb_is("exit 0", tmp_path, monkeypatch)
    machine.check.side_effect = GuestLostError("oops", "oops, guest of variant base")
    with pytest.raises(GuestLostError, match="oops"):
        attach(machine)


def test_guest_that_gdb_has_ended_is_none(
    machine: MagicMock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gdb's `kill`, at which QEMU ends; a guest that ends otherwise is an error as ever."""
    gdb_is("exit 0", tmp_path, monkeypatch)
    machine.console.closed = True
    machine.emulator.messages.return_value = "qemu-system-i386: QEMU: Terminated via GDBstub"
    assert attach(machine) == 0
    assert not machine.check.called
    machine.emulator.messages.return_value = ""
    machine.check.side_effect = GuestLostError("reset", "the guest reset")
    with pytest.raises(GuestLostError, match="reset"):
        attach(machine)


def test_gdb_that_is_killed_has_left_its_guest_stopped(
    machine: MagicMock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    gdb_is("kill -KILL $$", tmp_path, monkeypatch)
    assert attach(machine) == 128 + signal.SIGKILL
    assert "gdb was ended by SIGKILL" in capfd.readouterr().err
    assert not machine.check.called


def test_ctrl_c_is_gdb_s_and_not_ours(
    machine: MagicMock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which it takes to stop the guest; that it is not ignored in gdb is seen by its trap."""
    gdb_is("trap 'exit 5' INT; kill -INT $PPID; kill -INT $$; exit 6", tmp_path, monkeypatch)
    before = signal.getsignal(signal.SIGINT)
    assert attach(machine) == 5
    assert signal.getsignal(signal.SIGINT) is before


def test_what_the_command_in_the_guest_did_is_told(
    machine: MagicMock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    gdb_is("exit 0", tmp_path, monkeypatch)
    process = machine.ssh.start.return_value
    process.wait.return_value = Result(2, "64 bytes\n", "sh: oh\n")
    attach(machine, Wishes(start="ping x"))
    said = capfd.readouterr()
    assert said.out == "64 bytes\n"
    assert "`ping x` ended with status 2" in said.err
    assert "sh: oh" in said.err
    process.wait.side_effect = GuestError("still ran after 2 s")
    process.output, process.errors = b"one\n", ""
    attach(machine, Wishes(start="ping x"))
    said = capfd.readouterr()
    assert said.out == "one\n"
    assert "`ping x` still runs, and ends with the guest" in said.err


def test_nothing_is_built_where_there_is_no_gdb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(bootable, "build", lambda *_: pytest.fail("it is being built"))
    with pytest.raises(InfrastructureError, match=r"lacks gdb.*\n.*apt-get install gdb"):
        debugger.debug("base", Wishes())


def test_file_of_commands_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gdb_is("exit 0", tmp_path, monkeypatch)
    monkeypatch.setattr(bootable, "build", lambda *_: pytest.fail("it is being built"))
    with pytest.raises(UserError, match=r"--command .*/absent: there is no such file"):
        debugger.debug("base", Wishes(commands=str(tmp_path / "absent")))
