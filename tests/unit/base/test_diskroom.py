# SPDX-License-Identifier: GPL-2.0-only
"""A full disk is named as what it is, with the way out, whoever met it."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.base import command, diskroom, paths, store

Usage = namedtuple("Usage", "total used free")

TAR = """
tar: net/ipv4: Cannot mkdir: No space left on device
tar: net/ipv4/core.c: Cannot open: No such file or directory
tar: Exiting with failure status due to previous errors
"""


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIVERT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DIVERT_DOWNLOADS", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)


def test_program_that_says_so(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    with pytest.raises(diskroom.FullError) as caught:
        command.run(
            ["sh", "-c", f"echo '{TAR}'; exit 2"],
            what="unpacking x.tar",
            log=tmp_path / "log",
            seconds=10,
            into=cache,
        )
    assert caught.value.message == f"unpacking x.tar: no room on the disk of {cache}"
    assert caught.value.hint == "make room there, or move the cache: DIVERT_CACHE=FOLDER"


def test_program_that_fails_for_another_reason(tmp_path: Path) -> None:
    assert diskroom.full("trial", "No such file or directory", tmp_path) is None


def test_program_whose_output_was_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(1 << 30, 1 << 30, 4096))
    assert diskroom.full("trial", "", tmp_path / "cache" / "part")


def test_the_fuller_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler's temporary files lie on another disk than what it makes."""

    monkeypatch.setattr(Path, "stat", lambda path: SimpleNamespace(st_dev=str(path)))
    monkeypatch.setattr(Path, "exists", lambda _path: True)

    def usage(path: Path) -> Usage:
        return Usage(1, 1, 0 if path == tmp_path / "tmp" else 1 << 30)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    error = diskroom.full("trial", "cc1: fatal error: No space left on device", tmp_path / "cache")
    assert error is not None
    assert error.message.endswith(str(tmp_path / "tmp"))
    assert "TMPDIR=FOLDER" in error.hint


def test_file_of_our_own(tmp_path: Path) -> None:
    target = tmp_path / "cache" / "toy"
    with (
        pytest.raises(diskroom.FullError, match="no room on the disk of") as caught,
        store.disk_errors(target),
        Path("/dev/full").open("w") as stream,
    ):
        stream.write("text")
    assert "DIVERT_CACHE=FOLDER" in caught.value.hint


def test_way_out_of_the_downloads_and_of_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIVERT_DOWNLOADS", str(tmp_path / "tmp" / "archives"))
    downloads = diskroom.FullError("x", paths.downloads_dir() / "packages")
    assert downloads.hint.endswith("move the downloads: DIVERT_DOWNLOADS=FOLDER")
    assert diskroom.FullError("x", paths.BUILD / "runs").hint == "make room there"
