# SPDX-License-Identifier: GPL-2.0-only
"""Whatever standard input, output and error are, a command ends as it should, and says why."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from harness.base import errors, paths

pytestmark = pytest.mark.slow

INV = f"{sys.executable} -m harness.base.cli --search-root ."
# A task that says something and ends well.
PROGRAM = """
import sys
from harness.base import streams
streams.settle()
from harness.base import cli, terminal
from harness.base.errors import HarnessError
"""
FULL = "cannot write to standard output: No space left on device\n"
CLOSED = "cannot write to standard output: it is closed\n"


def shell(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command],
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("task", ["--list", "statements S1"])
@pytest.mark.parametrize(("to", "said"), [(">/dev/full", FULL), (">&-", CLOSED)])
def test_output_that_cannot_be_written(task: str, to: str, said: str) -> None:
    done = shell(f"{INV} {task} {to}")
    assert done.returncode == errors.EXIT_INFRASTRUCTURE
    assert done.stderr in (f"inv: {said}", f"{task.split(maxsplit=1)[0]}: {said}")


@pytest.mark.parametrize("closed", [">&- 2>/dev/full", "<&- >&- 2>&-"])
def test_nor_can_the_error_be_told(closed: str) -> None:
    assert shell(f"{INV} --list {closed}").returncode == errors.EXIT_INFRASTRUCTURE


@pytest.mark.parametrize("closed", ["2>/dev/full", "<&- 2>&-"])
def test_what_is_not_needed_is_not_missed(closed: str) -> None:
    done = shell(f"{INV} --list {closed}")
    assert done.returncode == 0
    assert "statements" in done.stdout


def test_mistake_is_told_where_output_is_closed() -> None:
    done = shell(f"{INV} no-such-task >&-")
    assert done.returncode == errors.EXIT_USER
    assert "no-such-task" in done.stderr


def test_reader_that_goes_away() -> None:
    done = shell(f"{INV} --list | true; echo ${{PIPESTATUS[0]}}")
    assert (done.stdout, done.stderr) == (f"{errors.EXIT_BROKEN_PIPE}\n", "")


def python(body: str, redirected: str = "") -> subprocess.CompletedProcess[str]:
    return shell(f"{sys.executable} - {redirected} <<'EOF'\n{PROGRAM}{body}\nEOF")


def test_everything_can_be_written() -> None:
    done = python("terminal.show('\\udcff \\u0394'); sys.exit(streams.finish() is not None)")
    assert (done.returncode, done.stdout) == (0, "\\udcff \u0394\n")
    done = shell(
        f"export PYTHONIOENCODING=ascii; {sys.executable} -c \"{PROGRAM}\nprint('\u0394')\""
    )
    assert (done.returncode, done.stdout) == (0, "\\u0394\n")


def test_closed_input_is_at_its_end_and_no_file_gets_its_number() -> None:
    body = (
        "import os; read = os.read(0, 9); new = open(os.devnull).fileno();"
        "print(sys.stdin.fileno(), read, new > 2, streams.has_input())"
    )
    assert shell(f'{sys.executable} -c "{PROGRAM}{body}" <&-').stdout == "0 b'' True False\n"
    assert shell(f'{sys.executable} -c "{PROGRAM}{body}"').stdout == "0 b'' True True\n"


def test_output_that_does_not_wait_is_waited_for() -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    body = "print('x' * 300000); sys.exit(streams.finish() is not None)"
    process = subprocess.Popen([sys.executable, "-c", PROGRAM + body], cwd=paths.ROOT, stdout=write)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        assert len(stream.read()) == 300001
    assert process.wait(20) == 0


def test_terminal_is_one_still() -> None:
    main, side = pty.openpty()
    body = "print(sys.stdout.isatty(), terminal.out.is_terminal)"
    subprocess.run(
        [sys.executable, "-c", PROGRAM + body], cwd=paths.ROOT, stdout=side, timeout=20, check=True
    )
    os.close(side)
    assert os.read(main, 99) == b"True True\r\n"
    os.close(main)
