# SPDX-License-Identifier: GPL-2.0-only
"""A guest's wires for other processes of the same user: they see each frame, and send their own.

Whoever holds the wires serves a Unix socket, in a folder of its own that nobody else may enter, and
writes where it is into wires.json of the guest's folder. A line of JSON each way is one of
`{"wire": "wire0", "hex": "..."}`, from the guest's side with `time` and `sent` (by a far host), and
`{"barrier": 1}`, which comes back when all that was sent before has been dealt with.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import selectors
import shutil
import socket
import struct
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from harness.base import paths
from harness.base.background import Background
from harness.base.deadline import Deadline
from harness.base.errors import GuestError
from harness.network.frames import Frame
from harness.network.wire import Wire

RECORD = "wires.json"
_SOCKET = "wires"
# Of a program that reads no more: what is behind so many frames is lost to it.
_BACKLOG = 100_000
_UCRED = struct.Struct("3i")
_SEND_SECONDS = 5.0


@dataclass(frozen=True)
class Place:
    """Where the wires of a guest of `variant` are to be had, and since when (time.time)."""

    variant: str
    socket: str
    folder: str


class Server:
    """Serves the wires of one guest, as a context; far hosts answer pings meanwhile."""

    def __init__(self, variant: str, folder: Path, wires: Sequence[Wire]) -> None:
        self._variant = variant
        self._folder = folder
        self._wires = {wire.name: wire for wire in wires}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        for wire in self._wires.values():
            wire.answer_pings()
        with ExitStack() as stack:
            # Short: a socket's path has room for 107 bytes. Mode 700.
            folder = Path(tempfile.mkdtemp(prefix="divert-"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            listener.bind(str(folder / _SOCKET))
            listener.listen()
            self._stop, stopped = os.pipe()
            stack.callback(os.close, self._stop)
            record = self._folder / RECORD
            place = Place(self._variant, str(folder / _SOCKET), str(self._folder))
            record.write_text(json.dumps(asdict(place), indent=2) + "\n")
            stack.callback(record.unlink, missing_ok=True)
            thread = Background(lambda: self._accept(listener), name="wires")
            stack.callback(thread.join)
            stack.callback(os.close, stopped)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _accept(self, listener: socket.socket) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            selector.register(self._stop, selectors.EVENT_READ)
            while all(key.fileobj is listener for key, _ in selector.select()):
                connection, _ = listener.accept()
                if _user_of(connection) in (0, os.getuid()):
                    Background(lambda c=connection: self._serve(c), name="wire tap")  # type: ignore[misc]
                else:
                    connection.close()

    def _serve(self, connection: socket.socket) -> None:
        """One program, until it goes."""
        lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        with ExitStack() as stack:
            stack.callback(connection.close)
            for wire in self._wires.values():
                stack.enter_context(wire.tapped(_Tap(wire.name, lines)))
            writer = Background(lambda: _write(connection, lines), name="wire tap's writer")
            stack.callback(writer.join)
            stack.callback(lines.put, None)
            with contextlib.suppress(OSError), connection.makefile("rb") as stream:
                for line in stream:
                    if not self._do(line, lines):
                        return

    def _do(self, line: bytes, lines: queue.SimpleQueue[bytes | None]) -> bool:
        """What a line asks for; False if nobody knows."""
        try:
            row = json.loads(line)
            if "barrier" in row:
                # As Machine.barrier: what comes in on one wire and leaves by the other, too.
                first, second = self._wires.values()
                for wire in (first, second, first):
                    wire.barrier()
                lines.put(_line(row))
            else:
                self._wires[row["wire"]].send(bytes.fromhex(row["hex"]))
        except GuestError as error:
            lines.put(_line({"error": str(error)}))
        except (ValueError, KeyError, TypeError):
            return False
        return True


class _Tap:
    """Makes a line of each frame."""

    def __init__(self, wire: str, lines: queue.SimpleQueue[bytes | None]) -> None:
        self._wire = wire
        self._lines = lines

    def append(self, frame: Frame, /) -> None:
        """Called from whichever thread has the frame."""
        if self._lines.qsize() < _BACKLOG:
            row = {"wire": self._wire, "time": frame.seconds, "sent": frame.sent}
            self._lines.put(_line(row | {"hex": frame.data.hex()}))


def _line(row: dict[str, Any]) -> bytes:
    return json.dumps(row).encode() + b"\n"


def _write(connection: socket.socket, lines: queue.SimpleQueue[bytes | None]) -> None:
    connection.settimeout(_SEND_SECONDS)
    with contextlib.suppress(OSError):
        while (line := lines.get()) is not None:
            connection.sendall(line)
    # Whoever reads no more is to notice that it misses something.
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _user_of(connection: socket.socket) -> int:
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return int(_UCRED.unpack(data)[1])


@dataclass(frozen=True)
class Seen:
    """A frame on the wire `wire`, at `time` (time.time); `sent` by a far host, or by the guest."""

    wire: str
    time: float
    sent: bool
    data: bytes


class Client:
    """The wires of a guest that another process holds."""

    def __init__(self, place: Place, connection: socket.socket) -> None:
        self.place = place
        self._connection = connection
        self._received = bytearray()
        self._barriers = 0

    def send(self, wire: str, frame: bytes) -> None:
        """Send a frame as the far host on a wire. Raises GuestError if nobody holds them now."""
        self._say({"wire": wire, "hex": frame.hex()})

    def barrier(self) -> int:
        """Have told when all that was sent before is dealt with; the number that `frames` gives."""
        self._barriers += 1
        self._say({"barrier": self._barriers})
        return self._barriers

    def frames(self, deadline: Deadline) -> Iterator[Seen | int]:
        """Frames as they come, and the numbers of barriers that are reached, until the deadline.

        Raises GuestError if the guest is gone, or took no frame.
        """
        while (line := self._next(deadline)) is not None:
            row = json.loads(line)
            if "error" in row:
                raise GuestError(row["error"])
            if "barrier" in row:
                yield int(row["barrier"])
            else:
                yield Seen(row["wire"], row["time"], row["sent"], bytes.fromhex(row["hex"]))

    def _next(self, deadline: Deadline) -> bytes | None:
        while b"\n" not in self._received:
            self._connection.settimeout(max(deadline.remaining, 1e-3))
            try:
                data = self._connection.recv(1 << 16)
            except TimeoutError:
                return None
            except OSError:
                data = b""
            if not data:
                raise GuestError("the guest is gone, or its wires are held by nobody any more")
            self._received += data
        line, _, rest = bytes(self._received).partition(b"\n")
        self._received[:] = rest
        return line

    def _say(self, row: dict[str, Any]) -> None:
        self._connection.settimeout(_SEND_SECONDS)
        try:
            self._connection.sendall(_line(row))
        except OSError as error:
            raise GuestError(f"the guest is gone: {error}") from error


def places(runs: Path | None = None) -> list[Place]:
    """Guests whose wires are to be had, below `runs` or of this checkout; the newest first."""
    records = sorted(
        (runs or paths.RUNS).rglob(RECORD), key=lambda path: path.stat().st_mtime, reverse=True
    )
    return [Place(**json.loads(path.read_text())) for path in records]


@contextmanager
def connected(place: Place) -> Iterator[Client]:
    """The wires at a place. Raises OSError if nobody is there any more."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(place.socket)
        yield Client(place, connection)
