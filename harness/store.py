# SPDX-License-Identifier: GPL-2.0-only
"""The cache of built things: a folder for each fingerprint, whole or not there at all."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock

from harness import diskroom, paths, terminal
from harness.errors import InfrastructureError

# A build of anything here ends long before; whoever holds a lock for longer is stuck.
LOCK_SECONDS = 1800.0


@dataclass(frozen=True)
class Entry:
    """One built thing: its folder, the seconds that building took, and whether it was there before.

    `seconds` is 0.0 for what was there before.
    """

    path: Path
    seconds: float
    cached: bool


def obtain(kind: str, fingerprint: str, make: Callable[[Path], None], what: str) -> Entry:
    """The folder `<cache>/<kind>/<fingerprint>`, made by `make(folder)` if it is not there yet.

    `make` fills a temporary folder beside it, which is renamed when it is whole, so that nobody
    sees half of it; a folder left by an interrupted build is removed by the next. `what` names the
    thing in messages. Two processes never build the same thing at once: the second waits, says for
    whom, and uses what the first made.

    Raises InfrastructureError if the disk is full or not writable, or the wait takes half an hour;
    and whatever `make` raises.
    """
    target = paths.cache_dir() / kind / fingerprint[:32]
    if target.is_dir():
        return Entry(target, 0.0, True)
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with lock(target.with_suffix(".lock"), what):
            if target.is_dir():
                return Entry(target, 0.0, True)
            partial = target.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            begin = time.monotonic()
            try:
                make(partial)
                partial.rename(target)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
            return Entry(target, time.monotonic() - begin, False)


@contextmanager
def lock(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file `path` while building `what`; if another process has it, say which.

    Raises InfrastructureError after LOCK_SECONDS of waiting.
    """
    holder = path.with_suffix(".holder")
    guard = filelock.FileLock(path)
    try:
        guard.acquire(timeout=0)
    except filelock.Timeout:
        terminal.say(f"waiting for {_read_holder(holder)}, which is building {what}")
        try:
            guard.acquire(timeout=LOCK_SECONDS)
        except filelock.Timeout:
            raise InfrastructureError(
                f"{what} is still being built by {_read_holder(holder)} "
                f"after {LOCK_SECONDS / 60:g} minutes",
                "end that process, then run this again",
            ) from None
    try:
        holder.write_text(f"process {os.getpid()}")
        yield
    finally:
        holder.unlink(missing_ok=True)
        guard.release()


def _read_holder(holder: Path) -> str:
    try:
        return holder.read_text() or "another process"
    except OSError:
        return "another process"


@contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn an OSError while writing `target` into an InfrastructureError that says what to do."""
    try:
        yield
    except OSError as error:
        where = error.filename or target
        if error.errno in diskroom.ERRNOS:
            raise diskroom.FullError(f"cannot write {where}", Path(where)) from error
        raise InfrastructureError(
            f"cannot write {where}: {error.strerror or error}",
            "make room there, or move the cache: DIVERT_CACHE=FOLDER",
        ) from error
