# SPDX-License-Identifier: GPL-2.0-only
"""What a user is told to do fits the reason: a file in the way is no want of room."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.base import errors, oserrors, paths, runfolder, store
from harness.base.errors import InfrastructureError
from harness.upstream import download

LONG = "n" * 300

Write = Callable[[Path], object]


def of_cache(folder: Path) -> None:
    with store.disk_errors(folder):
        folder.mkdir(parents=True)


def of_run(folder: Path) -> None:
    with runfolder.of_run(folder):
        folder.mkdir(parents=True)


def of_downloads(folder: Path) -> None:
    download.fetch(["http://192.0.2.1/x"], folder, lambda _: None)


@pytest.mark.parametrize("write", [of_cache, of_run, of_downloads])
@pytest.mark.parametrize("place", ["file", "file/below/it"])
def test_file_where_a_folder_has_to_be(write: Write, place: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InfrastructureError) as caught:
        write(tmp_path / place)
    hint = caught.value.hint
    assert hint.startswith(f"{tmp_path}/file is a file, where a folder has to be: move it away")
    assert "room" not in hint


@pytest.mark.parametrize("write", [of_cache, of_run, of_downloads])
def test_name_that_is_too_long(write: Write, tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="File name too long") as caught:
        write(tmp_path / LONG)
    assert caught.value.hint.startswith("take a shorter path")
    assert LONG not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (IsADirectoryError(21, "Is a directory"), "/x/y is a folder, where a file has to be"),
        (OSError(5, "Input/output error"), "the disk cannot do it"),
        (PermissionError(13, "Permission denied"), "otherwise"),
        (FileExistsError(17, "File exists"), "otherwise"),
    ],
)
def test_other_reasons(error: OSError, words: str) -> None:
    assert oserrors.way_out(error, Path("/x/y"), "otherwise").startswith(words)


def test_read_only_disk_is_not_full() -> None:
    """The run ends there too; but room is of no use."""
    error = runfolder.unwritable(paths.RUNS, OSError(30, "Read-only file system"))
    assert error.hint == "use a checkout that you can write to"


@pytest.mark.parametrize(
    "words",
    [
        ("cc", f"/tmp/{LONG}.c"),
        ("run", "--variant", "base", "--put", f"/tmp/{LONG}", "--", "ls"),
        ("sources", "--source", f"linux-2.2.12=/tmp/{LONG}"),
        ("export", "--output", f"/tmp/{LONG}"),
    ],
)
def test_name_that_is_too_long_is_the_users(words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "harness.base.cli", "--search-root", str(paths.ROOT), *words],
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == errors.EXIT_USER, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == "take a shorter path"
    assert done.stderr.splitlines()[-2].endswith(": File name too long")
    assert LONG not in done.stderr
