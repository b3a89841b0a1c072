# SPDX-License-Identifier: GPL-2.0-only
"""What to do about a file that the operating system refuses: by the reason that it gives."""

from __future__ import annotations

import errno
from pathlib import Path

# Of a name that a user has given, and nobody can have.
OF_NAMES = (errno.ENAMETOOLONG, errno.ELOOP, errno.EILSEQ)

_SHOWN = 60


def way_out(error: OSError, where: Path, otherwise: str) -> str:
    """What to do where `where` cannot be written; `otherwise`, if the reason does not tell."""
    if error.errno in (errno.ENOTDIR, errno.EEXIST) and (file := _file_in_the_way(where)):
        return f"{shown(file)} is a file, where a folder has to be: move it away; or {otherwise}"
    if error.errno == errno.EISDIR:
        return f"{shown(where)} is a folder, where a file has to be: move it away; or {otherwise}"
    if error.errno in OF_NAMES:
        return "take a shorter path, without links that lead to themselves"
    if error.errno == errno.EIO:
        return "the disk cannot do it: see to that"
    return otherwise


def _file_in_the_way(where: Path) -> Path | None:
    try:
        return next((each for each in (where, *where.parents) if each.is_file()), None)
    except OSError:
        return None


def shown(path: Path | str) -> str:
    """A path for a message, cut in its middle where it is too long for a line."""
    text = str(path)
    return text if len(text) <= 2 * _SHOWN else f"{text[:_SHOWN]}...{text[-_SHOWN:]}"
