# SPDX-License-Identifier: GPL-2.0-only
"""Where QEMU waits for gdb nobody else gets to, and nothing is left of it."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from harness.gdb.door import Door

# By whom it is tried: nobody's number, on every Linux.
STRANGER = 65534
CONNECT = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"


def refused(path: Path) -> int:
    """With what number a process of another user's is refused; 0 if it is not."""
    pid = os.fork()
    if pid == 0:
        number = 255
        try:
            os.setgroups([])
            os.setgid(STRANGER)
            os.setuid(STRANGER)
            number = socket.socket(socket.AF_UNIX).connect_ex(str(path))
        finally:
            os._exit(number)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_only_its_owner_gets_there(tmp_path: Path) -> None:
    with Door(tmp_path) as door:
        assert stat.S_IMODE(door.path.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(door.path.stat().st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as ours:
            ours.connect(str(door.path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_user_is_refused(tmp_path: Path) -> None:
    """Also where all folders above are open to him, and by each of the two modes alone."""
    with Door(Path("/tmp")) as door:
        for folder, file in ((0o700, 0o666), (0o755, 0o600)):
            door.path.parent.chmod(folder)
            door.path.chmod(file)
            assert refused(door.path) == errno.EACCES, (oct(folder), oct(file))


def test_path_that_is_too_long_for_a_socket(tmp_path: Path) -> None:
    folder = tmp_path / ("a" * 120)
    folder.mkdir()
    with Door(folder) as door:
        argv = [sys.executable, "-c", CONNECT, door.short]
        subprocess.run(argv, pass_fds=door.descriptors, timeout=60, check=True)
