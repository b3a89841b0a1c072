# SPDX-License-Identifier: GPL-2.0-only
"""Standard input, output and error, whatever state the caller left them in.

What cannot be written to standard output ends the command with a status that says so. Standard
error has progress and messages: what cannot be written there is lost, and nothing ends for it.
"""

from __future__ import annotations

import io
import os
import select
import sys
from typing import Any, TextIO

from harness.base.errors import HarnessError, OutputError, ReaderGoneError

_INPUT, _OUTPUT, _ERROR = range(3)

# What was not open when this process began.
_closed: set[int] = set()
# The first error of standard output.
_failure: list[HarnessError] = []


def settle() -> None:
    """Make three files of the three descriptors, with our own rules for what cannot be written.

    Of a descriptor that is closed, Python makes no file, and gives its number to the next file that
    it opens. What is read from a closed one is at its end.
    """
    # Where output is closed, every attempt to write has to fail: so it is opened for reading.
    for number, mode in ((_INPUT, os.O_RDONLY), (_OUTPUT, os.O_RDONLY), (_ERROR, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            _closed.add(number)
            # The lowest number that is free, and those below have been seen to.
            os.set_inheritable(os.open(os.devnull, mode), True)
    if _INPUT in _closed:
        sys.stdin = os.fdopen(_INPUT, closefd=False)
    sys.stdout = _text(_Output(_OUTPUT, "wb", closefd=False), sys.stdout)
    sys.stderr = _text(_Lossy(_ERROR, "wb", closefd=False), sys.stderr)


def has_input() -> bool:
    """Whether there was a standard input at all when this process began."""
    return _INPUT not in _closed


def finish() -> HarnessError | None:
    """Write out what is left; the first error that standard output had, if it had one."""
    try:
        sys.stdout.flush()
    except HarnessError as error:
        _failure.append(error)
    sys.stderr.flush()
    if not _failure:
        return None
    # Python flushes once more at its end.
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, _OUTPUT)
    os.close(sink)
    return _failure[0]


def _text(raw: io.FileIO, before: TextIO | None) -> io.TextIOWrapper:
    """A text file over `raw`, as Python has made `before`, to which any text can be written."""
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=before.encoding if before else "utf-8",
        errors="backslashreplace",
        line_buffering=raw.isatty() or isinstance(raw, _Lossy),
    )


class _Output(io.FileIO):
    """Standard output. Its errors are a command's, and told apart from those of other files."""

    def write(self, data: Any, /) -> int:
        try:
            return _write(super(), data)
        except BrokenPipeError:
            error: HarnessError = ReaderGoneError("")
        except OSError as reason:
            why = "it is closed" if _OUTPUT in _closed else reason.strerror
            error = OutputError(f"cannot write to standard output: {why}")
        _failure.append(error)
        raise error


class _Lossy(io.FileIO):
    """Standard error, whose errors are nobody's."""

    def write(self, data: Any, /) -> int:
        try:
            return _write(super(), data)
        except OSError:
            return memoryview(data).nbytes


def _write(raw: Any, data: Any) -> int:
    """Write to the raw file. Another program may have made it one that does not wait: we do."""
    while (written := raw.write(data)) is None:
        select.select([], [raw.fileno()], [])
    return int(written)
