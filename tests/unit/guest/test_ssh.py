# SPDX-License-Identifier: GPL-2.0-only
"""SSH against a server in this process, that runs the commands in this host's own shell."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_SUCCEEDED

from harness.base.errors import GuestError, GuestLostError
from harness.guest.login import Account, answers
from harness.guest.ssh import Ssh


def make_key(path: Path) -> paramiko.PKey:
    path.write_bytes(
        Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
    )
    return paramiko.Ed25519Key(filename=str(path))


class Server(paramiko.ServerInterface):
    """Lets one key in, and runs commands with sh, each in a group of its own, kept in `groups`."""

    def __init__(self, accepted: paramiko.PKey, groups: list[int]) -> None:
        self._accepted = accepted
        self._groups = groups

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        known = username == "root" and key == self._accepted
        return AUTH_SUCCESSFUL if known else AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self._run, args=(channel, command), daemon=True).start()
        return True

    def _run(self, channel: paramiko.Channel, command: bytes) -> None:
        shell = subprocess.Popen(
            ["sh", "-c", command.decode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        self._groups.append(shell.pid)
        assert shell.stdin and shell.stdout and shell.stderr

        def feed() -> None:
            assert shell.stdin
            while data := channel.recv(4096):
                shell.stdin.write(data)
            shell.stdin.close()

        def drain(fd: int, send: object) -> None:
            # The client may have closed the channel before the end.
            with suppress(OSError):
                while data := os.read(fd, 4096):
                    send(data)  # type: ignore[operator]

        threads = [
            threading.Thread(target=drain, args=(shell.stdout.fileno(), channel.sendall)),
            threading.Thread(target=drain, args=(shell.stderr.fileno(), channel.sendall_stderr)),
        ]
        threading.Thread(target=feed, daemon=True).start()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with suppress(OSError):
            channel.send_exit_status(shell.wait() & 0xFF)
            channel.close()


class Guest:
    """A listening server, its keys, and whether it is in trouble."""

    def __init__(self, folder: Path) -> None:
        self.host_key = make_key(folder / "host")
        self.client_key = make_key(folder / "client")
        (folder / "host.pub").write_text(
            f"{self.host_key.get_name()} {self.host_key.get_base64()} guest\n"
        )
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.account = Account(
            self.listener.getsockname()[1], folder / "client", folder / "host.pub"
        )
        self.trouble: GuestError | None = None
        self.transports: list[paramiko.Transport] = []
        self.groups: list[int] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def check(self) -> None:
        if self.trouble:
            raise self.trouble

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(self.host_key)
            transport.start_server(
                event=threading.Event(), server=Server(self.client_key, self.groups)
            )
            self.transports.append(transport)

    def close(self) -> None:
        self.listener.close()
        for transport in self.transports:
            transport.close()
        for group in self.groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Guest]:
    guest = Guest(tmp_path)
    yield guest
    guest.close()


@pytest.fixture
def ssh(guest: Guest) -> Iterator[Ssh]:
    with ExitStack() as stack:
        ssh = Ssh(guest.account, guest.check)
        stack.callback(ssh.close)
        ssh.connect()
        yield ssh


def test_output_errors_and_status(ssh: Ssh) -> None:
    result = ssh.run("echo out; echo err >&2; exit 3")
    assert (result.status, result.stdout, result.stderr) == (3, "out\n", "err\n")
    assert (result.signal, result.how) == ("", "status 3")


def test_standard_input(ssh: Ssh) -> None:
    data = bytes(range(256)) * 2000
    assert ssh.run("wc -c", stdin=data).stdout.strip() == str(len(data))
    assert ssh.run("cat").stdout == ""


def test_much_output_on_both(ssh: Ssh) -> None:
    result = ssh.run("head -c 3000000 /dev/zero; head -c 300000 /dev/zero >&2", seconds=30)
    assert (len(result.stdout), len(result.stderr)) == (3000000, 300000)


def test_end_by_signal_is_told(ssh: Ssh) -> None:
    result = ssh.run("sh -c 'kill -SEGV $$'")
    assert (result.status, result.signal, result.how) == (139, "SIGSEGV", "SIGSEGV")


def test_deadline_of_a_command(ssh: Ssh) -> None:
    begin = time.monotonic()
    with pytest.raises(GuestError, match=r"`echo begun; sleep 20` still ran after 0\.3 s") as error:
        ssh.run("echo begun; sleep 20", seconds=0.3)
    assert time.monotonic() - begin < 5
    assert error.value.hint == "it wrote: begun"
    assert ssh.run("echo next").stdout == "next\n"


def test_closed_output_is_not_the_end(ssh: Ssh) -> None:
    result = ssh.run("exec >&- 2>&-; sleep 0.3; exit 5")
    assert result.status == 5


def test_trouble_ends_the_wait_at_once(guest: Guest, ssh: Ssh) -> None:
    def crash() -> None:
        guest.trouble = GuestLostError("panic", "panic in the guest")
        ssh.interrupt()

    threading.Timer(0.1, crash).start()
    with pytest.raises(GuestLostError, match="panic in the guest"):
        ssh.run("sleep 20", seconds=20)


def test_lost_connection(guest: Guest, ssh: Ssh) -> None:
    process = ssh.start("sleep 20")
    guest.close()
    with pytest.raises(GuestError, match="`sleep 20` is lost"):
        process.wait(10)
    with pytest.raises(GuestError, match="connection to the guest is closed"):
        ssh.run("true")


def test_check_gives_output_or_raises(ssh: Ssh) -> None:
    assert ssh.check("echo fine") == "fine\n"
    with pytest.raises(GuestError, match="ended with status 1") as error:
        ssh.check("echo why >&2; false")
    assert error.value.hint == "why"


def test_background_process(ssh: Ssh) -> None:
    process = ssh.start(
        "sh -c 'echo ready; while read line; do echo got $line; done; exit 4'", ready="^ready$"
    )
    assert process.lines == ["ready"]
    process.send(b"one\n")
    match = process.expect(r"got (\w+)$", 5)
    assert match[1] == "one"
    process.send(b"two\n")
    assert process.expect(r"got (\w+)$", 5)[1] == "two"
    assert process.lines == ["ready", "got one", "got two"]
    process.end_input()
    assert process.wait(5).status == 4


def test_signal_reaches_the_program(ssh: Ssh) -> None:
    process = ssh.start("sleep 20")
    assert process.pid > 0
    process.signal("INT")
    result = process.wait(5)
    assert (result.signal, result.stdout, result.stderr) == ("SIGINT", "", "")


def test_program_that_never_gets_ready(ssh: Ssh) -> None:
    with pytest.raises(GuestError, match=r"did not write /listening/ within 0\.\d s"):
        ssh.start("sleep 20", ready="listening", seconds=0.4)
    with pytest.raises(
        GuestError, match="ended with status 2 before it wrote /listening/"
    ) as error:
        ssh.start("sh -c 'echo no room >&2; exit 2'", ready="listening")
    assert error.value.hint == "it wrote: no room"


def test_files_go_both_ways(ssh: Ssh, tmp_path: Path) -> None:
    data = bytes(range(256)) * 1000
    target = tmp_path / "in the guest"
    ssh.put(data, str(target), mode=0o750)
    assert target.read_bytes() == data
    assert target.stat().st_mode & 0o777 == 0o750
    assert ssh.get(str(target)) == data
    source = tmp_path / "here"
    source.write_bytes(b"other")
    ssh.put(source, str(target))
    assert ssh.get(str(target)) == b"other"
    with pytest.raises(GuestError, match=r"cannot get /nonexistent from the guest: .*No such file"):
        ssh.get("/nonexistent")
    with pytest.raises(GuestError, match="cannot put /nonexistent/x into the guest"):
        ssh.put(b"", "/nonexistent/x")


def test_other_host_key(guest: Guest, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other")
    guest.account.host_key.write_text(f"{other.get_name()} {other.get_base64()}\n")
    ssh = Ssh(guest.account)
    with pytest.raises(GuestError, match="is not the guest: another host key"):
        ssh.connect()
    ssh.close()


def test_other_client_key(guest: Guest, tmp_path: Path) -> None:
    make_key(tmp_path / "client")
    ssh = Ssh(guest.account)
    with pytest.raises(GuestError, match="does not accept the key"):
        ssh.connect()
    ssh.close()


def test_silent_server(guest: Guest) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        account = Account(port, guest.account.private_key, guest.account.host_key)
        ssh = Ssh(account)
        with pytest.raises(GuestError, match=r"no SSH login within 0\.2 s"):
            ssh.connect(0.2)
        ssh.close()
        assert not answers(port, 0.1)
    assert answers(guest.account.port, 5)


def test_trouble_during_login(guest: Guest) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        guest.trouble = GuestLostError("panic", "panic in the guest")
        ssh = Ssh(Account(port, guest.account.private_key, guest.account.host_key), guest.check)
        ssh.interrupt()
        with pytest.raises(GuestLostError, match="panic"):
            ssh.connect(20)
        ssh.close()


def test_log_out_waits_for_the_guest(guest: Guest, ssh: Ssh) -> None:
    ssh.run("true")
    ssh.log_out()
    assert not guest.transports[0].is_active()


def test_command_line_for_people(guest: Guest, tmp_path: Path) -> None:
    known_hosts = tmp_path / "known_hosts"
    guest.account.write_known_hosts(known_hosts)
    port = guest.account.port
    assert known_hosts.read_text().startswith(f"[127.0.0.1]:{port} ssh-ed25519 ")
    words = shlex.split(guest.account.command_line(known_hosts))
    assert words[:3] == ["ssh", "-p", str(port)]
    assert words[-1] == "root@127.0.0.1"
    assert f"IdentityFile={guest.account.private_key}" in words


def test_command_line_can_be_pasted_whatever_the_path(tmp_path: Path) -> None:
    folder = tmp_path / 'a=b [1] $HOME it\'s "it" %h'
    line = Account(22, folder / "key", folder / "host").command_line(folder / "known_hosts")
    # As ssh reads it: a blank outside of quotes ends a path, and %% is a per cent sign.
    inner = str(folder).replace('"', '\\"').replace("%", "%%")
    assert shlex.split(line)[3:7] == [
        *("-o", f'UserKnownHostsFile="{inner}/known_hosts"'),
        *("-o", f'IdentityFile="{inner}/key"'),
    ]
