# SPDX-License-Identifier: GPL-2.0-only
"""A disk that takes no more is told as such, wherever that comes out, and with what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from harness.base import paths, runfolder
from harness.base.errors import GuestError, NoRoomError

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
PRONOUNCED = "cannot write /there: No space left on device"


@pytest.mark.parametrize(
    "error",
    [
        FULL,
        OSError(errno.EROFS, os.strerror(errno.EROFS), "/elsewhere"),
        NoRoomError(PRONOUNCED),
        ExceptionGroup("two", [GuestError("lost"), ExceptionGroup("one", [FULL])]),
    ],
)
def test_what_is_for_want_of_room(error: Exception) -> None:
    found = runfolder.lacking(error, Path("/there"))
    assert found is not None
    assert found.message.startswith("cannot write /")


@pytest.mark.parametrize(
    "error",
    [
        None,
        GuestError("No space left on device"),
        FileNotFoundError(2, "no"),
        ExceptionGroup("", [KeyError()]),
    ],
)
def test_what_is_not(error: Exception | None) -> None:
    """What a guest says of its own disk is none of this one."""
    assert runfolder.lacking(error, Path("/there")) is None


def test_error_of_a_run_says_where_and_what_to_do() -> None:
    with pytest.raises(NoRoomError) as caught, runfolder.of_run(paths.RUNS):
        raise FULL
    assert caught.value.message == f"cannot write {paths.RUNS}: No space left on device"
    assert caught.value.hint == "make room there, or move the checkout"
    assert "DIVERT_CACHE" in runfolder.advice(Path("/elsewhere"), FULL)


def test_probe(tmp_path: Path) -> None:
    runfolder.probe(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(NoRoomError):
        runfolder.probe(tmp_path / "gone")
