# SPDX-License-Identifier: GPL-2.0-only
"""The file without a name that QEMU keeps snapshots in: on a disk if it may be, else in memory."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

# A snapshot of the largest guest, twice. Where there is memory to spare it never gets to the disk.
ROOM = 1 << 30


def write(descriptor: int, target: Path) -> None:
    """Write what is in such a file to another, which has a name, and is closed to others: all of a
    guest's memory is in it.
    """
    named = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        _copy(descriptor, named)
    finally:
        os.close(named)


def begun(folder: Path, source: Path) -> int:
    """As `create`, with the content of `source`, which nothing is written to."""
    descriptor = create(folder)
    with source.open("rb") as stream:
        _copy(stream.fileno(), descriptor)
    return descriptor


def _copy(source: int, target: int) -> None:
    """From the first byte on, in the kernel."""
    size, done = os.fstat(source).st_size, 0
    while done < size:
        done += os.sendfile(target, source, done, size - done)


def create(folder: Path) -> int:
    """A descriptor of an empty file on the file system of `folder`, gone when it is closed.

    QEMU reads a snapshot from most file systems in the call that asks for it, from tmpfs (which is
    what memory files are on) by a thread for each piece. One that cannot have files without a name
    (O_TMPFILE: overlays of old kernels, some network file systems), or has not `ROOM` bytes to
    spare, gives way to memory.
    """
    try:
        if shutil.disk_usage(folder).free >= ROOM:
            return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError:
        pass
    return os.memfd_create("snapshots")
