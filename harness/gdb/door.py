# SPDX-License-Identifier: GPL-2.0-only
"""The socket at which QEMU waits for a debugger, where no other user of the host gets to.

Whoever connects reads and writes all of the guest's memory, so it is no port of 127.0.0.1.
"""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.base import runfolder

_NAME = "gdb"


class Door:
    """A listening socket in a folder of our own, below `folder`, while it is entered.

    `fd` is the socket, for QEMU. `path` is where others of our programs find it; one that inherits
    `descriptors` finds it at `short`, too: a path may be too long for a socket (108 bytes).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack, runfolder.of_run(self._folder):
            # Mode 700, and gone with us.
            own = Path(
                stack.enter_context(tempfile.TemporaryDirectory(dir=self._folder, prefix="gdb-"))
            )
            self._own_fd = os.open(own, os.O_PATH | os.O_DIRECTORY)
            stack.callback(os.close, self._own_fd)
            self._socket = stack.enter_context(socket.socket(socket.AF_UNIX))
            self._socket.bind(self.short)
            self.path = own / _NAME
            self.path.chmod(0o600)
            self._socket.listen()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def fd(self) -> int:
        """The socket that listens."""
        return self._socket.fileno()

    @property
    def short(self) -> str:
        """Its path for a process that has `descriptors`, however long the folder's is."""
        return f"/proc/self/fd/{self._own_fd}/{_NAME}"

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What a program is to inherit that uses `short`."""
        return (self._own_fd,)
