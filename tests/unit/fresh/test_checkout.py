# SPDX-License-Identifier: GPL-2.0-only
"""What git is asked, and what is made of its answers. Git itself is not needed on a host for tests;
each room shows that a clone is what it should be.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.base import paths
from harness.base.errors import InfrastructureError
from harness.fresh import checkout


class Git:
    """A program of that name in PATH, which writes down what it is asked."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._asked = folder / "asked"
        self._program = folder / "bin/git"
        self._program.parent.mkdir()
        monkeypatch.setenv("PATH", f"{self._program.parent}:{os.environ['PATH']}")
        self.answers("")

    def answers(self, script: str) -> None:
        """Let it do what a shell's script says."""
        self._program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{self._asked}\n{script}\n')
        self._program.chmod(0o755)

    @property
    def asked(self) -> list[str]:
        return self._asked.read_text().splitlines()


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    monkeypatch.setattr(paths, "ROOT", Path("/a=b [1] $HOME"))
    return Git(tmp_path, monkeypatch)


def test_clone_is_made_with_the_umask_of_who_makes_it(git: Git, tmp_path: Path) -> None:
    git.answers(f"umask >{tmp_path}/umask")
    target = tmp_path / "some where/clone"
    checkout.clone(target, 0o077)
    assert git.asked[-2:] == ["/a=b [1] $HOME", str(target)]
    assert target.parent.is_dir()
    assert int((tmp_path / "umask").read_text(), 8) == 0o077


def test_file_as_it_is_committed(git: Git) -> None:
    git.answers("echo text")
    assert checkout.committed("README.md") == "text\n"
    assert git.asked[-2:] == ["show", "HEAD:README.md"]


def test_changed_files_are_counted(git: Git) -> None:
    assert checkout.uncommitted() == 0
    git.answers("echo ' M one'; echo '?? two'")
    assert checkout.uncommitted() == 2


def test_what_git_refuses_is_said(git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    git.answers("echo 'fatal: not a git repository' >&2; exit 128")
    with pytest.raises(InfrastructureError, match="not a git repository\na room has what is comm"):
        checkout.uncommitted()
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(InfrastructureError, match="cannot start git"):
        checkout.uncommitted()
