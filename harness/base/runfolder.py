# SPDX-License-Identifier: GPL-2.0-only
"""Room on the disk: whether a folder can be written to, and what to do if it cannot."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.base import diskroom, oserrors, paths
from harness.base.errors import NoRoomError

# What a disk says that takes no more.
FULL = frozenset({*diskroom.ERRNOS, errno.EROFS})
# More than what is left of the last block of a file, which may go on for a while on a full disk.
_PROBE = bytes(1 << 16)


def advice(where: Path, error: OSError) -> str:
    """What to do where this cannot be written."""
    if where.absolute().is_relative_to(paths.ROOT):
        other, move = "use a checkout that you can write to", "move the checkout"
    else:
        move = "move the cache: DIVERT_CACHE=FOLDER"
        other = move
    if error.errno in diskroom.ERRNOS:
        return f"make room there, or {move}"
    return oserrors.way_out(error, where, other)


def unwritable(target: Path, error: OSError) -> NoRoomError:
    """What an OSError means that came of writing `target`."""
    where = Path(str(error.filename or target))
    return NoRoomError(
        f"cannot write {oserrors.shown(where)}: {error.strerror or error}", advice(where, error)
    )


@contextmanager
def of_run(target: Path) -> Iterator[None]:
    """Turn an OSError while a run writes `target` into a NoRoomError."""
    try:
        yield
    except OSError as error:
        raise unwritable(target, error) from error


def probe(folder: Path) -> None:
    """Raise NoRoomError if a file cannot be written in a folder of a run."""
    with of_run(folder), tempfile.TemporaryFile(dir=folder) as stream:
        stream.write(_PROBE)
        stream.flush()


def lacking(error: BaseException | None, target: Path) -> NoRoomError | None:
    """The NoRoomError that an error while `target` was written is or amounts to, also one of a
    group; None for any other.
    """
    if isinstance(error, BaseExceptionGroup):
        found = (lacking(each, target) for each in error.exceptions)
        return next((each for each in found if each is not None), None)
    if isinstance(error, NoRoomError):
        return error
    if isinstance(error, OSError) and error.errno in FULL:
        return unwritable(target, error)
    return None
