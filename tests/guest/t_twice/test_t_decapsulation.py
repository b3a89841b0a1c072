# SPDX-License-Identifier: GPL-2.0-only
"""T1. What GRE, and the registers of a multicast router (PIM), carry is a packet of its own."""

from __future__ import annotations

import struct

import pytest
from scapy.layers.inet import IP
from scapy.utils import checksum

from divert_reference.chains import Chains
from divert_reference.divert import DivertSocket, built, left
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, UDP_PORT, hop
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.groups import (
    MRT_ADD_MFC,
    MRT_ADD_VIF,
    MRT_INIT,
    mfc,
    multicast,
    vif,
)
from tests.guest.t_twice.test_t_tunnels import datagram

statement = pytest.mark.statement
needs = pytest.mark.needs

PORT = 1234
GRE, PIM, IGMP = 47, 103, 2
# linux/mroute.h
MRT_PIM = 208
VIFF_REGISTER = 4


def carried(protocol: int, header: bytes, inner: bytes) -> bytes:
    """A packet in another from wire 0's host to this one."""
    outer = IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=1, ttl=9, proto=protocol)
    return built(outer / (header + inner))


def taken_one_after_the_other(socket: DivertSocket, *packets: bytes) -> None:
    """One port sees each of them once, and gives it back."""
    for data in packets:
        taken = socket.take()
        assert taken.data == data
        socket.reinject(taken)
    assert socket.rest() == []


@statement("T1/tunnel", "T4")
@needs("gre")
@pytest.mark.parametrize("to", [NEAR.guest_ip, FAR.host_ip], ids=["in", "through"])
def test_gre(
    to: str,
    guest: Machine,
    shell: Shell,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    shell.check("ifconfig gre0 10.9.9.1 netmask 255.255.255.255 up")
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", f"in:0.0.0.0:{UDP_PORT}")
    inner = datagram(to)
    outer = carried(GRE, struct.pack("!HH", 0, 0x0800), inner)
    socket = divert(PORT)
    chains.append(f"input -i {NEAR.interface} -j DIVERT {PORT}", f"input -i gre0 -j DIVERT {PORT}")
    near.send(IP(outer))
    taken_one_after_the_other(socket, outer, inner)
    assert left(guest, far) == ([hop(inner)] if to == FAR.host_ip else [])
    assert calls.drain("receiver") == ([b"inside"] if to == NEAR.guest_ip else [])


def register_1(inner: bytes) -> bytes:
    """A register of PIM 1, which is a message of IGMP."""
    body = struct.pack("!BBHI", 0x14, 1, 0, 0x10000000) + inner
    return carried(IGMP, body[:2] + struct.pack("!H", checksum(body)) + body[4:8], inner)


def register_2(inner: bytes) -> bytes:
    """A register of PIM 2, whose checksum is of its header alone."""
    head = struct.pack("!BBHI", 0x21, 0, 0, 0)
    return carried(PIM, head[:2] + struct.pack("!H", checksum(head)) + head[4:], inner)


@statement("T1/tunnel", "T4")
@pytest.mark.parametrize(
    "version", [pytest.param(1, marks=needs("pim-1")), pytest.param(2, marks=needs("pim-2"))]
)
def test_register_of_a_multicast_router(
    version: int,
    guest: Machine,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """What it carries comes by the interface pimreg, and is routed from there to wire 1."""
    calls.ok("socket", "router", "inet", "raw", IGMP)
    calls.ok("setsockopt", "router", "ip", MRT_INIT, "int:1")
    calls.ok("setsockopt", "router", "ip", MRT_PIM, "int:1")
    interfaces = ((0, NEAR.guest_ip), (VIFF_REGISTER, NEAR.guest_ip), (0, FAR.guest_ip))
    for number, (flags, address) in enumerate(interfaces):
        calls.ok("setsockopt", "router", "ip", MRT_ADD_VIF, vif(number, address, flags))
    calls.ok("setsockopt", "router", "ip", MRT_ADD_MFC, mfc(NEAR.host_ip, into=1, out=2))
    inner = multicast()
    outer = (register_1 if version == 1 else register_2)(inner)
    socket = divert(PORT)
    chains.append(
        f"input -i {NEAR.interface} -j DIVERT {PORT}", f"input -i pimreg -j DIVERT {PORT}"
    )
    near.send(IP(outer))
    taken_one_after_the_other(socket, outer, inner)
    assert left(guest, far) == [hop(inner)]
