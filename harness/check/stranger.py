# SPDX-License-Identifier: GPL-2.0-only
"""Another user of the host, who tries to get at a guest: `python -m harness.check.stranger [UID]`.

Without UID it is the same user, who has no key and no token. It reads a `Target` as JSON from its
standard input, and writes what it tried, and how it was refused, as JSON to its output. Nothing of
harness.guest is used: a stranger has only what the host's kernel gives him.
"""

from __future__ import annotations

import errno
import io
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# The guest's SSH server answers within half a second under TCG.
_SECONDS = 20.0
_HOST = "127.0.0.1"
_ROOT = "root"

# What of a process tells, or reaches, what it has in memory and open.
_OF_PROCESS = ("environ", "mem", "maps", "fd", "map_files", "cwd", "root")


@dataclass(frozen=True)
class Target:
    """What there is to get at: forwarded ports, processes, files and folders, a terminal.

    `secret` are those that must not be read, `ours` those that must not be written.
    """

    ssh_port: int
    agent_port: int
    processes: tuple[int, ...]
    terminal: str
    secret: tuple[str, ...]
    ours: tuple[str, ...]


@dataclass(frozen=True)
class Attempt:
    """What was tried, and by what it was refused; "" where it was not."""

    what: str
    refused: str


# With which a kernel refuses. That there is no such file is none, but of a process: there are hosts
# that show nobody the processes of others (hidepid).
_REFUSALS = frozenset({errno.EACCES, errno.EPERM})


def _attempt(
    what: str, call: Callable[[], object], refusals: frozenset[int] = _REFUSALS
) -> Attempt:
    """What came of a call of the operating system's."""
    try:
        call()
    except OSError as error:
        number = error.errno or 0
        return Attempt(what, errno.errorcode[number] if number in refusals else "")
    return Attempt(what, "")


def by_network(target: Target) -> Iterator[Attempt]:
    """What needs no rights on this host: to log in without the key, to ask without the token."""
    yield from _logins(target.ssh_port)
    for token in ("", "0" * 32, "root"):
        yield _agent(target.agent_port, token)


def by_host(target: Target) -> Iterator[Attempt]:
    """What the rights of files and processes are for."""
    for name in target.secret:
        yield _attempt(f"to read {name}", partial(_open, name, os.O_RDONLY))
    for name in target.ours:
        yield _attempt(f"to write {name}", partial(_write, name))
    for flags, verb in ((os.O_RDONLY, "read"), (os.O_WRONLY, "write on")):
        yield _attempt(f"to {verb} {target.terminal}", partial(_open, target.terminal, flags))
    for pid in target.processes:
        for name in _OF_PROCESS:
            path = f"/proc/{pid}/{name}"
            yield _attempt(f"to see {path}", partial(_see, path), _REFUSALS | {errno.ENOENT})
        # No signal at all, but the same question of rights.
        yield _attempt(f"to send a signal to process {pid}", partial(os.kill, pid, 0))


def _open(name: str, flags: int) -> None:
    os.close(os.open(name, flags | os.O_NOCTTY | os.O_NONBLOCK))


def _write(name: str) -> None:
    if not os.access(name, os.W_OK):
        raise PermissionError(errno.EACCES, "not writable")


def _see(path: str) -> None:
    if path.endswith(("/cwd", "/root")):
        Path(path).readlink()
    elif path.endswith(("/fd", "/map_files")):
        list(Path(path).iterdir())
    else:
        # Of some it is the reading that is refused.
        with Path(path).open("rb", buffering=0) as stream:
            stream.read(1)


def _logins(port: int) -> Iterator[Attempt]:
    own = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    key = paramiko.Ed25519Key.from_private_key(io.StringIO(own.decode()))
    ways: tuple[tuple[str, Callable[[paramiko.Transport], object]], ...] = (
        ("without anything", lambda transport: transport.auth_none(_ROOT)),
        ("with no password", lambda transport: transport.auth_password(_ROOT, "")),
        ("with a password", lambda transport: transport.auth_password(_ROOT, _ROOT)),
        ("with a key of his own", lambda transport: transport.auth_publickey(_ROOT, key)),
    )
    for how, log_in in ways:
        what = f"to log in {how}"
        transport = paramiko.Transport(socket.create_connection((_HOST, port), _SECONDS))
        try:
            transport.start_client(timeout=_SECONDS)
            transport.auth_timeout = _SECONDS
            log_in(transport)
        except (paramiko.BadAuthenticationType, paramiko.AuthenticationException) as error:
            # A server that hangs up, or says nothing, has refused nobody.
            answered = transport.is_active() and not transport.is_authenticated()
            yield Attempt(what, type(error).__name__ if answered else "")
        else:
            yield Attempt(what, "")
        finally:
            transport.close()


def _agent(port: int, token: str) -> Attempt:
    """Anything that comes back is too much; so is a connection that stays."""
    script = b"echo here"
    said = b""
    with socket.create_connection((_HOST, port), _SECONDS) as connection:
        connection.settimeout(_SECONDS)
        try:
            connection.sendall(f"{token}\n{len(script)}\n".encode() + script)
            connection.shutdown(socket.SHUT_WR)
            said = connection.recv(100)
        except TimeoutError:
            return Attempt(f"to ask the agent with the token {token!r}", "")
        except ConnectionError:
            pass  # It has hung up, with some of it unread.
    return Attempt(f"to ask the agent with the token {token!r}", "" if said else "hung up")


def read(text: str) -> Target:
    """The target that `asdict` and JSON have made text of."""
    row = json.loads(text)
    lists = {name: tuple(row[name]) for name in ("processes", "secret", "ours")}
    return Target(**{**row, **lists})


def become(uid: int) -> None:
    """Be another user from now on, for good. Raises OSError where that cannot be."""
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)


def main(words: list[str]) -> None:
    """Try, as the user named."""
    target = read(sys.stdin.read())
    others = bool(words)
    if others:
        # Once before: what Python loads only when it is used may lie where a stranger cannot read.
        list(by_network(target))
        become(int(words[0]))
    attempts = [*by_network(target), *(by_host(target) if others else ())]
    sys.stdout.write(json.dumps([asdict(each) for each in attempts]))


if __name__ == "__main__":
    main(sys.argv[1:])
