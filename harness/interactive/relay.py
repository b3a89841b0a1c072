# SPDX-License-Identifier: GPL-2.0-only
"""A person's terminal, or pipes, connected to something in a guest."""

from __future__ import annotations

import math
import os
import selectors
import shutil
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

import paramiko

from harness.guest.machine import Machine

_CHUNK = 32768

# A command that closed its output and runs on is looked after this often.
_LOOK_SECONDS = 0.1

# A guest that has said nothing for so long is asked whether it still answers.
SILENCE_SECONDS = 10.0


class Relay:
    """Connects standard input, output and error to parts of `machine`, until they end.

    No wait here has a deadline: a person, and a command, may take as long as they like, and who
    has enough of it can press Ctrl-C. A crash of the guest ends each of them, with GuestLostError,
    and so does a guest that hangs, where a command is waited for.
    """

    def __init__(
        self, machine: Machine, on_output: Callable[[bytes], object] = lambda _: None
    ) -> None:
        """`on_output` is also given what a command writes to its standard output."""
        self._machine = machine
        self._on_output = on_output

    def command(self, channel: paramiko.Channel) -> int:
        """Pass everything to and from a command that runs on `channel`; its exit status."""
        # For what is sent: a guest that hangs takes nothing.
        channel.settimeout(SILENCE_SECONDS)
        with self._waiting() as selector:
            selector.register(channel.fileno(), selectors.EVENT_READ)
            source = _register_input(selector)
            if source < 0:
                channel.shutdown_write()
            heard = time.monotonic()
            while not (channel.eof_received and channel.exit_status_ready()):
                if channel.eof_received and channel.fileno() in selector.get_map():
                    # It stays readable from now on, and says nothing of the exit status.
                    selector.unregister(channel.fileno())
                patience = min(SILENCE_SECONDS, _LOOK_SECONDS if channel.eof_received else math.inf)
                ready = self._ready(selector, patience)
                if source in ready and not self._pass_on(source, channel):
                    selector.unregister(source)
                if channel.fileno() in ready:
                    heard = time.monotonic()
                elif time.monotonic() - heard >= SILENCE_SECONDS:
                    self._machine.check()
                    heard = time.monotonic()
                self._copy_output(channel)
                if channel.closed:
                    break
            self._copy_output(channel)
            status = channel.recv_exit_status()
            if status < 0:
                self._machine.check()
            return status

    def _pass_on(self, source: int, channel: paramiko.Channel) -> bool:
        """Send what there is to be read; whether there may be more, and somebody to read it."""
        data = _read(source)
        if not data:
            channel.shutdown_write()
            return False
        while data:
            try:
                data = data[channel.send(data) :]
            except TimeoutError:
                self._machine.check()
                # A command that reads slowly, or not yet, may be waiting for us to read.
                self._copy_output(channel)
            except OSError:
                # The command has ended, and has not read all.
                return False
        return True

    def _copy_output(self, channel: paramiko.Channel) -> None:
        """Write out what has come."""
        while channel.recv_ready():
            data = channel.recv(_CHUNK)
            self._on_output(data)
            sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        while channel.recv_stderr_ready():
            sys.stderr.buffer.write(channel.recv_stderr(_CHUNK))
        sys.stderr.buffer.flush()

    def terminal(self, channel: paramiko.Channel) -> int:
        """Give a shell on `channel` the person's terminal; its exit status."""

        def resize(_number: int, _frame: FrameType | None) -> None:
            now = shutil.get_terminal_size()
            channel.resize_pty(now.columns, now.lines)

        size = shutil.get_terminal_size()
        channel.get_pty(os.environ.get("TERM", "vt100"), size.columns, size.lines)
        channel.invoke_shell()
        with ExitStack() as stack:
            stack.callback(signal.signal, signal.SIGWINCH, signal.signal(signal.SIGWINCH, resize))
            stack.enter_context(_raw_terminal())
            return self.command(channel)

    def console(self, leave: bytes) -> None:
        """Pass what is typed to the serial console, until `leave`, the end of input, or its end."""
        fd = self._machine.emulator.console_fd
        with _raw_terminal(), self._waiting() as selector:
            source = _register_input(selector)
            while source >= 0:
                if source not in self._ready(selector, None):
                    continue
                data = _read(source)
                typed, left, _ = data.partition(leave)
                os.write(fd, typed)
                if left or not data:
                    return

    @contextmanager
    def _waiting(self) -> Iterator[selectors.BaseSelector]:
        """A selector that wakes up, and whose `_ready` raises, when the guest is in trouble."""
        console = self._machine.console
        alarm = os.eventfd(0, os.EFD_NONBLOCK)

        def ring() -> None:
            os.eventfd_write(alarm, 1)

        # Not epoll, which refuses regular files as standard input.
        with ExitStack() as stack:
            stack.callback(os.close, alarm)
            selector = stack.enter_context(selectors.PollSelector())
            selector.register(alarm, selectors.EVENT_READ, "alarm")
            console.subscribe(ring)
            stack.callback(console.unsubscribe, ring)
            yield selector

    def _ready(self, selector: selectors.BaseSelector, seconds: float | None) -> set[int]:
        """The descriptors that can be read, once there are any, or after `seconds`."""
        events = selector.select(seconds)
        if any(key.data == "alarm" for key, _ in events):
            self._machine.check()
        return {key.fd for key, _ in events}


def _register_input(selector: selectors.BaseSelector) -> int:
    """Wait for standard input too; its descriptor, -1 if there is none."""
    try:
        source = sys.stdin.fileno()
        selector.register(source, selectors.EVENT_READ)
    except (AttributeError, ValueError, OSError):
        return -1
    return source


def _read(source: int) -> bytes:
    """What has come from standard input; nothing at its end.

    What cannot be read (a terminal that is gone, a folder, a file open for writing) is at its end.
    """
    try:
        return os.read(source, _CHUNK)
    except OSError:
        return b""


@contextmanager
def _raw_terminal() -> Iterator[None]:
    """Standard input as a raw terminal, put back afterwards; nothing if it is none."""
    if not sys.stdin.isatty():
        yield
        return
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    try:
        tty.setraw(fd)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
