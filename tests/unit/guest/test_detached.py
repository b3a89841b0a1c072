# SPDX-License-Identifier: GPL-2.0-only
"""A kept guest outlives the harness, its console goes on, and it can be found again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.base import paths
from harness.guest import detached, qemu

pytestmark = pytest.mark.slow

# Plays QEMU: says something at once, and when told to by a line in the file `tell`.
QEMU = """#!/bin/sh
echo $$ >{folder}/pid
echo first words
read told <{folder}/tell
echo $told
read told <{folder}/tell
"""

KEEP = """
import sys
from pathlib import Path
from harness.guest import detached, qemu
from harness.guest.console import Console
from harness.base.deadline import Deadline
from harness.guest.emulator import Emulator
from harness.guest.login import Account

folder = Path(sys.argv[1])
emulator = Emulator(qemu.QemuSpec(Path("bzImage"), "tcg", 64), folder / "qemu.log")
console = Console(emulator.console_fd, folder / "console.log")
assert console.wait_for("first words", Deadline(10, "words"))
account = Account(2222, Path("/key"), folder / "host.pub")
detached.keep("base", folder, emulator, console, account)
emulator.close()
"""

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBnD8V+0ZCPyXsCQe8GxPqYNyzGTtBUGNHvMKH5yDsCm g"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "bin" / qemu.PROGRAM
    program.parent.mkdir()
    program.write_text(QEMU.format(folder=tmp_path))
    program.chmod(0o755)
    os.mkfifo(tmp_path / "tell")
    (tmp_path / "host.pub").write_text(HOST_KEY)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return tmp_path


def test_guest_outlives_the_harness(folder: Path) -> None:
    subprocess.run([sys.executable, "-c", KEEP, folder], cwd=paths.ROOT, timeout=20, check=True)
    (guest,) = detached.running(folder)
    try:
        assert guest.pid == int((folder / "pid").read_text())
        assert guest.login.startswith("ssh -p 2222 -o UserKnownHostsFile=")
        assert "-o IdentityFile=/key" in guest.login
        assert (folder / "known_hosts").read_text().startswith("[127.0.0.1]:2222 ssh-ed25519 ")
        # Its console is still read, by somebody else: tail ends once the words are there.
        (folder / "tell").write_text("more words\n")
        follow = f"timeout 20 tail -n +1 -f {guest.console_log} | grep -q -m1 'more words'"
        subprocess.run(["sh", "-c", follow], timeout=30, check=True)
    finally:
        os.kill(guest.pid, signal.SIGKILL)
    subprocess.run(["tail", f"--pid={guest.pid}", "-f", "/dev/null"], timeout=20, check=True)
    assert detached.running(folder) == []


def test_another_process_of_that_number_is_not_the_guest(tmp_path: Path) -> None:
    record = {
        "variant": "base",
        "pid": os.getpid(),
        "began": "1",
        "port": 1,
        "login": "ssh",
        "folder": str(tmp_path),
    }
    (tmp_path / detached.RECORD).write_text(json.dumps(record))
    assert detached.running(tmp_path) == []
    assert detached.running(tmp_path / "absent") == []
