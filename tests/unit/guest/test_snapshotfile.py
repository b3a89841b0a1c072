# SPDX-License-Identifier: GPL-2.0-only
"""Where snapshots are kept: on the folder's disk without a name, or in memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import pytest

from harness.guest import snapshotfile


class Usage(NamedTuple):
    free: int


def kind(descriptor: int) -> str:
    """What the file is: on the disk of /proc's link, or in memory."""
    target = str(Path(f"/proc/self/fd/{descriptor}").readlink())
    assert os.fstat(descriptor).st_nlink == 0
    os.write(descriptor, b"snapshot")
    assert os.pread(descriptor, 8, 0) == b"snapshot"
    os.close(descriptor)
    return "memory" if target.startswith("/memfd:") else str(Path(target).parent)


def test_on_the_disk_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(snapshotfile.ROOM))
    assert kind(snapshotfile.create(tmp_path)) == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_in_memory_where_the_disk_is_nearly_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(snapshotfile.ROOM - 1))
    assert kind(snapshotfile.create(tmp_path)) == "memory"


def test_in_memory_where_all_files_have_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(snapshotfile.ROOM))
    monkeypatch.setattr(os, "open", refuse)
    assert kind(snapshotfile.create(tmp_path)) == "memory"


def test_what_is_begun_from_a_file_leaves_that_as_it_is(tmp_path: Path) -> None:
    """And what is written to one with a name is nobody else's to read: it is a guest's memory."""
    memory = os.memfd_create("test")
    os.write(memory, bytes(range(256)) * 1000)
    named = tmp_path / "ready"
    before = os.umask(0)
    try:
        snapshotfile.write(memory, named)
    finally:
        os.umask(before)
    assert named.stat().st_mode & 0o777 == 0o600
    begun = snapshotfile.begun(tmp_path, named)
    assert os.pread(begun, 1 << 20, 0) == named.read_bytes() == bytes(range(256)) * 1000
    os.pwrite(begun, b"other", 0)
    assert named.read_bytes() == bytes(range(256)) * 1000
    for descriptor in (memory, begun):
        os.close(descriptor)
