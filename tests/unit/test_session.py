# SPDX-License-Identifier: GPL-2.0-only
"""Mistakes in what a person asks for are told before anything is built or booted."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import paths, session
from harness.errors import UserError


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
