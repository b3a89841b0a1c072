# SPDX-License-Identifier: GPL-2.0-only
"""pytest's fixtures for tests that drive guests: the guest, its wires, programs, rules, sockets.

A plugin. `./inv test` loads it; by hand: pytest -p divert_reference.plugin (docs/python.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from divert_reference.chains import Chains
from divert_reference.divert import DivertSocket, Injector
from divert_reference.guest import Guest
from divert_reference.programs import GUARD, Calls, Interceptor, ProcDivert, check_guard
from divert_reference.traffic import Traffic
from harness.guest.agent import Agent
from harness.guest.lender import Lender
from harness.guest.machine import MachineSpec
from harness.guest.shell import Shell
from harness.matrix import statements
from harness.network.wire import Wire
from harness.run import plugin
from harness.run.guestsession import GuestSession
from harness.run.worker import WorkerSpec

Listen = Callable[..., Interceptor]
Divert = Callable[[int], DivertSocket]


@pytest.fixture(scope="session")
def machines(divert_session: GuestSession, worker_spec: WorkerSpec) -> Lender[Guest]:
    """The guest of this session, kept from test to test."""

    def boot(number: int) -> Guest:
        return Guest(
            MachineSpec(
                variant=worker_spec.variant,
                kernel=Path(worker_spec.bzimage),
                initrd=Path(worker_spec.initrd),
                private_key=Path(worker_spec.private_key),
                host_key=Path(worker_spec.host_key),
                folder=Path(worker_spec.folder) / f"guest-{number}",
                system_map=Path(worker_spec.bzimage).parent / "System.map",
                hardware=worker_spec.hardware,
                accelerator="tcg" if worker_spec.traced else "",
                traced=worker_spec.traced,
                trace_file=tracing.boot_file() if tracing else None,
            )
        )

    tracing = divert_session.tracing
    lender = Lender(boot, divert_session, Guest.prepare, keep=worker_spec.keep)
    divert_session.lender = lender
    return lender


@pytest.fixture
def guest(
    request: pytest.FixtureRequest,
    divert_session: GuestSession,
    machines: Lender[Guest],
    artifacts: Path,
) -> Iterator[Guest]:
    """A guest as it was after its boot. It is examined afterwards; both wires are recorded."""
    with machines.lend(request.node.nodeid) as machine, ExitStack() as stack:
        if divert_session.tracing is not None:
            stack.enter_context(divert_session.tracing.test(machine, request.node.nodeid))
        mark = machine.console.mark()
        for wire in machine.wires:
            stack.enter_context(wire.record(artifacts / f"{wire.name}.pcap"))
        yield machine
        lines = [str(line) for line in machine.console.since(mark)]
        (artifacts / "console.txt").write_text("\n".join([*lines, ""]))


@pytest.fixture
def near(guest: Guest) -> Wire:
    """Wire 0: the guest is 192.0.2.1, we are 192.0.2.2."""
    return guest.wires[0]


@pytest.fixture
def far(guest: Guest) -> Wire:
    """Wire 1: the guest is 198.51.100.1, we are 198.51.100.2."""
    return guest.wires[1]


@pytest.fixture
def shell(guest: Guest) -> Iterator[Shell]:
    """Commands and programs in the guest."""
    commands = Agent(guest.agent, guest.check)
    guest.console.subscribe(commands.interrupt)
    try:
        yield commands
    finally:
        guest.console.unsubscribe(commands.interrupt)
        commands.close()


@pytest.fixture
def chains(shell: Shell) -> Chains:
    """The guest's firewall."""
    return Chains(shell)


@pytest.fixture
def calls(shell: Shell) -> Calls:
    """A process of root's in the guest that makes any system call."""
    return Calls(shell)


@pytest.fixture
def listen(request: pytest.FixtureRequest, shell: Shell, artifacts: Path) -> Iterator[Listen]:
    """Starts interceptors: listen(port, *flags). Their output is kept for a failure.

    Each has its guard on, but where `limit` is None or another number, which no test of T4 may say;
    `inside` is a shell of another namespace.
    """
    running: list[Interceptor] = []
    proved = plugin.proves(request.node)

    def start(
        port: int, *flags: str, limit: int | None = GUARD, inside: Shell | None = None
    ) -> Interceptor:
        check_guard(proved, limit)
        running.append(Interceptor(inside or shell, port, flags, limit))
        return running[-1]

    yield start
    for each in running:
        name = f"interceptor-{each.port}-{running.index(each)}.jsonl"
        (artifacts / name).write_bytes(each.process.output)


@pytest.fixture
def divert(calls: Calls) -> Divert:
    """Opens and binds divert sockets of `calls`: divert(port)."""
    return lambda port: DivertSocket(calls, port)


@pytest.fixture
def inject(guest: Guest, divert: Divert) -> Injector:
    """Injects packets through a socket, of port 1234, that has never received anything."""
    return Injector(guest, divert(1234))


@pytest.fixture
def icmp_errors(shell: Shell) -> None:
    """Let the guest send every ICMP error: 2.2.12 sends one a second, and none in its first.

    A kernel of today has one rate for all kinds, and a limit to all of them together.
    """
    limits = dict.fromkeys(("icmp_*_rate", "icmp_ratelimit", "route/error_cost"), 0)
    limits |= dict.fromkeys(("icmp_msgs_per_sec", "icmp_msgs_burst"), 1_000_000)
    for names, limit in limits.items():
        files = f"/proc/sys/net/ipv4/{names}"
        shell.check(f"for file in {files}; do [ ! -e $file ] || echo {limit} >$file; done")


@pytest.fixture
def dummy(expected: Callable[[str], str]) -> str:
    """The name of an interface that is down, and sends nowhere."""
    return expected("dummy-interface")


@pytest.fixture
def traffic(guest: Guest, calls: Calls) -> Traffic:
    """Packets of all protocols, on all paths."""
    return Traffic(guest, calls)


@pytest.fixture
def proc_divert(shell: Shell) -> Callable[[], ProcDivert]:
    """Reads /proc/net/divert, which can have 65,535 lines."""
    return lambda: ProcDivert.parse(shell.check("cat /proc/net/divert", seconds=60))


@pytest.fixture
def expected(
    worker_spec: WorkerSpec, record_property: Callable[[str, object], None]
) -> Callable[[str], str]:
    """What harness/matrix/differences.toml says of this kernel; the report shows it by the test."""
    has = frozenset(worker_spec.has)

    def look_up(name: str) -> str:
        value, why = statements.difference(name, has)
        record_property(f"differs: {name}", f"{value} ({why})" if why else value)
        return value

    return look_up
