# SPDX-License-Identifier: GPL-2.0-only
"""An initramfs archive (cpio, "newc"), made without root (pure, but for reading the files).

The format: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_MAGIC = b"070701"
_END = "TRAILER!!!"
_KINDS = {"c": stat.S_IFCHR, "b": stat.S_IFBLK, "d": stat.S_IFDIR}


@dataclass(frozen=True)
class Entry:
    """One file: its path without a leading slash, mode with its type, content, device numbers."""

    name: str
    mode: int
    content: bytes = b""
    major: int = 0
    minor: int = 0


def devices(table: str) -> list[Entry]:
    """The entries of a device table in genext2fs's form: those that are there one by one.

    Columns: name, type, mode, uid, gid, major, minor, start, increment, count.
    """
    entries = []
    for line in table.splitlines():
        words = line.partition("#")[0].split()
        if len(words) != 10:
            continue
        name, kind, mode = words[0].lstrip("/"), _KINDS[words[1]], int(words[2], 8)
        if words[5] == "-":
            entries.append(Entry(name, kind | mode))
            continue
        major, minor = int(words[5]), int(words[6])
        if words[9] == "-":
            entries.append(Entry(name, kind | mode, b"", major, minor))
            continue
        start, step, count = int(words[7]), int(words[8]), int(words[9])
        for number in range(count):
            numbered = f"{name}{start + number}"
            entries.append(Entry(numbered, kind | mode, b"", major, minor + step * number))
    return entries


def tree(root: Path) -> list[Entry]:
    """The entries of a folder, sorted; a folder comes before what is in it."""
    entries = []
    for path in sorted(root.rglob("*")):
        name, mode = path.relative_to(root).as_posix(), path.lstat().st_mode
        if path.is_symlink():
            entries.append(Entry(name, stat.S_IFLNK | 0o777, str(path.readlink()).encode()))
        elif path.is_dir():
            entries.append(Entry(name, mode))
        else:
            entries.append(Entry(name, mode, path.read_bytes()))
    return entries


def archive(entries: Iterable[Entry]) -> bytes:
    """The archive; all is root's, and has no time. Of entries with one name the last one holds."""
    data = bytearray()
    for number, entry in enumerate((*entries, Entry(_END, 0)), start=1):
        name = entry.name.encode() + b"\0"
        links = 2 if stat.S_ISDIR(entry.mode) else 1
        size = len(entry.content)
        # Inode, mode, uid, gid, links, time, size, its own device, what it stands for, check sum.
        fields = [number, entry.mode, 0, 0, links, 0, size, 0, 0]
        fields += [entry.major, entry.minor, len(name), 0]
        data += _MAGIC + b"".join(b"%08X" % field for field in fields)
        data += name
        data += bytes(-len(data) % 4)
        data += entry.content
        data += bytes(-len(data) % 4)
    return bytes(data)
