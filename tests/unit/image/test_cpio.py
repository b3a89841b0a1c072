# SPDX-License-Identifier: GPL-2.0-only
"""The initramfs: what cpio(1) reads out of it, and the devices of a table."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from harness.image import cpio, rootfs
from harness.image.cpio import Entry


def fields(data: bytes) -> list[tuple[str, int, bytes, int, int]]:
    """Name, mode, content and device numbers of each file of an archive, by the format's text."""
    found, at = [], 0
    while at < len(data):
        assert data[at : at + 6] == b"070701"
        words = [int(data[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        name_end = at + 110 + words[11]
        content = (name_end + 3) // 4 * 4
        name = data[at + 110 : name_end - 1].decode()
        found.append((name, words[1], data[content : content + words[6]], words[9], words[10]))
        at = (content + words[6] + 3) // 4 * 4
    return found


def test_archive_of_a_tree(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    (root / "bin/sh").write_bytes(b"program")
    (root / "bin/sh").chmod(0o755)
    (root / "bin/link").symlink_to("sh")
    data = cpio.archive([*cpio.tree(root), Entry("dev/null", stat.S_IFCHR | 0o666, b"", 1, 3)])
    assert [(name, content) for name, _, content, _, _ in fields(data)] == [
        ("bin", b""),
        ("bin/link", b"sh"),
        ("bin/sh", b"program"),
        ("dev/null", b""),
        ("TRAILER!!!", b""),
    ]
    assert [oct(mode) for _, mode, _, _, _ in fields(data)][1:4] == [
        oct(stat.S_IFLNK | 0o777),
        oct(stat.S_IFREG | 0o755),
        oct(stat.S_IFCHR | 0o666),
    ]
    assert fields(data)[3][3:] == (1, 3)
    if program := shutil.which("cpio"):
        done = subprocess.run([program, "-t"], input=data, capture_output=True, check=True)
        assert done.stdout.decode().split() == ["bin", "bin/link", "bin/sh", "dev/null"]


def test_devices_of_the_image() -> None:
    entries = {entry.name: entry for entry in cpio.devices(rootfs.DEVICES.read_text())}
    assert (entries["dev/console"].major, entries["dev/console"].minor) == (5, 1)
    assert [entries[f"dev/ttyS{n}"].minor for n in range(4)] == [64, 65, 66, 67]
    assert stat.S_ISDIR(entries["dev/pts"].mode)
    assert stat.S_ISBLK(entries["dev/ram0"].mode)
    assert stat.S_IMODE(entries["tmp"].mode) == 0o1777


@pytest.mark.parametrize("line", ["", "# /dev/x c 600 0 0 1 1 - - -", "/dev/x c 600"])
def test_lines_that_are_no_devices(line: str) -> None:
    assert cpio.devices(line) == []
