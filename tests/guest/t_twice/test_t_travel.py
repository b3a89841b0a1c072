# SPDX-License-Identifier: GPL-2.0-only
"""T1, T3. That a packet was taken travels with it, whoever holds it on its way."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, UDP

from divert_reference.chains import Chains
from divert_reference.divert import DivertSocket, built, left
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, UDP_PORT, hop
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support import nfqueue
from tests.guest.support.ipsec import ESP, MODULES, Ipsec, inside, later
from tests.guest.support.kept import Keeper
from tests.guest.support.nfqueue import Queue
from tests.guest.support.nft import Nft, destination, protocol, queue
from tests.guest.support.stack import NFTABLES, load

statement = pytest.mark.statement

PORT = 1234
CHAINS = ("input", "forward", "output")
# Where another program holds it, and how many chains are before that: what is forwarded meets its
# output chain in the forward hook.
HELD = {"prerouting": 1, "forward": 3}


def datagram(number: int) -> bytes:
    """From wire 0's host to wire 1's."""
    header = IP(src=NEAR.host_ip, dst=FAR.host_ip, id=number, ttl=9)
    return built(header / UDP(sport=3000, dport=UDP_PORT) / b"held on its way")


@pytest.fixture(params=HELD)
def held(request: pytest.FixtureRequest, shell: Shell, calls: Calls) -> tuple[Queue, int]:
    """A queue behind the module at a hook, and how many of CHAINS are before it."""
    hook = str(request.param)
    load(shell, *NFTABLES, *nfqueue.MODULES)
    nft = Nft(calls)
    nft.chain("held", hook, 0)
    nft.rule("held", protocol(17), destination(FAR.host_ip), queue(0))
    return Queue(calls, 0), HELD[hook]


@statement("T1/queued", "M11/beside", "T4")
@pytest.mark.parametrize("kind", [DivertSocket, Keeper], ids=["sent", "kept"])
def test_one_port_sees_once_what_nfqueue_holds_between_the_chains(
    kind: type[DivertSocket],
    held: tuple[Queue, int],
    guest: Machine,
    calls: Calls,
    near: Wire,
    far: Wire,
    chains: Chains,
) -> None:
    """Three, which are let go in another order than that in which they came."""
    queued, _ = held
    socket = kind(calls, PORT)
    chains.append(*(f"{chain} -p UDP -d {FAR.host_ip} -j DIVERT {PORT}" for chain in CHAINS))
    numbers = []
    for number in (1, 2, 3):
        near.send(IP(datagram(number)))
        taken = socket.take()
        socket.go_on(taken) if isinstance(socket, Keeper) else socket.reinject(taken)
        numbers.append(queued.take())
    assert left(guest, far) == []
    for number in reversed(numbers):
        queued.accept(number)
    assert left(guest, far) == [hop(datagram(number)) for number in (3, 2, 1)]
    assert socket.rest() == []


@statement("T1/queued", "T3/hooks", "M11/beside", "T4")
def test_each_port_sees_once_what_nfqueue_holds_between_the_chains(
    held: tuple[Queue, int],
    guest: Machine,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    queued, before = held
    sockets = [divert(PORT + number) for number in range(len(CHAINS))]
    for chain, socket in zip(CHAINS, sockets, strict=True):
        chains.append(f"{chain} -p UDP -d {FAR.host_ip} -j DIVERT {socket.port}")
    near.send(IP(datagram(1)))
    for number, socket in enumerate(sockets):
        if number == before:
            queued.accept(queued.take())
        socket.reinject(socket.take())
    if before == len(sockets):
        queued.accept(queued.take())
    assert left(guest, far) == [hop(datagram(1))]
    assert [socket.rest() for socket in sockets] == [[], [], []]


@statement("T1/queued", "M11/beside")
def test_held_again_by_the_same_program(
    guest: Machine,
    shell: Shell,
    calls: Calls,
    near: Wire,
    far: Wire,
    chains: Chains,
    divert: Divert,
) -> None:
    """NFQUEUE before the module and behind it: each holds it once."""
    load(shell, *NFTABLES, *nfqueue.MODULES)
    nft = Nft(calls)
    for name, priority in (("before", -450), ("behind", 0)):
        nft.chain(name, "prerouting", priority)
        nft.rule(name, protocol(17), destination(FAR.host_ip), queue(0))
    queued, socket = Queue(calls, 0), divert(PORT)
    chains.append(*(f"{chain} -p UDP -d {FAR.host_ip} -j DIVERT {PORT}" for chain in CHAINS))
    near.send(IP(datagram(1)))
    queued.accept(queued.take())
    socket.reinject(socket.take())
    queued.accept(queued.take())
    assert left(guest, far) == [hop(datagram(1))]
    assert socket.rest() == []
    assert calls.ok("poll", "queue", "in", 0)["result"] == 0


@statement("T1/asynchronous", "M10/once", "T4")
@pytest.mark.parametrize("kind", [DivertSocket, Keeper], ids=["sent", "kept"])
@pytest.mark.parametrize("source", ["here", "forwarded"])
def test_ipsec_that_is_done_by_another_task(
    source: str,
    kind: type[DivertSocket],
    guest: Machine,
    shell: Shell,
    calls: Calls,
    near: Wire,
    far: Wire,
    chains: Chains,
) -> None:
    """By a rule for all that leaves there, which sees the packet, and not what is made of it."""
    later(shell, calls)
    load(shell, *MODULES)
    Ipsec(calls).tunnel(FAR.host_ip, FAR.guest_ip, FAR.host_ip)
    socket = kind(calls, PORT)
    chains.append(f"output -i {FAR.interface} -j DIVERT {PORT}")
    if source == "here":
        calls.ok("socket", "sender", "inet", "dgram", 17)
        calls.ok("sendto", "sender", "text:by-and-by", f"in:{FAR.host_ip}:{UDP_PORT}")
    else:
        near.send(IP(datagram(1)))
    taken = socket.take()
    assert IP(taken.data).proto == 17
    socket.go_on(taken) if isinstance(socket, Keeper) else socket.reinject(taken)
    protected = far.expect(lambda packet: packet.haslayer(IP) and packet[IP].proto == ESP)
    assert inside(bytes(protected[IP])) == taken.data
    assert socket.rest() == []
    assert len(left(guest, far)) == 1


@statement("M11/beside")
def test_what_another_holds_is_there_still_when_the_last_rule_has_gone(
    held: tuple[Queue, int],
    guest: Machine,
    calls: Calls,
    near: Wire,
    far: Wire,
    chains: Chains,
) -> None:
    """Taking a netfilter hook away empties the queues of all who hold packets."""
    queued, _ = held
    chains.append(f"input -p UDP -d {FAR.host_ip}")
    near.send(IP(datagram(1)))
    number = queued.take()
    chains.flush()
    calls.ok("socket", "brief", "inet", "raw", 254)
    calls.ok("close", "brief")
    near.send(IP(datagram(2)))
    other = queued.take()
    chains.append(f"input -p UDP -d {FAR.host_ip}")
    for each in (number, other):
        queued.accept(each)
    assert left(guest, far) == [hop(datagram(1)), hop(datagram(2))]
    assert chains.counts("input") == [0]
