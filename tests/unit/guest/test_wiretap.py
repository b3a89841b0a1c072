# SPDX-License-Identifier: GPL-2.0-only
"""The wires of a guest for other processes: what they see, send, and who may."""

from __future__ import annotations

import json
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.base.deadline import Deadline
from harness.base.errors import GuestError
from harness.guest import wiretap
from harness.guest.wiretap import Client, Place, Seen, Server
from harness.network.frames import Frame


class Wire:
    """A wire on which a frame that is sent comes back, and a barrier is reached at once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pinged = False
        self.barriers = 0
        self.taps: list[Any] = []

    def answer_pings(self) -> None:
        self.pinged = True

    def tapped(self, recording: Any) -> Any:
        self.taps.append(recording)
        return socket.socket()  # a context, which is all that is asked of it

    def send(self, data: bytes) -> None:
        if data == b"refused":
            raise GuestError("the guest took no frame")
        for tap in self.taps:
            tap.append(Frame(1.5, True, data))
            tap.append(Frame(2.5, False, data[::-1]))

    def barrier(self) -> None:
        self.barriers += 1


@pytest.fixture(name="wires")
def _wires() -> list[Wire]:
    return [Wire("wire0"), Wire("wire1")]


@pytest.fixture(name="client")
def _client(wires: list[Wire], tmp_path: Path) -> Iterator[Client]:
    with Server("toy", tmp_path, wires):  # type: ignore[arg-type]
        (place,) = wiretap.places(tmp_path)
        with wiretap.connected(place) as client:
            yield client
    assert wiretap.places(tmp_path) == []
    assert not Path(place.socket).parent.exists()


def soon() -> Deadline:
    return Deadline(10, "a line")


def test_frames_of_both_directions_and_a_barrier_behind_them(
    client: Client, wires: list[Wire]
) -> None:
    client.send("wire1", b"abc")
    number = client.barrier()
    frames = client.frames(soon())
    assert [next(frames) for _ in range(3)] == [
        Seen("wire1", 1.5, True, b"abc"),
        Seen("wire1", 2.5, False, b"cba"),
        number,
    ]
    assert [wire.barriers for wire in wires] == [2, 1]
    assert all(wire.pinged for wire in wires)


def test_what_the_guest_refuses_is_told(client: Client) -> None:
    client.send("wire0", b"refused")
    with pytest.raises(GuestError, match="took no frame"):
        next(client.frames(soon()))


def test_nothing_comes_until_the_deadline(client: Client) -> None:
    assert list(client.frames(Deadline(0.01, "nothing"))) == []


@pytest.mark.parametrize("line", [b"no json\n", b"[]\n", b'{"wire": "wire7", "hex": ""}\n'])
def test_a_line_that_nobody_knows_ends_the_connection(client: Client, line: bytes) -> None:
    client._connection.sendall(line)
    with pytest.raises(GuestError, match="held by nobody"):
        list(client.frames(soon()))


def test_nobody_else_gets_there(client: Client, tmp_path: Path) -> None:
    folder = Path(client.place.socket).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert wiretap._user_of(client._connection) == Path("/proc/self").stat().st_uid


def test_a_place_that_is_gone_is_an_error_of_the_system(tmp_path: Path) -> None:
    place = Place("toy", str(tmp_path / "gone"), str(tmp_path))
    (tmp_path / wiretap.RECORD).write_text(json.dumps(vars(place)))
    assert wiretap.places(tmp_path) == [place]
    with pytest.raises(FileNotFoundError), wiretap.connected(place):
        pass
