# SPDX-License-Identifier: GPL-2.0-only
"""One command that runs in the guest, over a channel to its shell."""

from __future__ import annotations

import re
import selectors
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import paramiko

from harness.base.deadline import Deadline
from harness.base.errors import GuestError

_CHUNK = 65536

# Shells report a program that a signal ended as 128 + the signal's number.
_SIGNALLED = 128

# How often a program is looked after whose output may not wake us: closed, or a wake-up lost.
_LOOK_SECONDS = 0.1

# How much of a program's output a message quotes.
_QUOTED = 800


@dataclass(frozen=True)
class Result:
    """How a command ended: its exit status (128 + number for a signal), and what it wrote."""

    status: int
    stdout: str
    stderr: str

    @property
    def signal(self) -> str:
        """The signal that ended it, as SIGSEGV; empty if none did."""
        try:
            return signal.Signals(self.status - _SIGNALLED).name
        except ValueError:
            return ""

    @property
    def how(self) -> str:
        """`status 3`, or `SIGSEGV`."""
        return self.signal or f"status {self.status}"


@dataclass(frozen=True)
class Surroundings:
    """What a process needs of the connection that it runs over.

    `alarm` is a descriptor that becomes readable, and stays so, once the guest is in trouble;
    `check` raises GuestLostError if the guest is lost; `send_signal` sends a signal to a pid.
    """

    alarm: int
    check: Callable[[], None]
    send_signal: Callable[[int, str], None]


class Channel(Protocol):
    """What a process needs of a channel: that part of paramiko's, with its meaning."""

    @property
    def closed(self) -> bool: ...

    @property
    def eof_received(self) -> int: ...

    @property
    def status_event(self) -> threading.Event: ...

    def exec_command(self, command: bytes, /) -> None: ...

    def fileno(self) -> int: ...

    def recv_ready(self) -> bool: ...

    def recv(self, nbytes: int, /) -> bytes: ...

    def recv_stderr_ready(self) -> bool: ...

    def recv_stderr(self, nbytes: int, /) -> bytes: ...

    def settimeout(self, timeout: float | None, /) -> None: ...

    def send(self, s: bytes, /) -> int: ...

    def shutdown_write(self) -> None: ...

    def exit_status_ready(self) -> bool: ...

    def recv_exit_status(self) -> int: ...

    def close(self) -> None: ...


class Process:
    """A command in the guest. `pid` is the guest's number for it; 0 if it was not asked for.

    What it writes is read while one of the methods waits, or when `lines` is asked for.
    """

    def __init__(
        self,
        channel: Channel,
        script: str,
        command: str,
        surroundings: Surroundings,
    ) -> None:
        """Run the shell's `script` on `channel`; messages name it as `command`."""
        self.command = command
        self.pid = 0
        self._channel = channel
        self._alarm = surroundings.alarm
        self._check = surroundings.check
        self._send_signal = surroundings.send_signal
        self._stdout = bytearray()
        self._stderr = bytearray()
        self._searched = 0
        try:
            # paramiko's pipe can lose a wake-up that comes while it is made: make it before output.
            channel.fileno()
            # A name of the host's may be of bytes that are no text.
            channel.exec_command(script.encode(errors="surrogateescape"))
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise self._lost(f"{error!r}") from error

    @property
    def output(self) -> bytes:
        """Its standard output so far."""
        self._read()
        return bytes(self._stdout)

    @property
    def lines(self) -> list[str]:
        """The lines of its standard output so far; one that has no end yet is left out."""
        text = self.output.decode(errors="replace")
        return text[: text.rfind("\n") + 1].splitlines()

    @property
    def errors(self) -> str:
        """Its standard error so far."""
        self._read()
        return self._stderr.decode(errors="replace")

    def expect(self, pattern: str, seconds: float = 10) -> re.Match[str]:
        """The first match in the standard output behind the match before.

        Raises GuestError if it does not come in time, or the program ends before.
        """
        deadline = Deadline(seconds, f"/{pattern}/")
        wanted = re.compile(pattern, re.MULTILINE)
        while True:
            ended = self._has_ended()
            match = wanted.search(self.output.decode(errors="replace"), self._searched)
            if match:
                self._searched = match.end()
                return match
            if ended:
                result = self.wait(deadline.remaining)
                raise GuestError(
                    f"in the guest, `{self.command}` ended with {result.how} before it wrote "
                    f"/{pattern}/",
                    self._quote(),
                )
            if not self._wait_for_more(deadline):
                raise GuestError(
                    f"in the guest, `{self.command}` did not write /{pattern}/ "
                    f"within {_rounded(seconds)} s",
                    self._quote(),
                )

    def forget_output(self) -> None:
        """Drop what `expect` has gone past, from `lines` and `output` too."""
        del self._stdout[: self._searched]
        self._searched = 0

    def send(self, data: bytes) -> None:
        """Write to its standard input."""
        deadline = Deadline(60, "room for input")
        view = memoryview(data)
        self._channel.settimeout(deadline.remaining)
        try:
            while view:
                view = view[self._channel.send(bytes(view[:_CHUNK])) :]
        except OSError as error:
            # It may have ended without reading all of it, which is its right.
            if not self._has_ended():
                raise self._lost(f"its input stays unread: {error!r}") from error

    def end_input(self) -> None:
        """Close its standard input."""
        try:
            self._channel.shutdown_write()
        except (OSError, EOFError) as error:
            raise self._lost(f"{error!r}") from error

    def signal(self, name: str) -> None:
        """Send it the signal `name`, as INT or KILL, by the guest's kill."""
        self._send_signal(self.pid, name)

    def wait(self, seconds: float = 10, *, of: float = 0.0) -> Result:
        """Wait for its end. Raises GuestError if it still runs after `seconds`.

        These may be what is left `of` more, which are then those that the message has.
        """
        deadline = Deadline(seconds, "end")
        while not self._has_ended():
            if not self._wait_for_more(deadline):
                self._channel.close()
                raise GuestError(
                    f"in the guest, `{self.command}` still ran after {_rounded(of or seconds)} s",
                    self._quote(),
                )
        self._read()
        status = self._channel.recv_exit_status()
        self._channel.close()
        if status < 0:
            raise self._lost("its connection or its shell has ended")
        return Result(status, *(self._text(each) for each in (self._stdout, self._stderr)))

    def _has_ended(self) -> bool:
        """Whether there will be no more output, and the exit status is known."""
        channel = self._channel
        # A lost connection closes the channel without an end of its output.
        return bool(channel.closed or (channel.exit_status_ready() and channel.eof_received))

    def _wait_for_more(self, deadline: Deadline) -> bool:
        """Wait for output or the end; False when the time is over."""
        silent = self._channel.eof_received
        with selectors.DefaultSelector() as selector:
            selector.register(self._alarm, selectors.EVENT_READ)
            if not silent:
                selector.register(self._channel.fileno(), selectors.EVENT_READ)
            # Nor does it lock its two halves, output and errors, against each other: look again.
            events = selector.select(0 if silent else min(deadline.remaining, _LOOK_SECONDS))
        if silent:
            # The channel stays readable after its end, and the exit status may come much later.
            self._channel.status_event.wait(min(deadline.remaining, _LOOK_SECONDS))
        if deadline.expired or any(key.fd == self._alarm for key, _ in events):
            self._check()
        self._read()
        return not deadline.expired

    def _read(self) -> None:
        while self._channel.recv_ready():
            self._stdout += self._channel.recv(_CHUNK)
        while self._channel.recv_stderr_ready():
            self._stderr += self._channel.recv_stderr(_CHUNK)

    def _lost(self, why: str) -> GuestError:
        self._check()
        return GuestError(f"in the guest, `{self.command}` is lost: {why}", self._quote())

    def _quote(self) -> str:
        wrote = self._text(self._stdout + self._stderr).strip()
        return f"it wrote: {wrote[-_QUOTED:]}" if wrote else "it wrote nothing"

    @staticmethod
    def _text(data: bytes | bytearray) -> str:
        return data.decode(errors="replace")


def _rounded(seconds: float) -> str:
    """Of 10 s, 9.98 may be left for the wait itself."""
    return f"{round(seconds, 1):g}"
