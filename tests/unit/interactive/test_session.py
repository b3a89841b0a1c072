# SPDX-License-Identifier: GPL-2.0-only
"""Mistakes in what a person asks for are told before anything is built or booted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from harness.base import paths
from harness.base.errors import GuestLostError, UserError
from harness.boot import bootable
from harness.guest import ready
from harness.guest.machine import MachineSpec
from harness.interactive import session


@pytest.fixture(name="machine")
def _machine(monkeypatch: pytest.MonkeyPatch) -> MagicMock:
    """A guest that is well, in which each command ends with 0 at once."""
    machine = MagicMock()
    guest = MagicMock()
    guest.return_value.__enter__.return_value = machine
    guest.return_value.__exit__.return_value = False
    through = MagicMock()
    through.return_value.command.return_value = 0
    monkeypatch.setattr(session, "guest", guest)
    monkeypatch.setattr(session, "Relay", through)
    return machine


@pytest.mark.parametrize("words", [[], ["  "], [""]])
def test_no_command(words: list[str]) -> None:
    with pytest.raises(UserError, match="no command to run"):
        session.run("base", [], words)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--put .*/absent: there is no such file"):
        session.run("base", [str(tmp_path / "absent")], ["ls"])
    with pytest.raises(UserError, match="no such file"):
        session.run("base", [str(tmp_path)], ["ls"])


def test_unknown_variant() -> None:
    with pytest.raises(UserError, match="there is no variant bas"):
        session.run("bas", [], ["ls"])


def test_no_guest_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    with pytest.raises(UserError, match="no guest is kept"):
        session.console(None)


def test_console_lines_are_marked(capsys: pytest.CaptureFixture[str]) -> None:
    show = session.ConsoleLines()
    for chunk in (b"half a ", b"line\n\rnext", b" [c0100110]\n\r"):
        show(chunk)
    assert capsys.readouterr().err == "console: half a line\nconsole: next [c0100110]\n"


def test_command_that_ends_well_in_a_guest_that_does_not(machine: MagicMock) -> None:
    machine.check.side_effect = GuestLostError("oops", "oops, guest of variant base")
    with pytest.raises(GuestLostError, match="oops"):
        session.run("base", [], ["true"])
    machine.check.side_effect = None
    assert session.run("base", [], ["true"]) == 0


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["sh", "-c", "exit 3"], "sh -c 'exit 3'"),
        (["echo", "$HOME", "*", "it's", ""], """echo '$HOME' '*' 'it'"'"'s' ''"""),
        # One word is a line for the shell.
        (["echo $HOME; exit 3"], "echo $HOME; exit 3"),
        (["ipchains", "-L", "-n"], "ipchains -L -n"),
        (["printf", "\udcff"], "printf '\udcff'"),
    ],
)
def test_words_stay_words(words: list[str], line: str, machine: MagicMock) -> None:
    session.run("base", [], words)
    channel = machine.ssh.open_channel.return_value
    sent = f"{line}\nexit $?".encode(errors="surrogateescape")
    assert channel.exec_command.call_args.args == (sent,)


def test_two_files_of_one_name(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "prog").touch()
    paths = [str(tmp_path / name / "prog") for name in ("one", "two")]
    with pytest.raises(UserError, match="would both be /root/prog") as caught:
        session.run("base", paths, ["ls"])
    assert all(path in caught.value.message for path in paths)
    # The same file twice is none of two.
    with pytest.raises(UserError, match="there is no variant bas"):
        session.run("bas", [paths[0], paths[0]], ["ls"])


def test_files_for_which_the_guest_has_no_room(tmp_path: Path, machine: MagicMock) -> None:
    (tmp_path / "small").write_bytes(bytes(1 << 20))
    (tmp_path / "big").write_bytes(bytes(8 << 20))
    machine.ssh.check.return_value = (
        "Filesystem           1024-blocks    Used Available Use% Mounted on\n"
        "/dev/root                 6011      1279      4425  22% /\n"
    )
    session.run("base", [str(tmp_path / "small")], ["ls"])
    assert machine.ssh.put.call_count == 1
    with pytest.raises(UserError, match=r"9\.0 MiB") as caught:
        session.run("base", [str(tmp_path / "small"), str(tmp_path / "big")], ["ls"])
    assert "a guest of base has room for 4.3 MiB" in caught.value.message
    # None of them has been put there.
    assert machine.ssh.put.call_count == 1


@pytest.mark.parametrize("task", ["run", "shell", "console"])
def test_tools_that_are_too_new_are_refused_before_anything_is_built(
    task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootable, "build", lambda *_: pytest.fail("it is being built"))
    monkeypatch.setattr(session, "_require_input", lambda: None)
    asked: dict[str, Callable[[], object]] = {
        "run": lambda: session.run("base", [], ["python3"], tools=True),
        "shell": lambda: session.shell("base", tools=True),
        "console": lambda: session.console("base", tools=True),
    }
    with pytest.raises(UserError, match=r"--tools: base is Linux 2\.2\.12"):
        asked[task]()


def test_guest_whose_snapshot_does_not_do_is_booted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is wrong with it, and that is said; one that was to be cold is not asked for it."""
    spec = MachineSpec("base", tmp_path, tmp_path, tmp_path, tmp_path, tmp_path)
    begun = ready.Begun(replace(spec, begin_from=tmp_path / "ready"))
    asked: list[MachineSpec] = []

    def guest(spec: MachineSpec, **_more: object) -> MagicMock:
        asked.append(spec)
        machine = MagicMock(boot_seconds=0.3)
        machine.spec = spec
        machine.__enter__.return_value = machine
        machine.__exit__.return_value = False
        if spec.begin_from:
            lost = GuestLostError("hang", "hang, guest of variant base: it says nothing")
            machine.__enter__.side_effect = lost
        return machine

    monkeypatch.setattr(session, "Machine", guest)
    monkeypatch.setattr(ready, "begin", lambda _: begun)
    monkeypatch.setattr(ready, "folder_of", lambda _: tmp_path / "none")
    with session.started(spec, cold=False) as machine:
        assert machine.spec == spec
    assert asked == [begun.spec, spec]
    assert "cannot be used (hang, guest of variant base: it says nothing): it boots" in (
        capsys.readouterr().err
    )
    asked.clear()
    with session.started(spec):
        assert asked == [spec]
