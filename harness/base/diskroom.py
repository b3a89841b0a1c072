# SPDX-License-Identifier: GPL-2.0-only
"""The room on a disk, and what is said where there is none left."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from pathlib import Path

from harness.base import paths
from harness.base.errors import InfrastructureError

ERRNOS = (errno.ENOSPC, errno.EDQUOT)

# In which programs say so; apt-get looks before it begins.
_WORDS = re.compile(r"No space left on device|Disk quota exceeded|don't have enough free space in")

# What a program that failed has written there may have been removed since, by itself.
_NOTHING = 64 << 10

_MAKE_ROOM = "make room there"


class FullError(InfrastructureError):
    """There is no room on a disk: `what` could not be done, and `path` lies there."""

    def __init__(self, what: str, path: Path) -> None:
        super().__init__(f"{what}: no room on the disk of {path}", _way_out(path))
        self.path = path

    def of(self, what: str) -> FullError:
        """The same, said of what was to be done as a whole."""
        return FullError(what, self.path)


def _way_out(path: Path) -> str:
    for folder, variable, noun in (
        (paths.downloads_dir(), "DIVERT_DOWNLOADS", "the downloads"),
        (paths.cache_dir(), "DIVERT_CACHE", "the cache"),
        (paths.ROOT, "", ""),
        (Path(tempfile.gettempdir()), "TMPDIR", "what is temporary"),
    ):
        # The downloads are in the cache where nobody says otherwise, and move with it.
        if path.is_relative_to(folder) and (variable in os.environ or "DOWNLOADS" not in variable):
            return f"make room there, or move {noun}: {variable}=FOLDER" if variable else _MAKE_ROOM
    return _MAKE_ROOM


def full(what: str, said: str, folder: Path) -> FullError | None:
    """The error for a program that failed, if it was for want of room; None, if it was not.

    By what it said; a program whose own output could not be written says nothing. Compilers write
    to the folder for temporary files too: named is the one of the two that has less room.
    """
    folder = _existing(folder)
    disks = {path.stat().st_dev: path for path in (Path(tempfile.gettempdir()), folder)}
    fullest = min(disks.values(), key=_free)
    if _WORDS.search(said) or _free(fullest) < _NOTHING:
        return FullError(what, fullest)
    return None


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free
