# SPDX-License-Identifier: GPL-2.0-only
"""T1, R2, I2. Tunnels: what is in a packet, and what is put round it, is a packet of its own."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, UDP

from divert_reference.chains import Chains
from divert_reference.divert import built, left
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, UDP_PORT, hop
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.groups import (
    GROUP,
    MRT_ADD_VIF,
    MRT_DEL_VIF,
    multicast,
    route_groups,
    vif,
)

statement = pytest.mark.statement
pytestmark = pytest.mark.needs("tunnels", "multicast-routing")

PORT = 1234
# linux/mroute.h
VIFF_TUNNEL = 1
# The guest's name for the tunnel, which is the router's second interface.
TUNNEL = "dvmrp1"


def datagram(to: str) -> bytes:
    """From wire 0's host."""
    header = IP(src=NEAR.host_ip, dst=to, id=0x99, ttl=9)
    return built(header / UDP(sport=1, dport=UDP_PORT) / b"inside")


@statement("T1/tunnel", "T4")
@pytest.mark.parametrize("to", [NEAR.guest_ip, FAR.host_ip], ids=["in", "through"])
def test_one_port_sees_the_outer_packet_and_the_inner_one(
    to: str,
    guest: Machine,
    shell: Shell,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """And in a tunnel within, that which is innermost."""
    shell.check("ifconfig tunl0 10.9.9.1 netmask 255.255.255.255 up")
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", f"in:0.0.0.0:{UDP_PORT}")
    inner = datagram(to)
    between = built(IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=2, ttl=9, proto=4) / inner)
    outer = built(IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=1, ttl=9, proto=4) / between)
    socket = divert(PORT)
    chains.append(f"input -i {NEAR.interface} -j DIVERT {PORT}", f"input -i tunl0 -j DIVERT {PORT}")
    near.send(IP(outer))
    for data in (outer, between, inner):
        taken = socket.take()
        assert taken.data == data
        assert calls.drain("receiver") == []
        socket.reinject(taken)
    assert socket.rest() == []
    assert left(guest, far) == ([hop(inner)] if to == FAR.host_ip else [])
    assert calls.drain("receiver") == ([b"inside"] if to == NEAR.guest_ip else [])


TUNNEL_VIF = vif(1, FAR.guest_ip, VIFF_TUNNEL, FAR.host_ip)


@pytest.fixture
def router(calls: Calls) -> Calls:
    """A multicast router's socket: the group goes from wire 0 by a tunnel to wire 1's host."""
    route_groups(calls, name="router", interfaces=(vif(0, NEAR.guest_ip), TUNNEL_VIF))
    return calls


def same(packet: bytes) -> bytes:
    """An outer packet without its identification, and the sum that depends on it."""
    return packet[:4] + bytes(2) + packet[6:10] + bytes(2) + packet[12:]


def counting() -> list[str]:
    """Rules that count what is in the tunnel, and what is put round it."""
    return [
        f"forward -i {TUNNEL} -p UDP -d {GROUP}",
        f"output -i {TUNNEL} -p UDP -d {GROUP}",
        f"output -i {FAR.interface} -p 4",
    ]


@statement("R2/tunnel-multicast")
def test_outer_packet_of_multicast_routing_meets_the_output_chain(
    guest: Machine, near: Wire, far: Wire, router: Calls, chains: Chains
) -> None:
    chains.append(*counting())
    near.send(IP(multicast()))
    (outer,) = (IP(data) for data in left(guest, far))
    assert (outer.src, outer.dst, outer.proto) == (FAR.guest_ip, FAR.host_ip, 4)
    assert outer.flags == 0
    assert bytes(outer.payload) == hop(multicast())
    assert (chains.counts("forward"), chains.counts("output")) == ([1], [1, 1])
    chains(f"-R output 2 -i {FAR.interface} -p 4 -j DENY")
    near.send(IP(multicast()))
    assert left(guest, far) == []


HOOKS = ["input -i eth1", f"forward -i {TUNNEL}", f"output -i {TUNNEL}"]


@statement("I2/multicast-tunnel", "I2/second", "T4")
@pytest.mark.parametrize(
    "places",
    [*([each] for each in HOOKS), HOOKS, [HOOKS[1]] * 2, [HOOKS[2]] * 2],
    ids=["input", "forward", "output", "each", "forward-twice", "output-twice"],
)
def test_what_is_given_back_goes_into_the_tunnel_as_without_the_rule(
    places: list[str],
    guest: Machine,
    near: Wire,
    far: Wire,
    router: Calls,
    divert: Divert,
    chains: Chains,
) -> None:
    near.send(IP(multicast()))
    without = [same(data) for data in left(guest, far)]
    assert len(without) == 1
    sockets = [divert(PORT + number) for number, _ in enumerate(places)]
    for place, socket in zip(places, sockets, strict=True):
        chains.append(f"{place} -p UDP -d {GROUP} -j DIVERT {socket.port}")
    chains.append(*counting())
    near.send(IP(multicast()))
    for place, socket in zip(places, sockets, strict=True):
        taken = socket.take()
        assert taken.interface == ("0.0.0.0" if "output" in place else NEAR.guest_ip)
        socket.reinject(taken)
    assert [same(data) for data in left(guest, far)] == without
    assert [socket.rest() for socket in sockets] == [[] for _ in sockets]
    assert chains.counts("forward")[-1:] == [1]
    assert chains.counts("output")[-2:] == [1, 1]


@statement("I2/multicast-tunnel", "I6/deny")
@pytest.mark.parametrize("hook", HOOKS[1:])
def test_what_is_put_round_it_is_refused(
    hook: str,
    guest: Machine,
    near: Wire,
    far: Wire,
    router: Calls,
    divert: Divert,
    chains: Chains,
) -> None:
    socket = divert(PORT)
    chains.append(f"{hook} -p UDP -d {GROUP} -j DIVERT {PORT}")
    near.send(IP(multicast()))
    taken = socket.take()
    chains.append(f"output -i {FAR.interface} -p 4 -j DENY")
    assert socket.refused(taken.data, taken.address) == "EPERM"
    assert left(guest, far) == []


@statement("I2/multicast-tunnel", "T1/tunnel", "T4")
@pytest.mark.parametrize("hook", HOOKS)
def test_one_port_sees_what_goes_into_the_tunnel_and_what_is_put_round_it(
    hook: str,
    guest: Machine,
    near: Wire,
    far: Wire,
    router: Calls,
    divert: Divert,
    chains: Chains,
) -> None:
    near.send(IP(multicast()))
    without = [same(data) for data in left(guest, far)]
    socket = divert(PORT)
    chains.append(
        f"{hook} -p UDP -d {GROUP} -j DIVERT {PORT}",
        f"output -i {FAR.interface} -p 4 -j DIVERT {PORT}",
    )
    near.send(IP(multicast()))
    socket.reinject(socket.take())
    outer = socket.take()
    assert [same(outer.data)] == without
    assert outer.interface == "0.0.0.0"
    assert left(guest, far) == []
    socket.reinject(outer)
    assert left(guest, far) == [outer.data]
    assert socket.rest() == []


@statement("I2/multicast-tunnel", "I2/fragmented", "I2/dont-fragment")
@pytest.mark.parametrize("flags", ["", "DF"], ids=["fragment", "dont-fragment"])
def test_grown_above_what_the_tunnel_takes(
    flags: str,
    guest: Machine,
    near: Wire,
    far: Wire,
    router: Calls,
    divert: Divert,
    chains: Chains,
) -> None:
    """What is put round it counts; the outer packet is cut, for it never has DF."""
    socket = divert(PORT)
    chains.append(f"forward -i {TUNNEL} -p UDP -d {GROUP} -j DIVERT {PORT}")
    packet = IP(multicast())
    packet.flags = flags
    del packet.chksum
    near.send(packet)
    taken = socket.take()
    grown = taken.data + bytes(1481 - len(taken.data))
    if flags == "DF":
        assert socket.refused(grown, taken.address) == "EMSGSIZE"
        assert left(guest, far) == []
    else:
        socket.reinject(taken, grown)
        parts = left(guest, far)
        assert len(parts) == 2
        inside = b"".join(part[20:] for part in parts)
        assert (inside[:2], inside[20:]) == (grown[:2], grown[20:])


@statement("I2/multicast-tunnel")
@pytest.mark.parametrize("hook", HOOKS[1:])
def test_tunnel_that_is_down_meanwhile(
    hook: str,
    guest: Machine,
    shell: Shell,
    near: Wire,
    far: Wire,
    router: Calls,
    divert: Divert,
    chains: Chains,
) -> None:
    """Multicast routing does not ask whether it is up, and so no more what is given back."""
    socket = divert(PORT)
    chains.append(f"{hook} -p UDP -d {GROUP} -j DIVERT {PORT}")
    near.send(IP(multicast()))
    taken = socket.take()
    shell.check(f"ifconfig {TUNNEL} down")
    socket.reinject(taken)
    given_back = left(guest, far)
    chains.flush()
    near.send(IP(multicast()))
    without = left(guest, far)
    assert len(without) == 1
    assert [same(data) for data in given_back] == [same(data) for data in without]


@statement("I2/multicast-tunnel", "I6/interface-gone")
@pytest.mark.parametrize("hook", HOOKS[1:])
def test_tunnel_that_is_gone_meanwhile(
    hook: str, guest: Machine, near: Wire, far: Wire, router: Calls, divert: Divert, chains: Chains
) -> None:
    """A new one to the same host is another."""
    socket = divert(PORT)
    chains.append(f"{hook} -p UDP -d {GROUP} -j DIVERT {PORT}")
    near.send(IP(multicast()))
    taken = socket.take()
    for option in (MRT_DEL_VIF, MRT_ADD_VIF):
        router.ok("setsockopt", "router", "ip", option, TUNNEL_VIF)
        assert socket.refused(taken.data, taken.address) == "ESTALE"
    assert left(guest, far) == []
