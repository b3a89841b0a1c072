# SPDX-License-Identifier: GPL-2.0-only
"""A thread that takes in the datagrams of one socket."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable

from harness.base.background import Background


class Listener:
    """Gives each datagram to `take`, with the time (time.time), from creation to `close()`.

    `end` does not block. An end of the connection is not told: nothing more comes then.
    """

    def __init__(
        self, end: socket.socket, take: Callable[[bytes, float], None], *, name: str, room: int
    ) -> None:
        self._end = end
        self._take = take
        self._name = name
        self._room = room
        self._stop_reader, self._stop_writer = socket.socketpair()
        self.start()

    def start(self) -> None:
        """Listen again after `stop()`."""
        self._thread = Background(self._run, name=self._name)

    def stop(self) -> None:
        """Leave what comes from now on to somebody else."""
        self._stop_writer.send(b"x")
        self._thread.join()
        self._stop_reader.recv(1)

    def close(self) -> None:
        """End the thread; the socket is not closed."""
        self.stop()
        self._stop_reader.close()
        self._stop_writer.close()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._end, selectors.EVENT_READ)
            selector.register(self._stop_reader, selectors.EVENT_READ)
            while all(key.fileobj is self._end for key, _ in selector.select()):
                try:
                    while True:
                        self._take(self._end.recv(self._room), time.time())
                except (BlockingIOError, ConnectionError):
                    pass  # No more for now; or the other side has ended.
