# SPDX-License-Identifier: GPL-2.0-only
"""Removes what the harness has made, and nothing else."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import filelock

from harness.base import holder, occupancy, paths, terminal
from harness.base.errors import InfrastructureError, UserError
from harness.guest import detached
from harness.host.doctor import size, used

# What harness.base.store puts into the folder of a kind: entries by fingerprint, and their locks.
_ENTRY = re.compile(r"[0-9a-f]{32}(\.partial|\.old|\.lock|\.holder|(\.partial)?\.digests)?")
# What harness.debian.packages keeps: the state of an apt-get of its own.
_APT_CONFIGURATION = "apt.conf"


def clean(*, everything: bool = False) -> None:
    """Remove this checkout's runs, guest images, keys and logs; with `everything`, what is built in
    the cache too. Downloads are never removed, nor anything in the cache folder that is not ours.

    Raises UserError while a guest kept by `test --keep` runs, or another process works with what
    would be removed; InfrastructureError while one builds in the cache, or if something cannot be
    removed.
    """
    if guests := detached.running():
        numbers = " ".join(str(guest.pid) for guest in guests)
        raise UserError(
            f"{len(guests)} kept guests still run from {paths.RUNS}", f"end them: kill {numbers}"
        )
    with ExitStack() as stack:
        _require_alone(paths.BUILD, paths.BUILD.parent, stack)
        if everything and paths.cache_dir().is_dir():
            _require_alone(paths.cache_dir(), paths.cache_dir(), stack)
        doomed = [paths.BUILD, *(_built() if everything else ())]
        doomed = [path for path in doomed if path.exists()]
        freed = sum(used(path) if path.is_dir() else 0 for path in doomed)
        if everything:
            _refuse_if_in_use()
        for path in doomed:
            _remove(path)
    terminal.say(f"removed {size(freed)} from {paths.BUILD}" + _also(everything))


def _require_alone(folder: Path, above: Path, stack: ExitStack) -> None:
    """Raise UserError if another process works in a folder; else none begins to, until the end."""
    if others := stack.enter_context(occupancy.left_alone(folder, above)):
        raise UserError(
            f"{folder} is in use: {'; '.join(others)}",
            "wait for the end of that, or end it, then run this again",
        )


def _also(everything: bool) -> str:
    if not everything:
        return f"; kept {paths.cache_dir()} (--everything removes what is built there)"
    return f" and {paths.cache_dir()}; kept the downloads in {paths.downloads_dir()}"


def _kinds() -> Iterator[Path]:
    cache, downloads = paths.cache_dir(), paths.downloads_dir()
    if cache.is_dir():
        yield from (path for path in cache.iterdir() if path.is_dir() and path != downloads)


def _built() -> list[Path]:
    """What the harness has put into the cache folder, which may be one that holds other things."""
    found: list[Path] = []
    for kind in _kinds():
        for path in kind.iterdir():
            if _ENTRY.fullmatch(path.name) or (path / _APT_CONFIGURATION).is_file():
                found.append(path)
    return found


def _refuse_if_in_use() -> None:
    for kind in _kinds():
        for path in kind.glob("*.lock"):
            guard = filelock.FileLock(path)
            try:
                guard.acquire(timeout=0)
            except filelock.Timeout:
                raise InfrastructureError(
                    f"{holder.of(path)} is building in {kind}",
                    "wait for it or end it, then run this again",
                ) from None
            guard.release()


def _remove(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise InfrastructureError(
            f"cannot remove {error.filename or path}: {error.strerror}"
        ) from error
