# SPDX-License-Identifier: GPL-2.0-only
"""A command in a guest gets what standard input has, and its end, whatever that is."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from unittest.mock import MagicMock

import pytest

from harness.base.errors import GuestLostError, ReaderGoneError
from harness.interactive import relay
from harness.interactive.relay import Relay


class Channel:
    """A command, `cat`, that ends when its input does."""

    def __init__(self) -> None:
        self.got = b""
        self.eof_received = False
        self.closed = False
        self._output, self._end = os.pipe()

    def fileno(self) -> int:
        return self._output

    def settimeout(self, seconds: float) -> None:
        pass

    def send(self, data: bytes) -> int:
        self.got += data[:3]
        return len(data[:3])

    def shutdown_write(self) -> None:
        self.eof_received = True
        os.close(self._end)

    def exit_status_ready(self) -> bool:
        return self.eof_received

    def recv_exit_status(self) -> int:
        return 7

    def recv_ready(self) -> bool:
        return False

    recv_stderr_ready = recv_ready


@pytest.fixture(name="channel")
def _channel(monkeypatch: pytest.MonkeyPatch) -> Channel:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(io.BytesIO()))
    return Channel()


class Raw(io.StringIO):
    """What Python makes no file of."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def fileno(self) -> int:
        return self._number


@pytest.fixture(params=["file", "for writing", "folder", "closed", "none"])
def source(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[bytes]:
    """Standard input of each kind, and what there is to be read."""
    (tmp_path / "text").write_text("text")
    stream: IO[str] | None
    match request.param:
        case "file":
            stream = (tmp_path / "text").open()
        case "for writing":
            stream = (tmp_path / "new").open("w")
        case "folder":
            stream = Raw(os.open(tmp_path, os.O_RDONLY))
        case "closed":
            stream = (tmp_path / "text").open()
            stream.close()
        case _:
            stream = None
    monkeypatch.setattr(sys, "stdin", stream)
    yield b"text" if request.param == "file" else b""
    if stream is not None and not stream.closed:
        stream.close()


def test_input_comes_to_its_end(source: bytes, channel: Channel) -> None:
    status = Relay(MagicMock()).command(channel)  # type: ignore[arg-type]
    assert (status, channel.got, channel.eof_received) == (7, source, True)


def test_reader_that_is_gone_ends_it(
    channel: Channel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "text").touch()
    monkeypatch.setattr(sys, "stdin", (tmp_path / "text").open())
    gone = MagicMock()
    gone.buffer.flush.side_effect = ReaderGoneError("")
    monkeypatch.setattr(sys, "stdout", gone)
    with pytest.raises(ReaderGoneError):
        Relay(MagicMock()).command(channel)  # type: ignore[arg-type]


class Silent(Channel):
    """A command that says nothing and does not end, until `end` is called."""

    def shutdown_write(self) -> None:
        pass

    def end(self) -> None:
        self.eof_received = True
        os.close(self._end)


def test_guest_that_hangs_silently_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "SILENCE_SECONDS", 0.01)
    monkeypatch.setattr(sys, "stdin", None)
    machine = MagicMock()
    machine.check.side_effect = [None, None, GuestLostError("hang", "hang, guest of variant base")]
    with pytest.raises(GuestLostError, match="hang"):
        Relay(machine).command(Silent())  # type: ignore[arg-type]
    assert machine.check.call_count == 3


def test_guest_that_closed_its_output_and_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "SILENCE_SECONDS", 0.01)
    monkeypatch.setattr(sys, "stdin", None)
    machine = MagicMock()
    machine.check.side_effect = [None, GuestLostError("hang", "hang, guest of variant base")]
    channel = Silent()
    monkeypatch.setattr(channel, "exit_status_ready", lambda: False)
    channel.end()
    with pytest.raises(GuestLostError, match="hang"):
        Relay(machine).command(channel)  # type: ignore[arg-type]


def test_guest_that_is_well_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command may take as long as it likes, and say nothing."""
    monkeypatch.setattr(relay, "SILENCE_SECONDS", 0.01)
    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO()))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO()))
    machine, channel = MagicMock(), Silent()

    def look() -> None:
        if machine.check.call_count == 5:
            channel.end()

    machine.check.side_effect = look
    assert Relay(machine).command(channel) == 7  # type: ignore[arg-type]


def test_guest_that_hangs_and_takes_nothing(
    channel: Channel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "text").write_text("text")
    monkeypatch.setattr(sys, "stdin", (tmp_path / "text").open())
    monkeypatch.setattr(channel, "send", MagicMock(side_effect=TimeoutError))
    machine = MagicMock()
    machine.check.side_effect = [None, GuestLostError("hang", "hang, guest of variant base")]
    with pytest.raises(GuestLostError, match="hang"):
        Relay(machine).command(channel)  # type: ignore[arg-type]


def test_command_that_has_ended_and_has_not_read_all(
    channel: Channel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "text").write_text("text")
    monkeypatch.setattr(sys, "stdin", (tmp_path / "text").open())

    def send(_data: bytes) -> int:
        channel.shutdown_write()
        raise OSError("Socket is closed")

    monkeypatch.setattr(channel, "send", send)
    assert Relay(MagicMock()).command(channel) == 7  # type: ignore[arg-type]
