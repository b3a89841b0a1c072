# SPDX-License-Identifier: GPL-2.0-only
"""The agent runs on the host as it does in the guest: a shell behind a port and a token."""

from __future__ import annotations

import select
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.base import compiler
from harness.base.errors import GuestError, GuestLostError
from harness.guest import agent as agent_module
from harness.guest.agent import Agent, AgentAddress, AgentChannel

PROGRAMS = Path(__file__).parents[2] / "programs"
TOKEN = "0123456789abcdef" * 2


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("agent") / "agent"
    sources = [str(PROGRAMS / name) for name in ("tools/agent.c", "common/common.c")]
    flags = ["-std=gnu99", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(
        [*compiler.for_32_bit(), *flags, "-o", str(output), *sources], check=True, timeout=60
    )
    return output


@pytest.fixture(scope="module")
def address(program: Path) -> Iterator[AgentAddress]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen(
        [program, "127.0.0.1", str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{TOKEN}\n".encode())
        process.stdin.flush()
        assert process.stdout.readline() == b"listening\n"
        yield AgentAddress(port, TOKEN)
        process.kill()


@pytest.fixture
def agent(address: AgentAddress) -> Iterator[Agent]:
    shell = Agent(address)
    yield shell
    shell.close()


def test_output_errors_and_status(agent: Agent) -> None:
    result = agent.run("echo out; echo err >&2; exit 7")
    assert (result.status, result.stdout, result.stderr) == (7, "out\n", "err\n")
    assert agent.run("kill -KILL $$").signal == "SIGKILL"
    assert agent.check("echo fine") == "fine\n"
    with pytest.raises(GuestError, match="`false` ended with status 1"):
        agent.check("false")


def test_large_input_comes_back(agent: Agent, tmp_path: Path) -> None:
    data = bytes(range(256)) * 4096
    agent.put(data, str(tmp_path / "file"))
    assert agent.get(str(tmp_path / "file")) == data
    assert agent.run("wc -c", stdin=data).stdout.strip() == str(len(data))
    # One that reads nothing of it ends all the same.
    assert agent.run("exec true", stdin=data).status == 0


def test_empty_input_is_at_its_end(agent: Agent) -> None:
    assert agent.run("cat").stdout == ""


def test_program_in_the_background(agent: Agent) -> None:
    process = agent.start(
        "sh -c 'echo ready; while read x; do echo got $x; done; echo end'", ready="ready\n"
    )
    for word in ("one", "two"):
        process.send(f"{word}\n".encode())
        assert process.expect(r"^got (\w+)\n")[1] == word
    process.end_input()
    assert process.wait().stdout == "ready\ngot one\ngot two\nend\n"


def test_signal_reaches_the_program(agent: Agent) -> None:
    process = agent.start(
        "sh -c 'trap \"echo caught; exit 3\" INT; echo on; while :; do read x; done'", ready="on\n"
    )
    process.signal("INT")
    result = process.wait()
    assert (result.status, result.stdout) == (3, "on\ncaught\n")


def test_many_at_once(agent: Agent) -> None:
    processes = [agent.start("cat") for _ in range(20)]
    for number, process in enumerate(processes):
        process.send(f"{number}\n".encode())
    for number, process in enumerate(processes):
        assert process.expect(r"^(\d+)\n")[1] == str(number)


def test_deadline_of_a_command(agent: Agent) -> None:
    with pytest.raises(GuestError, match=r"still ran after 0\.3 s"):
        agent.run("sleep 5", seconds=0.3)


def test_trouble_ends_a_wait(address: AgentAddress) -> None:
    def lost() -> None:
        raise GuestLostError("oops", "it crashed")

    shell = Agent(address, lost)
    timer = threading.Timer(0.2, shell.interrupt)
    timer.start()
    begin = time.monotonic()
    with pytest.raises(GuestLostError, match="it crashed"):
        shell.run("sleep 5")
    assert time.monotonic() - begin < 3
    shell.close()


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], f"{TOKEN}0"])
def test_without_the_token_nothing_runs(address: AgentAddress, tmp_path: Path, token: str) -> None:
    shell = Agent(AgentAddress(address.port, token))
    with pytest.raises(GuestError, match="its connection or its shell has ended"):
        shell.run(f"touch {tmp_path / 'ran'}")
    assert not (tmp_path / "ran").exists()
    shell.close()


def test_agent_that_is_gone(address: AgentAddress) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(GuestError, match="the guest's agent cannot be reached"):
        Agent(AgentAddress(port, TOKEN)).run("true")


def test_frames_may_come_in_pieces() -> None:
    near, far = socket.socketpair()
    with near, far:
        channel = AgentChannel(near, TOKEN)
        for byte in b"o\0\0\0\2hie\0\0\0\1!x\0\0\0\19":
            assert not channel.exit_status_ready()
            far.send(bytes([byte]))
        assert channel.recv_ready()
        assert channel.recv(1) + channel.recv(100) == b"hi"
        assert channel.recv_stderr_ready()
        assert channel.recv_stderr(100) == b"!"
        far.close()
        assert channel.exit_status_ready()
        assert channel.recv_exit_status() == 9


def test_looking_for_errors_does_not_hide_output_that_comes_meanwhile() -> None:
    near, far = socket.socketpair()
    with near, far:
        channel = AgentChannel(near, TOKEN)
        assert not channel.recv_ready()
        far.send(b"o\0\0\0\2hi")
        assert not channel.recv_stderr_ready()
        assert select.select([channel], [], [], 0)[0] == [channel]
        assert channel.recv_ready()


@pytest.mark.parametrize("arguments", [[], ["127.0.0.1"], ["here", "7"], ["127.0.0.1", "0"]])
def test_usage(program: Path, arguments: list[str]) -> None:
    done = subprocess.run(
        [program, *arguments], input="x\n", capture_output=True, text=True, timeout=10, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("usage: agent ")


def test_no_token_no_agent(program: Path) -> None:
    done = subprocess.run(
        [program, "127.0.0.1", "7"],
        input="\n",
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    assert done.returncode == 1
    assert "no token" in done.stderr


def test_the_token_is_in_no_message() -> None:
    assert TOKEN not in repr(AgentAddress(1, TOKEN))


def test_whether_it_answers(address: AgentAddress) -> None:
    assert agent_module.answers(address, 5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert not agent_module.answers(AgentAddress(port, TOKEN), 0.2)
    assert not agent_module.answers(AgentAddress(port, TOKEN), 0.2)
