# SPDX-License-Identifier: GPL-2.0-only
"""The cache of built things: whole or absent, built once, and honest about the disk."""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import filelock
import pytest

from harness.base import digests, diskroom, paths, store, terminal
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


def _afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if another process began: nothing has been looked at."""
    monkeypatch.setattr(store, "_whole", {})


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _exchange(one: Path, other: Path) -> None:
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


ANOTHER = "2" * 32


def _with_another_link(folder: Path) -> None:
    (folder / "link").unlink()
    (folder / "link").symlink_to("/dev/null")


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _a_file_now(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("a file")


def _anothers(folder: Path) -> None:
    _exchange(folder, folder.with_name(ANOTHER))


def _anothers_with_its_digests(folder: Path) -> None:
    _anothers(folder)
    _exchange(digests.beside(folder), digests.beside(folder.with_name(ANOTHER)))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a flipped bit": (lambda here: _flip(here / "bzImage"), "bzImage is not what was stored"),
    "half of it": (lambda here: os.truncate(here / "bzImage", 500), "bzImage is not what was"),
    "nothing of it": (lambda here: os.truncate(here / "bzImage", 0), "bzImage is not what was"),
    "a file that is gone": (lambda here: (here / "bzImage").unlink(), "bzImage is gone"),
    "a file that was not there": (lambda here: (here / "new").touch(), "new was not there"),
    "a program that is none now": (lambda here: (here / "bin/cc").chmod(0o644), "bin/cc is not"),
    "a link to elsewhere": (_with_another_link, "link is not what was stored"),
    "an empty folder": (_emptied, "bin is gone"),
    "a file in its place": (_a_file_now, "cannot be read"),
    "another's folder": (_anothers, "bzImage is not what was stored"),
    "another's folder with its digests": (
        _anothers_with_its_digests,
        f"it is kernel/{ANOTHER}, in another's place",
    ),
    "no digests": (lambda here: digests.beside(here).unlink(), "it has no digests"),
    "half of the digests": (
        lambda here: os.truncate(digests.beside(here), 90),
        ".digests is not what was stored",
    ),
    "one bit of the digests": (
        lambda here: _flip(digests.beside(here)),
        ".digests is not what was stored",
    ),
    "nothing of the digests": (
        lambda here: os.truncate(digests.beside(here), 0),
        ".digests cannot be read",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_named_and_made_anew(
    damage: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def make(content: bytes) -> Callable[[Path], None]:
        def fill(folder: Path) -> None:
            (folder / "bin").mkdir()
            (folder / "bin/cc").touch(0o755)
            (folder / "bzImage").write_bytes(content)
            (folder / "link").symlink_to("bin/cc")

        return fill

    right = b"kernel" * 1000
    store.obtain("kernel", "2" * 64, make(b"another" * 1000), "another kernel")
    first = store.obtain("kernel", "1" * 64, make(right), "toy")
    _afresh(monkeypatch)
    assert store.obtain("kernel", "1" * 64, make(right), "toy").cached
    do, words = DAMAGES[damage]
    do(first.path)
    _afresh(monkeypatch)
    with store.looking(), pytest.raises(store.AbsentError):
        store.obtain("kernel", "1" * 64, make(right), "toy")
    capsys.readouterr()
    again = store.obtain("kernel", "1" * 64, make(right), "toy")
    assert not again.cached
    assert (again.path / "bzImage").read_bytes() == right
    said = capsys.readouterr().err
    assert said.startswith("toy, as it is kept: ")
    assert words in said
    assert f"; it is made anew: {first.path}" in said
    _afresh(monkeypatch)
    assert store.obtain("kernel", "1" * 64, make(right), "toy").cached
    assert {path.name for path in first.path.parent.iterdir() if path.suffix != ".lock"} <= {
        name + ending for name in ("1" * 32, "2" * 32) for ending in ("", digests.ENDING)
    }


def test_what_is_whole_is_read_once_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[Path] = []
    check = digests.check

    def counted(folder: Path) -> None:
        times.append(folder)
        check(folder)

    monkeypatch.setattr(digests, "check", counted)
    for _ in range(3):
        store.obtain("toy", "1" * 64, _write, "toy")
    assert len(times) == 0, "it was made by this process"
    _afresh(monkeypatch)
    for _ in range(3):
        store.obtain("toy", "1" * 64, _write, "toy")
    assert len(times) == 1


def test_killed_before_its_digests_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(digests, "settle", killed)
        store.obtain("toy", "1" * 64, _write, "toy")
    assert not store.obtain("toy", "1" * 64, _write, "toy").cached


def test_what_was_written_is_on_the_disk_before_it_has_its_name(
    monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    seen: list[bool] = []
    synchronize = digests._synchronize
    target = cache / "toy" / ("1" * 32)

    def look(folder: Path) -> None:
        seen.append((folder / "file").read_text() == "whole" and not target.exists())
        synchronize(folder)

    monkeypatch.setattr(digests, "_synchronize", look)
    store.obtain("toy", "1" * 64, _write, "toy")
    assert seen == [True]


def test_a_file_is_looked_at_again_where_it_is_used() -> None:
    entry = store.obtain("toy", "1" * 64, _write, "toy")
    store.verify(entry.path / "file")
    _flip(entry.path / "file")
    with pytest.raises(InfrastructureError, match="file is not what was stored") as caught:
        store.verify(entry.path / "file")
    assert str(entry.path) in caught.value.message
    assert "again" in caught.value.hint
    (entry.path / "file").unlink()
    with pytest.raises(InfrastructureError, match="file is gone"):
        store.verify(entry.path / "file")
    assert not store.obtain("toy", "1" * 64, _write, "toy").cached
    store.verify(entry.path / "file")


def test_a_file_that_is_none_of_the_cache_is_not_known(tmp_path: Path) -> None:
    (tmp_path / "bzImage").touch()
    store.verify(tmp_path / "bzImage")


def test_what_is_kept_elsewhere(tmp_path: Path) -> None:
    """The checkout's own: guest images and keys."""
    target = tmp_path / "build" / "keys"
    assert not store.keep(target, _write, "the keys").cached
    assert store.keep(target, _write, "the keys").cached
    assert (target / "file").read_text() == "whole"
