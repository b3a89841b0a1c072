# SPDX-License-Identifier: GPL-2.0-only
"""Commands in the guest by our agent.c: as over SSH, without a login's arithmetic.

Under emulation an SSH login takes a fifth of a second, of which every test would need one: nothing
that was used before a snapshot is loaded can be used after it.
"""

from __future__ import annotations

import re
import secrets
import select
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.base.errors import GuestError, InfrastructureError
from harness.guest.qmp import Qmp
from harness.guest.shell import Shell
from harness.network import addresses

# The guest's port; nothing else is on its management network.
PORT = 7000
HOST = "127.0.0.1"
# The guest's side of a connection is there within milliseconds.
_CONNECT_SECONDS = 10.0
_CHUNK = 65536
_HEAD = struct.Struct("!cI")
_FORWARD = re.compile(rf"HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s+\S+\s+{PORT}\s")


@dataclass(frozen=True)
class AgentAddress:
    """Where a guest's agent is reached on this host, and the token that it wants to see."""

    port: int
    # In no message, nor in what a failed test shows of its values.
    token: str = field(repr=False)


def start(shell: Shell, qmp: Qmp) -> AgentAddress:
    """Start the agent in a guest, and forward a free port of 127.0.0.1 to it.

    The token is given to it over `shell`, so that only we can use the port.
    """
    token = secrets.token_hex(16)
    # In the background and with no output left open: the session that starts it is to end.
    command = f"agent {addresses.MANAGEMENT_IP} {PORT} </root/.agent >/root/.agent.log 2>&1 &"
    shell.put(f"{token}\n".encode(), "/root/.agent", mode=0o600)
    shell.check(
        f"{command}\nwhile ! grep -q listening /root/.agent.log; do kill -0 $! || exit; done"
    )
    said = qmp.monitor(f"hostfwd_add management tcp:{HOST}:0-:{PORT}")
    match = _FORWARD.search(qmp.monitor("info usernet"))
    if said or match is None:
        raise InfrastructureError(f"QEMU forwards no port to the guest's agent: {said}")
    return AgentAddress(int(match[1]), token)


def answers(address: AgentAddress, seconds: float) -> bool:
    """Whether the guest starts a shell, wakes it from a short sleep, and lets it end, in `seconds`.

    Interrupts come through, and programs run, also where the kernel's timers do not any more.
    """
    shell = Agent(address)
    try:
        return shell.run("sleep 0.01", seconds=seconds).status == 0
    except GuestError:
        return False
    finally:
        shell.close()


class AgentChannel:
    """One script and its streams, over a connection of its own; a `Channel` of process.py."""

    def __init__(self, connection: socket.socket, token: str) -> None:
        self.closed = False
        self.eof_received = False
        self.status_event = threading.Event()
        self._connection = connection
        self._token = token
        self._timeout: float | None = None
        self._received = bytearray()
        self._streams = {b"o": bytearray(), b"e": bytearray(), b"x": bytearray()}
        connection.setblocking(False)

    def exec_command(self, command: bytes) -> None:
        """Hand over the script."""
        data = f"{self._token}\n{len(command)}\n".encode() + command
        self.settimeout(_CONNECT_SECONDS)
        while data:
            data = data[self.send(data) :]

    def fileno(self) -> int:
        """The descriptor that is readable when there is more, or the end."""
        return self._connection.fileno()

    def recv_ready(self) -> bool:
        """Whether there is standard output."""
        self._pump()
        return bool(self._streams[b"o"])

    def recv(self, nbytes: int) -> bytes:
        """Up to `nbytes` of standard output."""
        return self._take(b"o", nbytes)

    def recv_stderr_ready(self) -> bool:
        """Whether there was standard error beside the standard output that was asked for before.

        Nothing is taken from the connection here: output that came meanwhile would leave it, and
        whoever then waits for the connection, having read all output, would wait in vain.
        """
        return bool(self._streams[b"e"])

    def recv_stderr(self, nbytes: int) -> bytes:
        """Up to `nbytes` of standard error."""
        return self._take(b"e", nbytes)

    def settimeout(self, timeout: float | None) -> None:
        """How long `send` may wait, in seconds."""
        self._timeout = timeout

    def send(self, s: bytes) -> int:
        """Send some of `s` to the standard input; how many bytes. Raises TimeoutError, OSError."""
        if not select.select([], [self._connection], [], self._timeout)[1]:
            raise TimeoutError("the guest takes no more")
        return self._connection.send(s)

    def shutdown_write(self) -> None:
        """End the standard input."""
        self._connection.shutdown(socket.SHUT_WR)

    def exit_status_ready(self) -> bool:
        """Whether it has ended, or the connection has."""
        self._pump()
        return self.eof_received

    def recv_exit_status(self) -> int:
        """The exit status; -1 if the connection ended before."""
        status = bytes(self._streams[b"x"])
        return int(status) if status else -1

    def close(self) -> None:
        """Let go of it; what has been received stays."""
        self.closed = True
        self._connection.close()

    def _take(self, kind: bytes, nbytes: int) -> bytes:
        stream = self._streams[kind]
        data = bytes(stream[:nbytes])
        del stream[:nbytes]
        return data

    def _pump(self) -> None:
        """Take in what has come."""
        while not self.closed and not self.eof_received:
            try:
                data = self._connection.recv(_CHUNK)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            self._received += data
            self._parse()
            if not data:
                self.eof_received = True
                self.status_event.set()

    def _parse(self) -> None:
        while len(self._received) >= _HEAD.size:
            kind, length = _HEAD.unpack_from(self._received)
            if len(self._received) < _HEAD.size + length:
                return
            self._streams[kind] += self._received[_HEAD.size : _HEAD.size + length]
            del self._received[: _HEAD.size + length]


class Agent(Shell):
    """The shell behind an agent. There is nothing to log in to: each command connects."""

    def __init__(self, address: AgentAddress, check: Callable[[], None] = lambda: None) -> None:
        super().__init__(check)
        self._address = address
        self._channels: list[AgentChannel] = []

    def close(self) -> None:
        """Close all connections; what runs in the guest is not told."""
        for channel in self._channels:
            channel.close()
        super().close()

    def _open(self, seconds: float) -> AgentChannel:
        try:
            connection = socket.create_connection((HOST, self._address.port), timeout=seconds)
        except OSError as error:
            self._check()
            raise GuestError(f"the guest's agent cannot be reached: {error}") from error
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._channels.append(AgentChannel(connection, self._address.token))
        return self._channels[-1]
