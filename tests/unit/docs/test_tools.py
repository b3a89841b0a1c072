# SPDX-License-Identifier: GPL-2.0-only
"""The tools of the site: pinned, kept by their lock file, told in words where there are none."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.base import command, paths
from harness.base.errors import InfrastructureError, UnavailableError
from harness.docs import tools

ROWS = re.findall(r"^([\w.-]+)(?:\[\w+\])?==", tools.LOCK.read_text(), re.MULTILINE)

_RUN = command.run


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIVERT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")


def _pip(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Let a program of Python's be pip; its words are sys.argv."""

    def run(argv: Sequence[str | Path], **how: object) -> None:
        assert "--require-hashes" in argv
        _RUN([sys.executable, "-c", program, *argv[1:]], **how)  # type: ignore[arg-type]

    monkeypatch.setattr(command, "run", run)


INSTALLS = """
import pathlib, sys
folder = pathlib.Path(sys.argv[sys.argv.index("--target") + 1])
(folder / "mkdocs.py").write_text("")
"""


def test_they_are_installed_once_for_a_lock_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _pip(monkeypatch, INSTALLS)
    first = tools.folder()
    assert [path.name for path in first.iterdir()] == ["mkdocs.py"]
    _pip(monkeypatch, "raise SystemExit('not again')")
    assert tools.folder() == first
    monkeypatch.setattr(tools, "LOCK", tmp_path / "other.lock")
    (tmp_path / "other.lock").write_text("another==1\n")
    with pytest.raises(InfrastructureError, match="not again"):
        tools.folder()


@pytest.mark.parametrize(
    "said",
    [
        "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError'",
        "ERROR: No matching distribution found for mkdocs==1.6.1",
    ],
)
def test_without_an_index_they_cannot_be_had_here(
    said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _pip(monkeypatch, f"raise SystemExit({said!r})")
    with pytest.raises(UnavailableError) as raised:
        tools.folder()
    assert "the Python packages of requirements-docs.lock cannot be downloaded" in str(raised.value)
    assert "PIP_INDEX_URL" in raised.value.hint


def test_another_package_than_the_pinned_one_is_no_matter_of_the_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _pip(monkeypatch, "raise SystemExit('ERROR: THESE PACKAGES DO NOT MATCH THE HASHES')")
    with pytest.raises(InfrastructureError, match="DO NOT MATCH THE HASHES") as raised:
        tools.folder()
    assert not isinstance(raised.value, UnavailableError)


def test_all_that_is_asked_for_is_pinned_and_no_part_of_the_first_command() -> None:
    text = (paths.ROOT / "requirements-docs.in").read_text()
    asked = {line.partition("[")[0] for line in text.splitlines() if line and line[0] != "#"}
    assert asked <= set(ROWS)
    assert "--hash=sha256:" in tools.LOCK.read_text()
    first = (paths.ROOT / "requirements.lock").read_text()
    assert not [name for name in asked if f"{name}==" in first]
