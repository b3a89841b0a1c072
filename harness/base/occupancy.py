# SPDX-License-Identifier: GPL-2.0-only
"""Who works in a folder just now, so that nobody removes it meanwhile.

Each process has a file there, which it holds a lock on: the lock goes with the process, however
that ends. What is in the file is for whoever is refused.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import shlex
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import filelock

from harness.base import holder, paths
from harness.base.deadline import Deadline
from harness.base.errors import UserError

# Below a folder that is worked in.
FOLDER = "in-use"

# To have one's name written down takes milliseconds, but not while somebody removes all of it.
_GATE_SECONDS = 120.0
_LOOK_SECONDS = 0.02

# The files of this process, by the folder that it works in; each is open.
_mine: dict[Path, Path] = {}
_entering = threading.Lock()


def enter(run: Path | None = None) -> None:
    """Have it known, until this process ends, that it works in the checkout's build/ and in the
    cache; in the folder `run`, if it is for one.

    What cannot be written to needs no such note. Raises DeadlineError if somebody removes what is
    there for two minutes.
    """
    for folder, above in ((paths.BUILD, paths.BUILD.parent), (paths.cache_dir(),) * 2):
        with _entering, contextlib.suppress(OSError):
            if folder not in _mine and above.is_dir():
                _enter(folder, above)
            if run is not None and folder in _mine:
                with _mine[folder].open("a") as stream:
                    stream.write(f", in {run}")


@contextmanager
def left_alone(folder: Path, above: Path) -> Iterator[list[str]]:
    """While this lasts nobody begins to work in `folder`; who does already, but for this process.

    `above` is a folder that stays, from which all see whether they may begin: `folder` or that in
    which it is. Raises DeadlineError if somebody else keeps it so for two minutes.
    """
    with _gate(above):
        yield [said for path in _notes(folder) if (said := _read(path))]


@contextmanager
def once(path: Path, what: str) -> Iterator[None]:
    """Be the only process that does `what`, by the lock file `path`. Raises UserError if another
    does.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    guard = filelock.FileLock(path)
    try:
        guard.acquire(timeout=0)
    except filelock.Timeout:
        raise UserError(
            f"{what} runs in this checkout already: {holder.of(path)}",
            "wait for its end, or use another checkout",
        ) from None
    with holder.holding(guard, path):
        yield


def _enter(folder: Path, above: Path) -> None:
    with _gate(above):
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        # Open, and so locked, until the process ends.
        descriptor, name = tempfile.mkstemp(dir=folder / FOLDER)
        # Whoever may clean here has to see whether the lock is held, also of root's.
        os.fchmod(descriptor, 0o644)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(descriptor, f"{_command(sys.argv)} (process {os.getpid()})".encode())
        _mine[folder] = Path(name)
        atexit.register(_mine[folder].unlink, missing_ok=True)


def _command(words: Sequence[str]) -> str:
    """This process as its user knows it (pure)."""
    program, *rest = words
    if Path(program).name != "cli.py":
        return Path(program).name
    # What ./inv itself has put before them.
    rest = rest[2:] if rest[:1] == ["--search-root"] else rest
    return f"./inv {shlex.join(rest)}".encode(errors="replace").decode()


@contextmanager
def _gate(above: Path) -> Iterator[None]:
    descriptor = os.open(above, os.O_RDONLY | os.O_DIRECTORY)
    try:
        deadline = Deadline(_GATE_SECONDS, f"end of somebody's cleaning in {above}")
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                deadline.check()
                time.sleep(_LOOK_SECONDS)
            except OSError:
                # A file system that locks no folders: what is left is that all look before.
                break
        yield
    finally:
        os.close(descriptor)


def _notes(folder: Path) -> list[Path]:
    found = (folder / FOLDER).iterdir() if (folder / FOLDER).is_dir() else ()
    return [path for path in found if path not in _mine.values()]


def _read(path: Path) -> str:
    """What a process has written of itself; nothing, if it is no more."""
    try:
        with path.open(errors="replace") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return stream.read() or "another process"
            with contextlib.suppress(PermissionError):
                path.unlink(missing_ok=True)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"a process that cannot be asked ({path}: {error.strerror})"
    return ""
