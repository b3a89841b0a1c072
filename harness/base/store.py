# SPDX-License-Identifier: GPL-2.0-only
"""The cache of built things: a folder for each fingerprint, whole or made anew."""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock

from harness.base import digests, diskroom, holder, occupancy, oserrors, paths, terminal
from harness.base.errors import InfrastructureError, UnavailableError

# A build of anything here ends long before; whoever holds a lock for longer is stuck.
LOCK_SECONDS = 1800.0

# Words of make end at blanks; : = % $ mean something there, and a comma does in gcc's options; and
# scripts leave paths unquoted.
_UNFIT = re.compile(r"[^\w/.@+~-]")


# A folder of something that was built, by its fingerprint.
_ENTRY = re.compile(r"[0-9a-f]{32}")

# What did not build, by where it would be.
_broken: dict[Path, InfrastructureError] = {}


@dataclass(frozen=True)
class Entry:
    """One built thing: its folder, the seconds that building took, and whether it was there before.

    `seconds` is 0.0 for what was there before.
    """

    path: Path
    seconds: float
    cached: bool


class AbsentError(Exception):
    """What was looked for (`looking`) is not there: `what` had to be built, or downloaded."""

    def __init__(self, what: str, *, download: bool) -> None:
        super().__init__(what)
        self.what = what
        self.download = download


# Whether this process only looks, in all of its threads.
_looks: list[bool] = []


@contextmanager
def looking() -> Iterator[None]:
    """While this lasts nothing is built or downloaded: where it had to be, AbsentError is raised.

    It is so for all threads, so nothing else may be built meanwhile.
    """
    _looks.append(True)
    try:
        yield
    finally:
        _looks.pop()


# Who wants to know what is used, in all threads of this process.
_noting: list[set[Path]] = []


@contextmanager
def noting() -> Iterator[set[Path]]:
    """While this lasts, what is used of the cache is noted: folders of entries, and what else is
    told to `note`.
    """
    used: set[Path] = set()
    _noting.append(used)
    try:
        yield used
    finally:
        _noting.remove(used)


def note(path: Path) -> None:
    """Have it known that what is at this path is used."""
    for used in _noting:
        used.add(path)


_given_up = threading.Event()


@contextmanager
def giving_up() -> Iterator[None]:
    """While this lasts, no thread of this process waits for another process: `lock` raises there.

    For Ctrl-C, which only the main thread hears of.
    """
    _given_up.set()
    try:
        yield
    finally:
        _given_up.clear()


def root() -> Path:
    """The cache, for what is built in it.

    Raises InfrastructureError for a path that make, or a script of what is built, takes apart.
    """
    folder = paths.cache_dir()
    if found := unfit(folder):
        raise InfrastructureError(
            f"nothing can be built in the cache {folder}: make takes no path with {found}",
            "name another folder: DIVERT_CACHE=FOLDER",
        )
    return folder


def unfit(folder: Path) -> str:
    """What of a path make and shell scripts stumble over, in words; empty if nothing (pure)."""
    found = sorted(set(_UNFIT.findall(str(folder))))
    return " or ".join("a space" if character == " " else character for character in found)


def obtain(kind: str, fingerprint: str, make: Callable[[Path], None], what: str) -> Entry:
    """The folder `<cache>/<kind>/<fingerprint>`, as `keep` has it. Raises what `keep` raises."""
    return keep(root() / kind / fingerprint[:32], make, what)


def keep(target: Path, make: Callable[[Path], None], what: str) -> Entry:
    """The folder `target`, made by `make(folder)` if it is not there yet, or is damaged.

    `make` fills a temporary folder beside it, which is renamed when it is whole and on the disk, so
    that nobody sees half of it; a folder left by an interrupted build is removed by the next. What
    was there is read, once a process, and compared with what was stored: what a bad disk, a loss of
    power or somebody's hand has made of it is said, and made anew. `what` names the
    thing in messages. Two processes never build the same thing at once: the second waits, says for
    whom, and uses what the first made.

    Raises InfrastructureError if the disk is full or not writable, or the wait takes half an hour;
    and whatever `make` raises. What did not build is not tried again by the same process: a broken
    module does not break six times, once for each variant that it is for.
    """
    note(target)
    if not _damage(target):
        return Entry(target, 0.0, True)
    if _looks:
        raise AbsentError(what, download=False)
    if target in _broken:
        raise _broken[target]
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with lock(target.with_suffix(".lock"), what):
            damage = _damage(target)
            if not damage:
                return Entry(target, 0.0, True)
            occupancy.enter()
            if damage != _ABSENT:
                terminal.say(f"{what}, as it is kept: {damage}; it is made anew: {target}")
            begin = time.monotonic()
            try:
                # What is worth a line of its own, its builder says.
                with terminal.activity(f"building {what}", said=False):
                    _make(target, make)
            except (UnavailableError, diskroom.FullError):
                raise
            except InfrastructureError as error:
                _broken[target] = error
                raise
            return Entry(target, time.monotonic() - begin, False)


_ABSENT = "it is not there"

# The folders that this process has found whole, or made, by the state that their digests had then.
_whole: dict[Path, tuple[int, int]] = {}


def _damage(target: Path) -> str:
    """What is wrong with a folder, in words; nothing, if it is what was stored."""
    if not os.path.lexists(target):
        return _ABSENT
    try:
        state = _state(target)
        if state is None or _whole.get(target) != state:
            digests.check(target)
    except digests.DamagedError as error:
        _whole.pop(target, None)
        return str(error)
    if state is not None:
        _whole[target] = state
    return ""


def _state(target: Path) -> tuple[int, int] | None:
    try:
        status = digests.beside(target).stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _make(target: Path, make: Callable[[Path], None]) -> None:
    partial, old = target.with_suffix(".partial"), target.with_suffix(".old")
    for rest in (partial, old):
        _remove(rest)
    partial.mkdir()
    try:
        make(partial)
        digests.write(partial, of=target)
        # Whoever uses what is damaged has it until then: the rest of it may be all that he needs.
        if os.path.lexists(target):
            target.rename(old)
        partial.rename(target)
        digests.settle(target)
        if (state := _state(target)) is not None:
            _whole[target] = state
    finally:
        for rest in (partial, old):
            _remove(rest)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def entries(folder: Path) -> list[Path]:
    """The folders of all that is kept in a cache, with digests beside them."""
    found = (path.with_suffix("") for path in folder.glob(f"*/*{digests.ENDING}"))
    return sorted(path for path in found if _ENTRY.fullmatch(path.name) and path.is_dir())


def is_entry(name: str) -> bool:
    """Whether a folder of a kind can have this name: it is a fingerprint's."""
    return _ENTRY.fullmatch(name) is not None


def adopt(folder: Path, target: Path, what: str) -> bool:
    """Make what is in `folder`, on the same file system, the entry `target`; whether it was not
    there yet. The folder is empty, or gone, then.

    Raises InfrastructureError as `keep`.
    """

    def take(partial: Path) -> None:
        for path in folder.iterdir():
            path.rename(partial / path.name)

    return not keep(target, take, what).cached


def verify(file: Path) -> None:
    """See that a file is still what was stored, where it is used; one that was never stored is not
    looked at.

    Raises InfrastructureError if it is not: the next `keep` of it makes it anew.
    """
    folder = next((each for each in file.parents if _ENTRY.fullmatch(each.name)), None)
    if folder is None:
        return
    try:
        digests.check_file(folder, file)
    except digests.DamagedError as error:
        _whole.pop(folder, None)
        raise InfrastructureError(
            f"{file.parent} is damaged: {error}",
            "run this again, and it is made anew; if it happens again, see to the disk",
        ) from error


@contextmanager
def lock(path: Path, what: str, *, download: bool = False) -> Iterator[None]:
    """Hold the lock file `path` while building `what`; if another process has it, say which.

    `download`: it comes from elsewhere. Raises InfrastructureError after LOCK_SECONDS of waiting.
    """
    if _looks:
        raise AbsentError(what, download=download)
    guard = filelock.FileLock(path)
    try:
        guard.acquire(timeout=0)
    except filelock.Timeout:
        waiting = f"waiting for {holder.of(path)}, which is building {what}"
        try:
            with terminal.activity(waiting):
                guard.acquire(timeout=LOCK_SECONDS, cancel_check=_given_up.is_set)
        except filelock.Timeout:
            raise InfrastructureError(
                f"{what} is still being built by {holder.of(path)} "
                f"after {LOCK_SECONDS / 60:g} minutes",
                "end that process, then run this again",
            ) from None
    with holder.holding(guard, path):
        yield


@contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn an OSError while writing `target` into an InfrastructureError that says what to do."""
    try:
        yield
    except OSError as error:
        raise unwritten(error, target) from error


def unwritten(error: OSError, target: Path | None = None) -> InfrastructureError:
    """What there is to be said, and done, of a file that could not be written."""
    where = Path(error.filename or target or paths.ROOT)
    if error.errno in diskroom.ERRNOS:
        return diskroom.FullError(f"cannot write {where}", where)
    if where.is_relative_to(paths.ROOT):
        hint = "runs, keys and logs are kept in the checkout: use one that you can write to"
    else:
        hint = "use a folder that you can write to: DIVERT_CACHE=FOLDER moves the cache"
    return InfrastructureError(
        f"cannot write {oserrors.shown(where)}: {error.strerror or error}",
        oserrors.way_out(error, where, hint),
    )
