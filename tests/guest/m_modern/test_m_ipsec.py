# SPDX-License-Identifier: GPL-2.0-only
"""M10. IPsec behind the chains: what is given back is protected as what was never taken."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import IP, UDP

from divert_reference.chains import Chains
from divert_reference.divert import DivertSocket, Taken, built, left
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, UDP_PORT, hop
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.ipsec import MODULES, Ipsec, inside
from tests.guest.support.kept import Keeper
from tests.guest.support.stack import load

statement = pytest.mark.statement

PORT = 1234
GiveBack = Callable[[Taken], None]


@pytest.fixture(autouse=True)
def tunnel(shell: Shell, calls: Calls) -> None:
    """Whatever goes to wire 1's host goes through a tunnel that ends there."""
    load(shell, *MODULES)
    Ipsec(calls).tunnel(FAR.host_ip, FAR.guest_ip, FAR.host_ip)


@pytest.fixture(params=["sent", "kept"])
def reinject(request: pytest.FixtureRequest, calls: Calls) -> tuple[DivertSocket, GiveBack]:
    """A divert socket, and how what is taken by it goes on."""
    if request.param == "sent":
        divert = DivertSocket(calls, PORT)
        return divert, divert.reinject
    keeper = Keeper(calls, PORT)
    return keeper, keeper.go_on


def datagram(length: int = 20) -> bytes:
    """One that the guest forwards through the tunnel, with so much data."""
    header = IP(src=NEAR.host_ip, dst=FAR.host_ip, id=77, ttl=9)
    return built(header / UDP(sport=3000, dport=UDP_PORT) / bytes(length))


@statement("M10/forwarded")
def test_forwarded_datagram_that_nobody_takes(guest: Machine, near: Wire, far: Wire) -> None:
    """What the others are compared with."""
    near.send(IP(datagram()))
    assert list(map(inside, left(guest, far))) == [hop(datagram())]


@statement("M10/forwarded")
@pytest.mark.parametrize("length", [20, 60], ids=["copied", "not-copied"])
@pytest.mark.parametrize("chain", ["input", "forward", "output"])
def test_forwarded_datagram(
    chain: str,
    length: int,
    guest: Machine,
    near: Wire,
    far: Wire,
    chains: Chains,
    reinject: tuple[DivertSocket, GiveBack],
) -> None:
    divert, on = reinject
    sent = datagram(length)
    chains.append(f"{chain} -p UDP -j DIVERT {PORT}")
    near.send(IP(sent))
    taken = divert.take()
    assert taken.data == (sent if chain == "input" else hop(sent))
    assert left(guest, far) == []
    on(taken)
    assert list(map(inside, left(guest, far))) == [hop(sent)]


@statement("M10/sent")
def test_datagram_of_this_host(
    guest: Machine,
    far: Wire,
    calls: Calls,
    chains: Chains,
    reinject: tuple[DivertSocket, GiveBack],
) -> None:
    """What it is inside is taken, and then the tunnel's own packet."""
    divert, on = reinject
    chains.append(f"output -p UDP -j DIVERT {PORT}")
    calls.ok("socket", "sender", "inet", "dgram", 0)
    calls.ok("sendto", "sender", "text:protected", f"in:{FAR.host_ip}:{UDP_PORT}")
    taken = divert.take()
    assert IP(taken.data)[UDP].dport == UDP_PORT
    on(taken)
    assert list(map(inside, left(guest, far))) == [taken.data]
