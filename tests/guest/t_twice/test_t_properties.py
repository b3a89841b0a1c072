# SPDX-License-Identifier: GPL-2.0-only
"""T. No packet is taken twice, for random rules: which ports see a packet, how often and in order.

T1 to T3 together foretell it: the DIVERT rules that a packet matches on its way, in the order in
which it comes by them, without those that repeat the port before.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, configuration, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP

from harness.base.errors import GuestError
from harness.guest.machine import Machine
from harness.network.wire import Wire
from harness.run.worker import WorkerSpec
from tests.guest.conftest import Divert
from tests.guest.support.chains import Chains
from tests.guest.support.divert import DivertSocket, built, left
from tests.guest.support.traffic import FAR, NEAR, hop

statement = pytest.mark.statement

# About 50 ms each.
EXAMPLES = 15
PORTS = (1001, 1002, 1003)
# In the order in which a forwarded packet meets them.
HOOKS = {"input": "eth1", "forward": "eth2", "output": "eth2"}
USER = "user"

# A chain's rules: whether they match the packet, and their targets, DIVERT's as a port.
Rule = tuple[bool, int | str]
Rules = dict[str, tuple[Rule, ...]]


def rules(*targets: int | str) -> st.SearchStrategy[tuple[Rule, ...]]:
    """Up to four rules of a chain."""
    rule = st.tuples(st.sampled_from([True, True, True, False]), st.sampled_from(targets))
    return st.lists(rule, max_size=4).map(tuple)


rule_sets = st.fixed_dictionaries(
    {hook: rules(*PORTS, "", USER, USER) for hook in HOOKS} | {USER: rules(*PORTS, *PORTS, "")}
)


def words(chain: str, interface: str, rule: Rule) -> str:
    """A rule for ipchains; what does not match is for another protocol."""
    matches, target = rule
    jump = f" -j DIVERT {target}" if isinstance(target, int) else f" -j {target}" if target else ""
    return f"{chain} -i {interface} -p {'UDP' if matches else 'ICMP'}{jump}"


def foretold(chains: Rules) -> list[int]:
    """The ports that see a packet on its way through."""
    met: list[int | str] = []
    for hook in HOOKS:
        for matches, target in chains[hook]:
            if matches:
                in_user = [port for also, port in chains[USER] if also]
                met += in_user if target == USER else [target]
    return [port for port, _ in itertools.groupby(each for each in met if isinstance(each, int))]


@statement("T1/wins", "T1/last", "T2", "T3/in-order", "T3/hooks", "T3/user-chain", "T4")
def test_ports_see_a_packet_as_foretold(
    guest: Machine,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
    worker_spec: WorkerSpec,
    artifacts: Path,
) -> None:
    configuration.set_hypothesis_home_dir(artifacts)
    sockets: dict[int, DivertSocket] = {port: divert(port) for port in PORTS}
    identifications = itertools.count(0x2000)
    lost: list[GuestError] = []
    takes = []
    chains(f"-N {USER}")

    def examine(rule_set: Rules) -> None:
        # In the user's chain both interfaces' packets have to match.
        commands = [
            words(chain, HOOKS.get(chain, "eth+"), rule)
            for chain, each in rule_set.items()
            for rule in each
        ]
        if commands:
            chains.append(*commands)
        packet = IP(src=NEAR.host_ip, dst=FAR.host_ip, id=next(identifications), ttl=9)
        data = built(packet / UDP(sport=1, dport=9) / b"foretold")
        near.send(IP(data))
        # From here on all happens within the calls themselves.
        guest.barrier()
        expected = foretold(rule_set)
        takes.append(len(expected))
        for port in expected:
            taken = sockets[port].take(0)
            assert taken.data[20:] == data[20:]
            sockets[port].give_back(taken)
        assert left(guest, far) == [hop(data)]
        assert [socket.rest() for socket in sockets.values()] == [[], [], []]

    @hypothesis.seed(worker_spec.seed)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(rule_sets)
    def as_foretold(rule_set: Rules) -> None:
        if lost:
            raise lost[0]
        try:
            examine(rule_set)
        except GuestError as error:
            lost.append(error)
            raise
        finally:
            if not lost:
                chains.flush()
                for wire in guest.wires:
                    wire.clear()
                for socket in sockets.values():
                    socket.rest()

    as_foretold()
    assert any(takes), "no rule was met"
