# SPDX-License-Identifier: GPL-2.0-only
"""Mistakes in what a person asks for are told before anything is built or booted."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import MagicMock

import pytest

from harness.base import paths
from harness.base.errors import GuestLostError, UserError
from harness.interactive import session


def test_no_command() -> None:
    with pytest.raises(UserError, match="no command to run"):
        session.run("base", [], "  ")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--put .*/absent: there is no such file"):
        session.run("base", [str(tmp_path / "absent")], "ls")
    with pytest.raises(UserError, match="no such file"):
        session.run("base", [str(tmp_path)], "ls")


def test_unknown_variant() -> None:
    with pytest.raises(UserError, match="there is no variant bas"):
        session.run("bas", [], "ls")


def test_no_guest_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    with pytest.raises(UserError, match="no guest is kept"):
        session.console(None)


def test_console_lines_are_marked(capsys: pytest.CaptureFixture[str]) -> None:
    show = session.ConsoleLines()
    for chunk in (b"half a ", b"line\n\rnext", b" [c0100110]\n\r"):
        show(chunk)
    assert capsys.readouterr().err == "console: half a line\nconsole: next [c0100110]\n"


def test_command_that_ends_well_in_a_guest_that_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = MagicMock()
    machine.check.side_effect = GuestLostError("oops", "oops, guest of variant base")
    guest = MagicMock()
    guest.return_value.__enter__.return_value = machine
    guest.return_value.__exit__.return_value = False
    through = MagicMock()
    through.return_value.command.return_value = 0
    monkeypatch.setattr(session, "guest", guest)
    monkeypatch.setattr(session, "Relay", through)
    with pytest.raises(GuestLostError, match="oops"):
        session.run("base", [], "true")
    machine.check.side_effect = None
    assert session.run("base", [], "true") == 0
