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

from harness.base.errors import ReaderGoneError
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

    def sendall(self, data: bytes) -> None:
        self.got += data

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
