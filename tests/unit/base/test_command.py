# SPDX-License-Identifier: GPL-2.0-only
"""Programs of the host: their output is logged, their failures and deadlines are named."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest

from harness.base import command
from harness.base.errors import InfrastructureError


def test_output_input_and_environment(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "log"
    command.run(
        ["sh", "-c", "cat; echo $WORD; pwd >&2"],
        what="trial",
        log=log,
        seconds=10,
        cwd=tmp_path,
        env={"WORD": "hello"},
        stdin=b"input\n",
    )
    assert log.read_text().splitlines()[1:] == ["input", "hello", str(tmp_path)]


def test_what_is_exported_for_other_builds_is_not_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = [
        *("CROSS_COMPILE", "KBUILD_OUTPUT", "LLVM", "ARCH", "CC", "CFLAGS", "MAKEFLAGS", "O", "W"),
        *("KCFLAGS", "C_INCLUDE_PATH", "LD_LIBRARY_PATH", "LC_MESSAGES", "TAR_OPTIONS"),
    ]
    for name in foreign:
        monkeypatch.setenv(name, "theirs")
    monkeypatch.setenv("LC_ALL", "de_DE")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    log = tmp_path / "log"
    command.run(["env"], what="trial", log=log, seconds=10, env={"OURS": "1"})
    assert sorted(log.read_text().splitlines()[1:]) == sorted(
        ["LC_ALL=C", "OURS=1", f"PATH={os.environ['PATH']}", f"TMPDIR={tmp_path}", "TZ=UTC"]
    )


def test_a_program_of_the_network_has_the_callers_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "theirs")
    log = tmp_path / "log"
    command.run(["env"], what="trial", log=log, seconds=10, env={"LC_ALL": "C"}, inherit=True)
    assert {"https_proxy=theirs", "LC_ALL=C"} <= set(log.read_text().splitlines())


def test_failure_shows_status_and_end_of_its_own_output(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("of an earlier command\n")
    with pytest.raises(InfrastructureError) as caught:
        command.run(["sh", "-c", "echo broken; exit 7"], what="trial", log=log, seconds=10)
    assert "trial: sh ended with status 7" in caught.value.message
    assert "broken" in caught.value.message
    assert "earlier" not in caught.value.message
    assert str(log) in caught.value.hint


def test_missing_program(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="cannot start no-such-program"):
        command.run(["no-such-program"], what="trial", log=tmp_path / "log", seconds=10)


def test_deadline_ends_the_whole_process_group(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = f"sleep 600 & echo $! > {pid_file}; wait"
    with pytest.raises(InfrastructureError, match=r"still running after 0\.5 s"):
        command.run(["sh", "-c", script], what="trial", log=tmp_path / "log", seconds=0.5)
    child = int(pid_file.read_text())
    end = time.monotonic() + 10
    while _alive(child) and time.monotonic() < end:
        os.sched_yield()
    assert not _alive(child)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")


def test_folder_for_temporary_files_that_is_none_is_not_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """patch, gcc and sort would blame what they work on."""
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "absent"):
        monkeypatch.setenv("TMPDIR", str(place))
        monkeypatch.setattr(tempfile, "tempdir", None)
        assert Path(command.clean()["TMPDIR"]).is_dir()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert command.clean()["TMPDIR"] == str(tmp_path)
