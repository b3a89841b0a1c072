# SPDX-License-Identifier: GPL-2.0-only
"""A logged-in SSH connection to a guest whose host key is known beforehand."""

from __future__ import annotations

import base64
import re
import shlex
import socket
import threading
from dataclasses import dataclass
from pathlib import Path

import paramiko

from harness.base.deadline import Deadline
from harness.base.errors import DeadlineError, GuestError

USER = "root"
HOST = "127.0.0.1"

# QEMU accepts for a guest that does not listen yet, and hangs up a little later.
_REFUSED_SECONDS = 0.05

# The cheapest of what both sides know: under TCG the guest's arithmetic is most of a login's time.
_KEX = ("curve25519-sha256@libssh.org",)
_CIPHERS = ("aes128-ctr",)
_DIGESTS = ("hmac-sha2-256",)


@dataclass(frozen=True)
class Account:
    """How to log in: the port on 127.0.0.1, root's key, and the host key that the guest must show.

    `private_key` is an ed25519 key as OpenSSH writes it; `host_key` has the one line
    `ssh-ed25519 AAAA...`.
    """

    port: int
    private_key: Path
    host_key: Path

    def command_line(self, known_hosts: Path) -> str:
        """An ssh command line for a person; `known_hosts` is a file of `write_known_hosts`."""
        options = {
            "UserKnownHostsFile": _for_ssh(known_hosts),
            "IdentityFile": _for_ssh(self.private_key),
            "IdentitiesOnly": "yes",
        }
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        return shlex.join(["ssh", "-p", str(self.port), *words, f"{USER}@{HOST}"])

    def write_known_hosts(self, path: Path) -> None:
        """Write the guest's host key to `path` as ssh wants it."""
        key = self.expected_key()
        path.write_text(f"[{HOST}]:{self.port} {key.get_name()} {key.get_base64()}\n")

    def expected_key(self) -> paramiko.PKey:
        """The guest's public host key."""
        kind, data, *_ = self.host_key.read_text().split()
        return paramiko.PKey.from_type_string(kind, base64.b64decode(data, validate=True))


def _for_ssh(path: Path) -> str:
    """A path as the value of an option of ssh: a blank would end it, and % has a meaning."""
    text = str(path).replace("%", "%%").replace('"', '\\"')
    return f'"{text}"' if re.search(r"[\s'\"]", text) else text


def log_in(account: Account, trouble: threading.Event, deadline: Deadline) -> paramiko.Transport:
    """Log in as soon as the guest's server answers.

    Raises DeadlineError if it does not, or if `trouble` is set meanwhile; GuestError if it shows
    another host key, or refuses ours.
    """
    connection = _connect(account.port, trouble, deadline)
    transport = paramiko.Transport(connection)
    try:
        options = transport.get_security_options()
        options.kex = _KEX
        options.ciphers = _CIPHERS
        options.digests = _DIGESTS
        transport.start_client(timeout=deadline.remaining)
        if transport.get_remote_server_key() != account.expected_key():
            raise GuestError(
                f"what answers on port {account.port} of {HOST} is not the guest: another host key",
                "run again; if it stays so, run: ./inv clean",
            )
        transport.auth_timeout = deadline.remaining
        transport.auth_publickey(USER, paramiko.Ed25519Key(filename=str(account.private_key)))
    except BaseException as error:
        # A guest that is too slow, or gone, is no refusal, though paramiko calls it so too.
        refused = transport.is_active() and not deadline.expired
        transport.close()
        if isinstance(error, paramiko.AuthenticationException) and refused:
            raise GuestError(
                f"the guest does not accept the key {account.private_key}: {error}",
                "run: ./inv clean, then build again",
            ) from error
        if isinstance(error, paramiko.SSHException | EOFError | OSError):
            raise DeadlineError(f"no {deadline.what}: {error!r}") from error
        raise
    return transport


def log_out(transport: paramiko.Transport, seconds: float) -> None:
    """End the connection from our side, and wait until the guest has closed its own.

    Then the process that served it has nothing left to do but to exit.
    """
    try:
        transport.sock.shutdown(socket.SHUT_WR)
        transport.join(seconds)
    except OSError:
        pass  # Closed already.
    finally:
        transport.close()


def answers(port: int, seconds: float) -> bool:
    """Whether the guest's SSH server says hello within `seconds`."""
    try:
        _connect(port, threading.Event(), Deadline(seconds, "greeting")).close()
    except (DeadlineError, OSError):
        return False
    return True


def _connect(port: int, trouble: threading.Event, deadline: Deadline) -> socket.socket:
    """A connection on which the server's banner waits to be read."""
    while not trouble.is_set():
        deadline.check()
        connection = socket.create_connection((HOST, port), timeout=deadline.remaining)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if connection.recv(4, socket.MSG_PEEK) == b"SSH-":
                return connection
        except TimeoutError:
            pass  # The deadline's own error follows.
        except ConnectionError:
            pass
        connection.close()
        trouble.wait(_REFUSED_SECONDS)
    raise DeadlineError(f"no {deadline.what}: the guest is in trouble")
