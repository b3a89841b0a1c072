# SPDX-License-Identifier: GPL-2.0-only
"""What another user can get at is found: by what he tries, and by modes and tables."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import paramiko
import pytest
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL

from harness.base.errors import GuestLostError, InfrastructureError, UnavailableError
from harness.check import neighbours, stranger
from harness.check.steps import Counts
from harness.check.stranger import Attempt, Target
from harness.guest import agent
from harness.interactive import session

NOBODY = 65534


@contextmanager
def server(answer: bytes, host: str = "127.0.0.1") -> Iterator[int]:
    """A port at which all that connects is answered, and then hung up."""
    listener = socket.create_server((host, 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(100)
                connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.fixture
def target(tmp_path: Path) -> Target:
    """All of it ours, and closed to others."""
    terminal, key = tmp_path / "terminal", tmp_path / "key"
    for path in (terminal, key):
        path.write_text("secret")
        path.chmod(0o600)
    tmp_path.chmod(0o755)
    return Target(0, 0, (os.getpid(),), str(terminal), (str(key),), (str(tmp_path),))


def able(attempts: list[Attempt]) -> list[str]:
    return [each.what for each in attempts if not each.refused]


def test_who_has_the_rights_is_not_refused(target: Target, tmp_path: Path) -> None:
    """So whoever has not is refused for the want of them."""
    found = able(list(stranger.by_host(target)))
    assert f"to read {target.secret[0]}" in found
    assert f"to write {tmp_path}" in found
    assert f"to write on {target.terminal}" in found
    assert f"to see /proc/{os.getpid()}/environ" in found
    assert f"to send a signal to process {os.getpid()}" in found


def test_what_is_not_there_is_no_refusal(target: Target) -> None:
    missing = replace(target, secret=("/no/such/key",), terminal="/no/such/terminal")
    assert able(list(stranger.by_host(missing)))[:1] == ["to read /no/such/key"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_user_is_refused(target: Target, tmp_path: Path) -> None:
    """The process is a real one; what he may is found, too."""
    for folder in tmp_path.parents:
        if folder.stat().st_uid == 0 and folder.name.startswith("pytest-"):
            folder.chmod(0o711)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        stranger.become(NOBODY)
        found = stranger.by_host(target)
        os.write(writer, "\n".join(each.what for each in found if not each.refused).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    with os.fdopen(reader) as said:
        # His own terminal, keys and folders he is refused; that is all of it.
        assert said.read() == ""


def test_an_agent_that_answers_without_the_token() -> None:
    with server(b"o\0\0\0\4here") as port:
        assert stranger._agent(port, "").refused == ""
    with server(b"") as port:
        assert stranger._agent(port, "").refused == "hung up"


class _Open(paramiko.ServerInterface):
    """Lets in whoever has no password."""

    def get_allowed_auths(self, username: str) -> str:
        return "password,publickey"

    def check_auth_password(self, username: str, password: str) -> int:
        return AUTH_FAILED if password else AUTH_SUCCESSFUL


def test_a_login_without_the_key() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    key = paramiko.ECDSAKey.generate()
    kept = []

    def serve() -> None:
        for _ in range(4):
            transport = paramiko.Transport(listener.accept()[0])
            transport.add_server_key(key)
            transport.start_server(server=_Open())
            kept.append(transport)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        found = list(stranger._logins(listener.getsockname()[1]))
    finally:
        thread.join()
        listener.close()
        for transport in kept:
            transport.close()
    assert able(found) == ["to log in with no password"]
    assert len(found) == 4


def test_modes(target: Target, tmp_path: Path) -> None:
    assert able(list(neighbours._by_mode(target))) == []
    Path(target.secret[0]).chmod(0o640)
    Path(target.terminal).chmod(0o620)
    tmp_path.chmod(0o757)
    assert able(list(neighbours._by_mode(target))) == [
        f"to get at {target.secret[0]}, by its mode",
        f"to get at {target.terminal}, by its mode",
        f"to write {tmp_path}, by its mode",
    ]
    tmp_path.chmod(0o775)  # a group's is its owner's choice
    assert able(list(neighbours._by_mode(target)))[2:] == []


def test_where_a_process_listens(target: Target, tmp_path: Path) -> None:
    token = "not-on-any-command-line"
    with server(b"") as first, server(b"") as second:
        two = replace(target, ssh_port=first, agent_port=second)
        assert able(list(neighbours._by_tables(two, token))) == []
        with server(b"", "0.0.0.0"):
            (found,) = able(list(neighbours._by_tables(two, token)))
            assert "to send to QEMU at 00000000:" in found
        with socket.socket(socket.AF_UNIX) as named:
            named.bind(str(tmp_path / "monitor"))
            (found,) = able(list(neighbours._by_tables(two, token)))
            assert found.endswith(f"by its name {tmp_path}/monitor")
        shown = Path("/proc/self/cmdline").read_bytes().split(b"\0")[0].decode()
        (found,) = able(list(neighbours._by_tables(two, shown)))
        assert found.startswith("to see the token on the command line")


def test_target_goes_to_the_other_process_whole(target: Target) -> None:
    import json

    assert stranger.read(json.dumps(asdict(target))) == target


@pytest.mark.parametrize(
    ("error", "expected", "output"),
    [
        (UnavailableError("no archive"), Counts(skipped=1), ""),
        (InfrastructureError("no disk"), Counts(unbuilt=1), "could not be tried: no disk"),
        (GuestLostError("oops", "oops!"), Counts(failed=1), "did not survive it: oops!"),
    ],
)
def test_what_keeps_it_from_being_tried(
    error: Exception, expected: Counts, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def boot(*_: object) -> None:
        raise error

    monkeypatch.setattr(neighbours, "_any", lambda _given: None)
    monkeypatch.setattr(session, "boot", boot)
    result = neighbours.other_users([], [])
    assert result.counts == expected
    assert output in result.output


def test_one_that_is_not_refused_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    from unittest.mock import MagicMock

    monkeypatch.setattr(neighbours, "_any", lambda _given: None)
    monkeypatch.setattr(agent, "start", MagicMock())
    monkeypatch.setattr(session, "boot", MagicMock())
    attempts = [Attempt("to read a", "EACCES"), Attempt("to read b", "")]
    monkeypatch.setattr(neighbours, "_attempts", lambda *_: (attempts, ""))
    result = neighbours.other_users([], [])
    assert result.counts == Counts(passed=1, failed=1)
    assert result.output == "another user is able to read b"
    monkeypatch.setattr(neighbours, "_attempts", lambda *_: (attempts[:1], "not root"))
    result = neighbours.other_users([], [])
    assert (result.counts, result.note) == (Counts(passed=1, skipped=1), "not root")
