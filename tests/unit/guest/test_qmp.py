# SPDX-License-Identifier: GPL-2.0-only
"""The monitor's client, with the test in QEMU's place."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from harness.base.errors import GuestLostError, InfrastructureError
from harness.guest import qmp
from harness.guest.qmp import Qmp

GREETING = {"QMP": {"version": {"qemu": {}, "package": ""}, "capabilities": []}}

USERNET = """Hub -1 (management):\r
  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r
  TCP[ESTABLISHED]   21       127.0.0.1 40001       10.0.2.15    22     0     0\r
  TCP[HOST_FORWARD]  13       127.0.0.1 45649       10.0.2.15    22     0     0\r
"""


class Monitor:
    """QEMU's side: answers from a table, and a list of what it was asked."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        self.answers: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def answer(self, text: str) -> None:
        self.answers["human-monitor-command"] = {"return": text}

    def lines(self) -> list[str]:
        return [words["command-line"] for _, words in self.asked if "command-line" in words]

    def _serve(self) -> None:
        decoder = json.JSONDecoder()
        text = ""
        try:
            self._send(GREETING)
            while data := self.far.recv(4096):
                # The client puts nothing between its messages.
                text += data.decode()
                message, end = decoder.raw_decode(text)
                text = text[end:]
                self._take(message)
        except OSError:
            return

    def _take(self, message: dict[str, Any]) -> None:
        command = message["execute"]
        if command != "qmp_capabilities":
            self.asked.append((command, message.get("arguments", {})))
        answer = self.answers.get(command, {"return": {}})
        if answer:
            self._send({**answer, **({"id": message["id"]} if "id" in message else {})})

    def _send(self, message: dict[str, Any]) -> None:
        self.far.sendall(json.dumps(message).encode() + b"\r\n")


@pytest.fixture
def monitor() -> Monitor:
    return Monitor()


@pytest.fixture
def client(monitor: Monitor) -> Iterator[Qmp]:
    with Qmp(monitor.near) as client:
        yield client


def test_port_is_that_of_the_forward(monitor: Monitor, client: Qmp) -> None:
    monitor.answer(USERNET)
    assert client.ssh_port() == 45649
    assert monitor.lines() == ["info usernet"]


def test_no_port(monitor: Monitor, client: Qmp) -> None:
    monitor.answer("Hub -1 (management):\r\n")
    with pytest.raises(InfrastructureError, match="forwards no port"):
        client.ssh_port()


def test_refused_command(monitor: Monitor, client: Qmp) -> None:
    monitor.answers["stop"] = {"error": {"class": "GenericError", "desc": "not now"}}
    with pytest.raises(InfrastructureError, match="QEMU refused stop: not now"):
        client.stop()


def test_missing_snapshot_is_an_error_though_qemu_says_success(
    monitor: Monitor, client: Qmp
) -> None:
    monitor.answer("Error: Snapshot 'x' does not exist in one or more devices\r\n")
    with pytest.raises(InfrastructureError, match="'x' back: Error: Snapshot 'x' does not exist"):
        client.load("x")


def test_guest_runs_until_it_is_brought_back(monitor: Monitor, client: Qmp) -> None:
    """Or a QEMU since 10.2 goes on with what it has translated of other memory."""
    monitor.answer("")
    client.load("x")
    commands = [command for command, _ in monitor.asked]
    assert commands == ["cont", "human-monitor-command", "stop"]


def test_guest_that_has_not_run_goes_on_from_a_snapshot_of_another_process(
    monitor: Monitor, client: Qmp
) -> None:
    """Its disk is there, and is not made: that would be an empty one."""
    monitor.answer("")
    client.begin("ready")
    commands = [command for command, _ in monitor.asked]
    assert commands == ["blockdev-add", "blockdev-add", "human-monitor-command", "cont"]
    monitor.answer("Device 'snapshots' does not have the requested snapshot 'other'")
    with pytest.raises(InfrastructureError, match="cannot begin from the snapshot 'other'"):
        client.begin("other")


def test_dashes(monitor: Monitor, client: Qmp) -> None:
    client.execute("blockdev-add", node_name="n")
    assert monitor.asked == [("blockdev-add", {"node-name": "n"})]


def test_silence(monitor: Monitor, client: Qmp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qmp, "ANSWER_SECONDS", 0.05)
    monitor.answers["stop"] = {}
    with pytest.raises(GuestLostError, match=r"did not answer within 0\.05 s"):
        client.stop()


def test_end_of_qemu(monitor: Monitor, client: Qmp) -> None:
    monitor.far.shutdown(socket.SHUT_RDWR)
    with pytest.raises(GuestLostError, match="monitor is gone"):
        client.stop()


def test_file_of_snapshots_is_read_by_threads_where_io_uring_is_refused(
    monitor: Monitor, client: Qmp, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, object]] = []

    def execute(command: str, **arguments: object) -> None:
        asked.append({"command": command, **arguments})
        if "aio" in arguments:
            raise InfrastructureError("QEMU refused blockdev-add: aio=io_uring was specified, but")

    monkeypatch.setattr(client, "execute", execute)
    client._add_file()
    first, second = asked
    assert first.pop("aio") == "io_uring"
    assert first == second
    assert second["filename"] == "/dev/fdset/1"


def test_what_qemu_does_with_the_guest(monitor: Monitor, client: Qmp) -> None:
    """As qapi/run-state.json has it: KVM that cannot go on has stopped the guest."""
    monitor.answers["query-status"] = {"return": {"running": True, "status": "running"}}
    assert client.state() == qmp.RUNNING
    monitor.answers["query-status"] = {"return": {"running": False, "status": "internal-error"}}
    assert client.state() == "internal-error"
