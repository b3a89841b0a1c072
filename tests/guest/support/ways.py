# SPDX-License-Identifier: GPL-2.0-only
"""I2. Ways out that not the main table has chosen, and packets that programs pass on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from divert_reference.chains import Chains
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR
from harness.guest.machine import Machine
from tests.guest.support.changes import readdressed, with_data
from tests.guest.support.policy import Policy

PORT = 1234
# Behind the hosts of both wires; the main table leads to the first wire's.
BEYOND, BESIDE = "203.0.113.7", "203.0.113.9"
MAIN = ("203.0.113.0/24", "via", NEAR.host_ip)
OTHER = ("default", "via", FAR.host_ip, "table", "100")
BY_DEVICE = f"hex:{FAR.interface.encode().hex()}00"


@dataclass(frozen=True)
class Way:
    """What has chosen the second wire: routes, a rule of the policy, rules of the firewall."""

    name: str
    routes: tuple[tuple[str, ...], ...] = (MAIN, OTHER)
    rule: tuple[str, ...] = ()
    marks: str = ""
    device: bool = False
    answers: bool = False

    def prepare(self, guest: Machine, calls: Calls, chains: Chains) -> None:
        """Make routes and rules."""
        policy = Policy(calls)
        for route in self.routes:
            policy.route(*route)
        if self.rule:
            policy.rule(*self.rule)
        if self.marks:
            chains.append(self.marks)
        if self.answers:
            for address in (BEYOND, BESIDE):
                guest.wires[1].add_address(address)


SENT = (
    Way("device", (MAIN, ("203.0.0.0/16", "via", FAR.host_ip)), device=True),
    Way("device-alone", (), device=True, answers=True),
    Way("source", rule=("from", NEAR.guest_ip, "table", "100")),
)
FORWARDED = (
    Way("mark", rule=("fwmark", "5", "table", "100"), marks="input -p UDP -m 5"),
    Way("source", rule=("from", NEAR.host_ip, "table", "100")),
    Way("interface", rule=("iif", NEAR.interface, "table", "100")),
)
DOINGS: dict[str, Callable[[bytes], bytes]] = {
    "given-back": lambda data: data,
    "payload": with_data,
    "address": lambda data: readdressed(data, BESIDE),
}


def passed_on(
    divert: Divert, chains: Chains, hooks: str, send: Callable[[], None], doing: str
) -> bytes:
    """A packet that programs take, one a hook, the first of which does something with it.

    Returns what the last of them has given back.
    """
    sockets = [divert(PORT + number) for number, _ in enumerate(hooks.split())]
    for hook, socket in zip(hooks.split(), sockets, strict=True):
        chains.append(f"{hook} -p UDP -j DIVERT {socket.port}")
    send()
    data, change = b"", DOINGS[doing]
    for socket in sockets:
        taken = socket.take()
        data = change(taken.data)
        socket.reinject(taken, data)
        change = DOINGS["given-back"]
    assert [socket.rest() for socket in sockets] == [[] for _ in sockets]
    return data
