# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures of the guest tests: the guest, its wires, the programs in it, its firewall."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness import statements
from harness.keeper import Keeper
from harness.machine import Machine, MachineSpec
from harness.network import LINKS
from harness.plugin import GuestSession
from harness.wire import Wire
from harness.worker import WorkerSpec
from tests.guest.chains import Chains
from tests.guest.programs import Calls, Interceptor, ProcDivert
from tests.guest.traffic import Traffic

Listen = Callable[..., Interceptor]


def meet_the_neighbours(machine: Machine) -> None:
    """Let the guest know the cards of the far hosts.

    A packet that waits for an answer by ARP leaves after what came later, and of more than three
    the first is dropped (2.2.12's unres_qlen): a test's barrier and its counts could not be exact.
    """
    hosts = (f"arp -s {link.host_ip} {link.host_mac}" for link in LINKS)
    machine.ssh.check(" && ".join(hosts))


@pytest.fixture(scope="session")
def machines(divert_session: GuestSession, worker_spec: WorkerSpec) -> Keeper[Machine]:
    """The guest of this session, kept from test to test."""

    def boot(number: int) -> Machine:
        return Machine(
            MachineSpec(
                variant=worker_spec.variant,
                kernel=Path(worker_spec.bzimage),
                initrd=Path(worker_spec.initrd),
                private_key=Path(worker_spec.private_key),
                host_key=Path(worker_spec.host_key),
                folder=Path(worker_spec.folder) / f"guest-{number}",
                system_map=Path(worker_spec.bzimage).parent / "System.map",
            )
        )

    keeper = Keeper(boot, divert_session, meet_the_neighbours)
    divert_session.keeper = keeper
    return keeper


@pytest.fixture
def guest(
    request: pytest.FixtureRequest, machines: Keeper[Machine], artifacts: Path
) -> Iterator[Machine]:
    """A guest as it was after its boot. It is examined afterwards; both wires are recorded."""
    with machines.lend(request.node.nodeid) as machine, ExitStack() as stack:
        mark = machine.console.mark()
        for wire in machine.wires:
            stack.enter_context(wire.record(artifacts / f"{wire.name}.pcap"))
        yield machine
        lines = [str(line) for line in machine.console.since(mark)]
        (artifacts / "console.txt").write_text("\n".join([*lines, ""]))


@pytest.fixture
def near(guest: Machine) -> Wire:
    """Wire 0: the guest is 192.0.2.1, we are 192.0.2.2."""
    return guest.wires[0]


@pytest.fixture
def far(guest: Machine) -> Wire:
    """Wire 1: the guest is 198.51.100.1, we are 198.51.100.2."""
    return guest.wires[1]


@pytest.fixture
def chains(guest: Machine) -> Chains:
    """The guest's firewall."""
    return Chains(guest.ssh)


@pytest.fixture
def calls(guest: Machine) -> Calls:
    """A process of root's in the guest that makes any system call."""
    return Calls(guest.ssh)


@pytest.fixture
def listen(guest: Machine, artifacts: Path) -> Iterator[Listen]:
    """Starts interceptors: listen(port, *flags). Their output is kept for a failure."""
    running: list[Interceptor] = []

    def start(port: int, *flags: str) -> Interceptor:
        running.append(Interceptor(guest.ssh, port, flags))
        return running[-1]

    yield start
    for each in running:
        name = f"interceptor-{each.port}-{running.index(each)}.jsonl"
        (artifacts / name).write_bytes(each.process.output)


@pytest.fixture
def traffic(guest: Machine, calls: Calls) -> Traffic:
    """Packets of all protocols, on all paths."""
    return Traffic(guest, calls)


@pytest.fixture
def proc_divert(guest: Machine) -> Callable[[], ProcDivert]:
    """Reads /proc/net/divert."""
    return lambda: ProcDivert.parse(guest.ssh.check("cat /proc/net/divert"))


@pytest.fixture
def expected(worker_spec: WorkerSpec) -> Callable[[str], str]:
    """What harness/data/differences.toml says of this kernel."""
    has = frozenset(worker_spec.has)
    return lambda name: statements.difference(name, has)
