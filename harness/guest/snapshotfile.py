# SPDX-License-Identifier: GPL-2.0-only
"""The file without a name that QEMU keeps snapshots in: on a disk if it may be, else in memory."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

# A snapshot of the largest guest, twice. Where there is memory to spare it never gets to the disk.
ROOM = 1 << 30


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
