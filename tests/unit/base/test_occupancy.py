# SPDX-License-Identifier: GPL-2.0-only
"""Who works in a folder is known until his process ends, and nobody begins while it is removed."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.base import occupancy, paths
from harness.base.errors import DeadlineError, UserError


@pytest.fixture(name="build", autouse=True)
def _build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The build/ of a checkout, and a cache, none of which this process works in."""
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    monkeypatch.setenv("DIVERT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    monkeypatch.setattr(occupancy, "_mine", {})
    return tmp_path / "build"


@contextmanager
def another(what: str, build: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that does something in that checkout, then waits."""
    script = (
        "import sys, pathlib\n"
        "from harness.base import occupancy, paths\n"
        f"paths.BUILD = pathlib.Path({str(build)!r})\n"
        "sys.argv = ['/x/cli.py', '--search-root', '/x', 'test', '-k', 'a b']\n"
        f"{what}\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=paths.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def who(folder: Path, above: Path) -> list[str]:
    with occupancy.left_alone(folder, above) as others:
        return others


def test_who_works_there_is_known_and_in_which_run(build: Path) -> None:
    with another("occupancy.enter(pathlib.Path('/runs/one'))", build) as process:
        said = f"./inv test -k 'a b' (process {process.pid}), in /runs/one"
        assert who(build, build.parent) == [said]
        assert who(paths.cache_dir(), paths.cache_dir()) == [said]
        # To look changes nothing.
        assert who(build, build.parent) == [said]


@pytest.mark.parametrize("how", ["killed", "ended"])
def test_until_the_process_ends_however(how: str, build: Path) -> None:
    with another("occupancy.enter()", build) as process:
        if how == "killed":
            process.kill()
        process.communicate("go on\n", timeout=30)
        assert who(build, build.parent) == []
    assert list((build / occupancy.FOLDER).iterdir()) == []


def test_who_is_root_can_be_asked_by_others(build: Path) -> None:
    """Else what a killed command of root's has left would be in the way for good."""
    with another("occupancy.enter()", build):
        (note,) = (build / occupancy.FOLDER).iterdir()
        assert note.stat().st_mode & 0o777 == 0o644


def test_threads_of_a_process_are_one(build: Path) -> None:
    threads = [threading.Thread(target=occupancy.enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(list((build / occupancy.FOLDER).iterdir())) == 1


def test_note_that_cannot_be_read_is_somebody(build: Path) -> None:
    (build / occupancy.FOLDER / "a-folder").mkdir(parents=True)
    assert "cannot be asked" in who(build, build.parent)[0]


def test_file_system_that_locks_no_folder(build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build.mkdir()
    flock = fcntl.flock

    def refuse(file: int, how: int) -> None:
        descriptor = file if isinstance(file, int) else file.fileno()
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.ENOLCK, "No locks available")
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", refuse)
    occupancy.enter()
    with another("occupancy.enter()", build):
        assert len(who(build, build.parent)) == 1


def test_oneself_is_nobody_else(build: Path) -> None:
    occupancy.enter()
    occupancy.enter(build / "runs" / "one")
    assert who(build, build.parent) == []
    assert len(list((build / occupancy.FOLDER).iterdir())) == 1


def test_who_begins_while_it_is_removed_waits(build: Path) -> None:
    build.mkdir()
    began = threading.Event()

    def begin() -> None:
        occupancy.enter()
        began.set()

    with occupancy.left_alone(build, build.parent):
        thread = threading.Thread(target=begin)
        thread.start()
        shutil.rmtree(build)
        assert not began.is_set()
    assert began.wait(30)
    thread.join(30)
    assert len(list((build / occupancy.FOLDER).iterdir())) == 1


def test_but_not_for_ever(build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(occupancy, "_GATE_SECONDS", 0.05)
    with (
        occupancy.left_alone(build, build.parent),
        pytest.raises(DeadlineError, match="end of somebody's cleaning"),
    ):
        occupancy.enter()


def test_what_cannot_be_written_needs_no_note(build: Path) -> None:
    build.write_text("in the way")
    occupancy.enter(build / "runs" / "one")
    assert who(paths.cache_dir(), paths.cache_dir()) == []


def test_what_may_be_done_once_at_a_time(build: Path) -> None:
    lock = build / "mutations" / "lock"
    held = f"once = occupancy.once(pathlib.Path({str(lock)!r}), './inv mutate'); once.__enter__()"
    with (
        another(f"holder = {held}", build) as process,
        pytest.raises(UserError, match=rf"\./inv mutate runs .*already: process {process.pid}"),
        occupancy.once(lock, "./inv mutate"),
    ):
        pass
    with occupancy.once(lock, "./inv mutate"):
        pass
