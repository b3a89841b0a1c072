# SPDX-License-Identifier: GPL-2.0-only
"""The cache of built things: whole or absent, built once, and honest about the disk."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from pathlib import Path

import filelock
import pytest

from harness.base import diskroom, paths, store, terminal
from harness.base.errors import InfrastructureError, UnavailableError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of the test's own."""
    monkeypatch.setenv("DIVERT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _write(folder: Path) -> None:
    (folder / "file").write_text("whole")


def test_made_once_then_found() -> None:
    first = store.obtain("toy", "f" * 64, _write, "toy")
    again = store.obtain("toy", "f" * 64, lambda _: pytest.fail("made twice"), "toy")
    assert (first.cached, again.cached) == (False, True)
    assert (again.path / "file").read_text() == "whole"
    assert again.seconds == 0.0 < first.seconds


def test_interrupted_build_leaves_nothing(cache: Path) -> None:
    def interrupted(folder: Path) -> None:
        _write(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.obtain("toy", "a" * 64, interrupted, "toy")
    assert [path for path in (cache / "toy").iterdir() if path.is_dir()] == []
    assert not store.obtain("toy", "a" * 64, _write, "toy").cached


def test_rest_of_a_killed_build_is_not_taken_for_whole(cache: Path) -> None:
    partial = cache / "toy" / ("b" * 32 + ".partial")
    partial.mkdir(parents=True)
    (partial / "rest").touch()
    entry = store.obtain("toy", "b" * 64, _write, "toy")
    assert sorted(path.name for path in entry.path.iterdir()) == ["file"]


def test_full_disk_names_the_file_and_the_way_out() -> None:
    def full(folder: Path) -> None:
        # The kernel's own device that is always full.
        with Path("/dev/full").open("w") as stream:
            stream.write("text")

    with pytest.raises(InfrastructureError, match="no room on the disk of") as caught:
        store.obtain("toy", "c" * 64, full, "toy")
    assert "DIVERT_CACHE" in caught.value.hint


def test_cache_that_is_a_file(cache: Path) -> None:
    cache.write_text("not a folder")
    with pytest.raises(InfrastructureError, match="cannot write"):
        store.obtain("toy", "d" * 64, _write, "toy")


def test_second_process_waits_and_says_for_whom(monkeypatch: pytest.MonkeyPatch) -> None:
    said: queue.Queue[str] = queue.Queue()
    monkeypatch.setattr(terminal, "say", said.put)
    script = (
        "import sys, pathlib\n"
        "from harness.base import store\n"
        "def make(folder):\n"
        "    print('building', flush=True)\n"
        "    sys.stdin.readline()\n"
        "    (folder / 'file').write_text('by the first')\n"
        "store.obtain('toy', 'e' * 64, make, 'toy')\n"
    )
    first = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=paths.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert first.stdin is not None and first.stdout is not None
    assert first.stdout.readline() == "building\n"
    entries: list[store.Entry] = []
    second = threading.Thread(
        target=lambda: entries.append(store.obtain("toy", "e" * 64, _write, "toy"))
    )
    second.start()
    # The message comes before the wait, so it is there once the first may go on.
    assert said.get(timeout=30) == f"waiting for process {first.pid}, which is building toy"
    first.communicate("go\n", timeout=30)
    second.join(timeout=30)
    assert entries[0].cached
    assert (entries[0].path / "file").read_text() == "by the first"


def test_who_only_looks_builds_nothing(cache: Path) -> None:
    with store.looking():
        with pytest.raises(store.AbsentError) as absent:
            store.obtain("kind", "print", _write, "a thing")
        assert (absent.value.what, absent.value.download) == ("a thing", False)
        with (
            pytest.raises(store.AbsentError) as absent,
            store.lock(cache / "lock", "an archive", download=True),
        ):
            raise AssertionError
        assert (absent.value.what, absent.value.download) == ("an archive", True)
    assert not list(cache.rglob("*"))
    store.obtain("kind", "print", _write, "a thing")
    with store.looking():
        assert store.obtain("kind", "print", _write, "a thing").cached


def test_wait_for_another_process_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: queue.Queue[str] = queue.Queue()
    monkeypatch.setattr(terminal, "say", said.put)
    raised: queue.Queue[str] = queue.Queue()

    def wait() -> None:
        try:
            with store.lock(tmp_path / "lock", "toy"):
                raised.put("it has the lock")
        except InfrastructureError as error:
            raised.put(error.message)

    with filelock.FileLock(tmp_path / "lock"):
        waiting = threading.Thread(target=wait)
        waiting.start()
        said.get(timeout=30)
        with store.giving_up():
            assert "toy is still being built by another process" in raised.get(timeout=30)
        waiting.join(30)


@pytest.mark.parametrize(
    "where", ["a b", "a=b", "$HOME", "it's", "x[1]", "a:b", "a%b", "a,b", 'a"b', "#"]
)
def test_a_folder_that_make_takes_apart_is_refused_before_anything_is_made(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIVERT_CACHE", str(tmp_path / where))
    with pytest.raises(InfrastructureError, match="make takes no path with") as caught:
        store.obtain("toy", "f" * 64, lambda _: pytest.fail("made"), "toy")
    assert "DIVERT_CACHE=FOLDER" in caught.value.hint
    assert not (tmp_path / where).exists()


def test_a_folder_of_letters_of_any_language_is_not() -> None:
    assert store.unfit(Path("/home/jürgen/.cache/a_b+c@de~f-1.0")) == ""
    assert store.unfit(Path("/a b/c$d")) == "a space or $"


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (InfrastructureError("does not compile"), 1),
        # What cannot be had now may be had later, and a full disk may be made room on.
        (UnavailableError("no network"), 2),
        (diskroom.FullError("unpacking", Path("/there")), 2),
    ],
)
def test_what_is_broken_is_not_tried_again(error: Exception, tries: int) -> None:
    times: list[Path] = []

    def broken(folder: Path) -> None:
        times.append(folder)
        raise error

    for _ in range(2):
        with pytest.raises(InfrastructureError, match=str(error.args[0])):
            store.obtain("toy", "9" * 64, broken, "toy")
    assert len(times) == tries
    assert not store.obtain("toy", "8" * 64, _write, "toy").cached
