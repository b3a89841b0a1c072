# SPDX-License-Identifier: GPL-2.0-only
"""A stage: what is done on it stays there, and is gone for the next."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.base import paths
from harness.canaries.stage import Stage, stages

INV = """#!/bin/sh
[ ! -e wait ] || { echo waiting; exec sleep 100; }
echo "$*: $(cat text) $(command -v tool) $DIVERT_CACHE"
exit 7
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout, and a cache, of a few files."""
    root = tmp_path / "real"
    cache = tmp_path / "cache"
    for name, text in {
        "real/inv": INV,
        "real/text": "as ever",
        "real/build/runs/old/log": "",
        "real/build/keys/key": "secret",
        "real/.git/HEAD": "",
        "cache/kernel/1234/bzImage": "good",
        "cache/kernel/1234.lock": "",
        "cache/apt/debian/lists/Packages": "good",
        "cache/apt/debian/lists/lock": "",
        "cache/durations.json": "{}",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (root / "inv").chmod(0o755)
    (root / ".venv").mkdir()
    monkeypatch.setattr(paths, "ROOT", root)
    monkeypatch.setenv("DIVERT_CACHE", str(cache))
    return root


@pytest.fixture
def stage(root: Path, tmp_path: Path) -> Iterator[Stage]:
    with stages(tmp_path / "made", 1) as (made,):
        yield made


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def test_it_begins_with_what_is_there(stage: Stage) -> None:
    assert names(stage.root) == {"inv", "text", "build/keys/key"}
    # A folder of links, and files that are its own.
    assert names(stage.cache) == {"apt/debian/lists/Packages", "durations.json"}
    assert (stage.cache / "kernel/1234").is_symlink()


def test_whatever_is_done_is_undone(stage: Stage, root: Path, tmp_path: Path) -> None:
    before = names(stage.root), names(stage.cache)
    stage.append("text", "and more")
    stage.write("folder/new", "")
    (stage.own("kernel", "1234") / "bzImage").write_text("bad")
    (stage.cache / "kernel" / "5678").mkdir()
    (stage.cache / "apt/debian/lists/Packages").unlink()
    (stage.root / "build/runs/new").mkdir(parents=True)
    stage.program("tool", "exit 3")
    stage.environment["X"] = "y"
    stage.move(Path("far", "away"))
    assert (stage.root / "text").read_text() == "as ever\nand more\n"
    # Nothing of the user's has changed.
    assert (root / "text").read_text() == "as ever"
    assert (tmp_path / "cache/kernel/1234/bzImage").read_text() == "good"
    assert (tmp_path / "cache/apt/debian/lists/Packages").read_text() == "good"
    stage.restore()
    assert (names(stage.root), names(stage.cache)) == before
    assert (stage.root / "text").read_text() == "as ever"
    assert (stage.cache / "kernel/1234/bzImage").read_text() == "good"
    assert not list((stage.cache / "kernel").glob("5678"))
    assert not (stage.root / "build/runs").exists()
    assert stage.environment == {}


def test_a_run_has_the_stages_programs_and_cache(stage: Stage) -> None:
    stage.program("tool", "exit 3")
    ran = stage.run(["a", "b"], 60)
    assert ran.status == 7
    assert ran.output == f"a b: as ever {stage.bin}/tool {stage.cache}\n"


def test_a_run_that_lasts_too_long_is_killed(stage: Stage) -> None:
    stage.write("wait", "")
    ran = stage.run([], 0.5)
    assert (ran.output, ran.status) == ("waiting\n", None)


def test_a_signal_is_sent_at_a_line(stage: Stage) -> None:
    stage.write("wait", "")
    stage.send("TERM", "^wait")
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        # As in the background, where what is started has it ignored.
        assert stage.run([], 60).status == -signal.SIGTERM
    finally:
        signal.signal(signal.SIGTERM, before)


def test_old_text_has_to_be_there_once(stage: Stage) -> None:
    stage.replace("text", "ever", "never")
    assert (stage.root / "text").read_text() == "as never"
    with pytest.raises(AssertionError, match="text has 0 times 'ever!'"):
        stage.replace("text", "ever!", "")


def test_stages_go_and_what_runs_there(root: Path, tmp_path: Path) -> None:
    with stages(tmp_path / "made", 2) as made:
        folders = [folder for stage in made for folder in (stage.root, stage.cache)]
        assert len(set(folders)) == 4
        assert os.access(made[1].root / "inv", os.X_OK)
    assert not any(folder.exists() for folder in folders)
    with pytest.raises(KeyboardInterrupt):
        made[0].run([], 1)
