# SPDX-License-Identifier: GPL-2.0-only
"""Who holds a lock file, in words, for whoever has to wait or is refused."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock


def of(path: Path) -> str:
    """Who holds the lock file `path`, as he has said it."""
    try:
        return _note(path).read_text() or "another process"
    except OSError:
        return "another process"


@contextmanager
def holding(guard: filelock.BaseFileLock, path: Path) -> Iterator[None]:
    """Have it known that this process holds `guard`, of the lock file `path`; then let go of it."""
    note = _note(path)
    try:
        note.write_text(f"process {os.getpid()}")
        yield
    finally:
        note.unlink(missing_ok=True)
        guard.release()


def _note(path: Path) -> Path:
    return path.with_suffix(".holder")
