# SPDX-License-Identifier: GPL-2.0-only
"""O4: the reference in configurations that are none of the variants'."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import configurations, kernelconfig
from harness.kernel import Kernel
from harness.machine import Machine, MachineSpec
from harness.worker import WorkerSpec
from tests.guest.chains import Chains
from tests.guest.firewall import firewall, rule
from tests.guest.programs import Calls, Interceptor

statement = pytest.mark.statement

ROWS = configurations.load()
PORT = 1234
RECEIVER = "in:127.0.0.1:4000"


@pytest.fixture(scope="module")
def built(worker_spec: WorkerSpec) -> Kernel:
    """The kernel that is built as a whole."""
    return configurations.build(ROWS["no-multicast-routing"], given=worker_spec.given)


@pytest.fixture
def machine(built: Kernel, worker_spec: WorkerSpec, artifacts: Path) -> Iterator[Machine]:
    """A guest with that kernel."""
    spec = MachineSpec(
        variant=worker_spec.variant,
        kernel=built.bzimage,
        initrd=Path(worker_spec.initrd),
        private_key=Path(worker_spec.private_key),
        host_key=Path(worker_spec.host_key),
        folder=artifacts / "machine",
        system_map=built.system_map,
        hardware=worker_spec.hardware,
    )
    with Machine(spec) as guest:
        yield guest


@statement("O4/no-multicast-routing")
def test_links_without_multicast_routing(built: Kernel) -> None:
    resolved = kernelconfig.parse(built.config.read_text())
    assert resolved["CONFIG_IP_DIVERT"] == "y"
    assert resolved["CONFIG_IP_MROUTE"] == "n"
    names = {line.split()[-1] for line in built.system_map.read_text().splitlines()}
    assert "divert_inject" in names
    assert "ip_mr_input" not in names


@statement("O4/no-multicast-routing", "O4/debug")
def test_packet_is_taken_and_given_back(machine: Machine) -> None:
    """The rule is made by ipchains and by a program, with the firewall's own checks turned on."""
    shell = machine.ssh
    chains, calls = Chains(shell), Calls(shell)
    assert "Firewall graphs enabled" in shell.check("dmesg")
    interceptor = Interceptor(shell, PORT, ("--reinject",))
    chains.append(f"input -i lo -p UDP -j DIVERT {PORT}")
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", RECEIVER)
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("sendto", "sender", "text:over-the-loopback", RECEIVER)
    assert interceptor.next().error is None
    assert calls.ok("recvfrom", "receiver", 100)["hex"] == b"over-the-loopback".hex()
    # What the checks refuse in stock 2.2.12 they refuse still: a port without a target for it.
    fw = firewall(calls)
    assert fw("fw_append", rule("input", "ACCEPT", PORT)) == "EINVAL"
    assert fw("fw_append", rule("input", "DIVERT", PORT)) == ""
    machine.check()


@statement("O4/no-proc")
def test_compiles_without_proc(worker_spec: WorkerSpec, tmp_path: Path) -> None:
    configurations.compile_network(ROWS["no-proc"], tmp_path, given=worker_spec.given)
    assert (tmp_path / "linux/net/ipv4/ip_divert.o").is_file()
