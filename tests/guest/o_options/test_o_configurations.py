# SPDX-License-Identifier: GPL-2.0-only
"""O4: the reference in configurations that are none of the variants'."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

from divert_reference.chains import Chains
from divert_reference.programs import Calls, Interceptor
from harness.base import command
from harness.guest.machine import Machine, MachineSpec
from harness.kernel import kernel
from harness.kernel.kernel import Kernel
from harness.matrix import configurations, kernelconfig, variants
from harness.matrix.kernelconfig import Option
from harness.matrix.pairwise import Model
from harness.matrix.variants import Variant
from harness.run.worker import WorkerSpec
from harness.upstream import patches, sources
from tests.guest.support.firewall import firewall, rule

statement = pytest.mark.statement

PORT = 1234
RECEIVER = "in:127.0.0.1:4000"
ASK_SECONDS = 60


def variant(name: str) -> Variant:
    """A configuration, as a variant."""
    return variants.named(configurations.PREFIX + name)


@pytest.fixture(scope="module")
def tree(worker_spec: WorkerSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The patched source, to ask questions of its own configuration scripts: few of drivers."""
    folder = tmp_path_factory.mktemp("configurations")
    source = sources.obtain(kernel.SOURCE, worker_spec.given)
    series = patches.load_parts(kernel.SOURCE, ("toolchain", "divert"))
    kernel.prepare(source, series, folder / "linux", folder / "log")
    config = folder / "linux/arch/i386/config.in"
    text = config.read_text()
    config.unlink()
    config.write_text(re.sub(r"\bsource (drivers/|net/(ax25|irda))\S+", ":", text))
    return folder / "linux"


def answers(tree: Path, changes: Iterable[Option]) -> dict[str, str]:
    """What the tree's Configure makes of base.config with these changes.

    It has no more answers than these: an option that it asks for beyond them is an error.
    """
    asked = kernelconfig.compose(("divert", configurations.FRAGMENT))
    (tree / ".config").write_text(kernelconfig.dump(kernelconfig.overlaid(asked, changes)))
    command.run(
        ["bash", "scripts/Configure", "-d", "arch/i386/config.in"],
        what="Configure",
        log=tree / "log",
        seconds=ASK_SECONDS,
        cwd=tree,
    )
    return kernelconfig.parse((tree / ".config").read_text())


@statement("O4/pairs")
def test_each_pair_is_in_one_configuration() -> None:
    data = configurations.load()
    seen = {
        pair
        for row in configurations.rows().values()
        for pair in itertools.combinations(row.values.items(), 2)
    }
    wanted = {((one, value), (other, second)) for one, value, other, second in data.model.pairs({})}
    assert wanted <= seen
    assert sum(row.boots for row in configurations.rows().values()) >= data.boots


@statement("O4/permitted")
def test_each_is_what_the_configurators_leave(tree: Path) -> None:
    for row in configurations.rows().values():
        resolved = answers(tree, row.options)
        assert kernelconfig.unmet(row.options, resolved) == (), row.name


def options(values: Mapping[str, str]) -> tuple[Option, ...]:
    choices = configurations.load().choices
    return tuple(
        Option(f"CONFIG_{name}", value, "")
        for name, value in values.items()
        if not choices[name].file
    )


@statement("O4/permitted")
def test_what_is_left_out_the_configurators_do_not_permit(tree: Path) -> None:
    """Of each dependency, a configuration that has all others and not this one."""
    data = configurations.load()
    rules = list(data.dependencies())
    for number, wrong in enumerate(rules):
        if any(data.choices[name].file for name in wrong):
            continue
        others = [*rules[:number], *rules[number + 1 :]]
        values = {name: choice.values for name, choice in data.choices.items()}
        for name, right in wrong.items():
            values[name] = tuple(value for value in values[name] if value not in right)
        model = Model(values, others)
        row = model.completed(model.domains({}))
        if row is None:
            # It follows from the others, and leaves nothing more out.
            continue
        changes = options(row)
        assert kernelconfig.unmet(changes, answers(tree, changes)), wrong


@pytest.fixture(scope="module")
def built(worker_spec: WorkerSpec) -> Kernel:
    """The kernel that is booted."""
    return kernel.build(variant("no-multicast-routing"), given=worker_spec.given)


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
def test_links_without_proc(worker_spec: WorkerSpec) -> None:
    made = kernel.build(variant("no-proc"), given=worker_spec.given)
    names = {line.split()[-1] for line in made.system_map.read_text().splitlines()}
    assert "divert_inject" in names
    assert "proc_root" not in names
