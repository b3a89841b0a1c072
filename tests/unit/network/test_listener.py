# SPDX-License-Identifier: GPL-2.0-only
"""A thread that takes in datagrams, and leaves them alone when it is told to."""

from __future__ import annotations

import queue
import socket
from collections.abc import Iterator

import pytest

from harness.network.listener import Listener


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    near.setblocking(False)
    with near, far:
        yield near, far


def test_what_comes_is_taken_only_while_it_listens(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    near, far = ends
    taken: queue.Queue[bytes] = queue.Queue()
    listener = Listener(near, lambda data, _: taken.put(data), name="test", room=100)
    far.send(b"one")
    assert taken.get(timeout=5) == b"one"
    listener.stop()
    far.send(b"two")
    assert near.recv(100) == b"two"
    listener.start()
    far.send(b"three")
    assert taken.get(timeout=5) == b"three"
    listener.close()
    assert taken.empty()


def test_the_end_of_the_other_side_ends_nothing(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    near, far = ends
    listener = Listener(near, lambda *_: None, name="test", room=100)
    far.close()
    listener.close()
