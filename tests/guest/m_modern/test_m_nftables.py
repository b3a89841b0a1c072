# SPDX-License-Identifier: GPL-2.0-only
"""M3. nftables beside the chains: what it drops is dropped, and it sees each packet once."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, UDP

from divert_reference.chains import Chains
from divert_reference.divert import built, left
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, UDP_PORT
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.nft import COUNTER, DROP, HOOKS, Nft, destination, protocol
from tests.guest.support.stack import NFTABLES, load

statement = pytest.mark.statement

PORT = 1234
# The module's hooks are at -410; nobody else's priority is between these and it.
BEFORE, BEHIND = -450, 0
PLACES = {
    "input": ("prerouting", f"input -i {NEAR.interface}", NEAR.guest_ip),
    "forward": ("forward", f"forward -i {FAR.interface}", FAR.host_ip),
    "output-through": ("forward", f"output -i {FAR.interface}", FAR.host_ip),
    "output": ("output", f"output -i {FAR.interface}", FAR.host_ip),
}
at_each = pytest.mark.parametrize("place", list(PLACES))


@pytest.fixture
def nft(shell: Shell, calls: Calls) -> Nft:
    """nftables, with a counter before and behind the module at each hook."""
    load(shell, *NFTABLES)
    table = Nft(calls)
    for hook in HOOKS:
        for when, priority in (("before", BEFORE), ("behind", BEHIND)):
            table.chain(f"{hook}-{when}", hook, priority)
    return table


def datagram(to: str, size: int = 40, src: str = NEAR.host_ip) -> bytes:
    """From the host of wire 0."""
    header = IP(src=src, dst=to, id=0x77, ttl=9)
    return built(header / UDP(sport=1, dport=UDP_PORT) / bytes(size))


def start(place: str, calls: Calls, near: Wire, size: int = 40) -> None:
    """Send a datagram that comes by this place."""
    to = PLACES[place][2]
    if place == "output":
        calls.ok("socket", "sender", "inet", "dgram", 17)
        calls.ok("sendto", "sender", f"zero:{size}", f"in:{to}:{UDP_PORT}")
    else:
        near.send(IP(datagram(to, size)))


@statement("M3/once")
@at_each
def test_hook_sees_once_what_is_taken_and_given_back(
    place: str,
    nft: Nft,
    guest: Machine,
    calls: Calls,
    near: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """What is before the module's hook has seen it when it is taken, and what is behind, after."""
    hook, rule, to = PLACES[place]
    for each in HOOKS:
        for when in ("before", "behind"):
            nft.rule(f"{each}-{when}", protocol(17), destination(to), COUNTER)
    socket = divert(PORT)
    chains.append(f"{rule} -p UDP -j DIVERT {PORT}")
    start(place, calls, near)
    taken = socket.take()
    assert (nft.counts(f"{hook}-before"), nft.counts(f"{hook}-behind")) == ([1], [0])
    socket.reinject(taken)
    guest.barrier()
    counts = {name: nft.counts(f"{name}-before") + nft.counts(f"{name}-behind") for name in HOOKS}
    passed = {
        "input": ("prerouting", "input"),
        "output": ("output", "postrouting"),
    }.get(place, ("prerouting", "forward", "postrouting"))
    assert counts == {name: [1, 1] if name in passed else [0, 0] for name in HOOKS}


@statement("M3/drop")
@pytest.mark.parametrize("when", ["before", "behind"])
@at_each
def test_what_nftables_drops_is_dropped(
    place: str,
    when: str,
    nft: Nft,
    guest: Machine,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """Before the module's hook nobody takes it; behind it the one who gives it back is told."""
    hook, rule, to = PLACES[place]
    nft.rule(f"{hook}-{when}", protocol(17), destination(to), COUNTER, DROP)
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", f"in:{NEAR.guest_ip}:{UDP_PORT}")
    socket = divert(PORT)
    chains.append(f"{rule} -p UDP -j DIVERT {PORT}")
    if when == "before" and place == "output":
        calls.ok("socket", "sender", "inet", "dgram", 17)
        said = calls.error("sendto", "sender", "zero:40", f"in:{to}:{UDP_PORT}")
        assert said == "EPERM"
    else:
        start(place, calls, near)
    if when == "behind":
        taken = socket.take()
        row = calls("sendto", socket.name, f"hex:{taken.data.hex()}", taken.address)
        assert row.get("error", "") == ("EPERM" if place.startswith("output") else "")
    guest.barrier()
    assert socket.rest() == []
    assert nft.counts(f"{hook}-{when}") == [1]
    assert calls.drain("receiver") == left(guest, far) == []
    other = IP(src=NEAR.host_ip, dst=FAR.host_ip, ttl=9) / ICMP()
    near.send(other)
    assert len(left(guest, far)) == 1, "what no rule is for is seen there"


@statement("M3/once", "F1/local")
def test_datagram_that_is_cut_before_the_chain(
    nft: Nft, guest: Machine, calls: Calls, far: Wire, chains: Chains
) -> None:
    """Before the module it is whole; behind, each hook has seen its parts once."""
    for each in ("before", "behind"):
        nft.rule(f"output-{each}", protocol(17), destination(FAR.host_ip), COUNTER)
    chains.append(f"output -i {FAR.interface} -d {FAR.host_ip} -j ACCEPT")
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("setsockopt", "sender", "ip", "mtu_discover", "int:0")
    calls.ok("sendto", "sender", "zero:4000", f"in:{FAR.host_ip}:{UDP_PORT}")
    assert len(left(guest, far)) == 3
    assert nft.counts("output-before") == [1]
    assert nft.counts("output-behind") == [3]
    assert chains.counts("output") == [3]
