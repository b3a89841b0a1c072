# SPDX-License-Identifier: GPL-2.0-only
"""Runs a program of the host with a deadline and a log, and says plainly how it failed."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.base import diskroom, occupancy, owntime, paths, runfolder
from harness.base.errors import DeadlineError, InfrastructureError, NoRoomError

LOG_TAIL_LINES = 12

_KEPT = ("PATH", "TMPDIR")

# What is running now, in any thread.
_running: set[subprocess.Popen[bytes]] = set()


def run(
    argv: Sequence[str | Path],
    *,
    what: str,
    log: Path,
    seconds: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    inherit: bool = False,
    stdin: bytes = b"",
    into: Path | None = None,
) -> None:
    """Run `argv`, its output appended to `log`, in the clean environment, to which `env` is added.

    With `inherit` it has all of the caller's environment, as a program that uses the network must.

    `into` is where it writes, if not to `cwd`: the disk that is named if there is no room on it.

    Raises diskroom.FullError for that; InfrastructureError if it cannot be started, ends with a
    status other than 0 (the end of the log is in the message); DeadlineError if it is still running
    after `seconds`, in which what it waited for a processor does not count: its process group is
    then killed, as it is on Ctrl-C.
    """
    words = [str(word) for word in argv]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream, os.fdopen(os.memfd_create("stdin"), "w+b") as given:
        stream.write(f"$ {shlex.join(words)}\n".encode())
        stream.flush()
        begin = stream.tell()
        given.write(stdin)
        given.seek(0)
        try:
            process = subprocess.Popen(
                words,
                cwd=cwd,
                env={**(os.environ if inherit else clean()), **(env or {})},
                stdin=given,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise InfrastructureError(
                f"{what}: cannot start {words[0]}: {error.strerror}", "run: ./inv setup"
            ) from error
        _running.add(process)
        try:
            owntime.communicate(process, seconds)
        except subprocess.TimeoutExpired as error:
            raise DeadlineError(
                f"{what}: {words[0]} was still running after {seconds:g} s, and was ended",
                f"its output: {log}",
            ) from error
        finally:
            # Also what it left running in the background, and all of it on Ctrl-C.
            _kill_group(process)
            _running.discard(process)
    if process.returncode != 0:
        _require_room(log, what)
        with log.open("rb") as written:
            written.seek(begin)
            text = written.read().decode(errors="replace")
        if full := diskroom.full(what, text, into or cwd or log.parent):
            raise full
        lines = text.splitlines()
        tail = "\n".join(f"  {line}" for line in lines[-LOG_TAIL_LINES:])
        raise InfrastructureError(
            f"{what}: {words[0]} ended with status {process.returncode}:\n{tail}",
            f"all of its output: {log}",
        )


def require(program: str) -> None:
    """Raise InfrastructureError if the host lacks it; better before hours of work for it."""
    if shutil.which(program) is None:
        raise InfrastructureError(f"this host lacks {program}", "run: ./inv setup")


def _require_room(log: Path, what: str) -> None:
    """Raise InfrastructureError if the log takes no more: then it does not say what is wrong."""
    try:
        runfolder.probe(log.parent)
    except NoRoomError as error:
        raise InfrastructureError(f"{what}: {error.message}", error.hint) from error


def log_of(name: str) -> Path:
    """The log of what is built by this name: in the checkout, to be there still if that fails."""
    log = paths.BUILD / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    return log


def new_log(name: str) -> Path:
    """The same, without what was in it."""
    occupancy.enter()
    log = log_of(name)
    log.unlink(missing_ok=True)
    return log


def clean() -> dict[str, str]:
    """The environment of every build: where programs and temporary files are, and nothing else.

    What is exported for the user's own builds (CC, CFLAGS, ARCH, MAKEFLAGS, KBUILD_OUTPUT,
    C_INCLUDE_PATH, LD_LIBRARY_PATH, TAR_OPTIONS, ...) is not for these; and words are English.
    """
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    if "TMPDIR" in kept:
        # That of Python: another, if this is no folder to be written to.
        kept["TMPDIR"] = tempfile.gettempdir()
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


def end_all() -> None:
    """End every program that is running in any thread; `run` then raises there.

    For Ctrl-C, which only the main thread hears of.
    """
    for process in list(_running):
        with contextlib.suppress(ProcessLookupError):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
