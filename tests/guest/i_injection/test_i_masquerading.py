# SPDX-License-Identifier: GPL-2.0-only
"""I2. What 2.2.12 masquerades, taken on its way and given back: out and, as the answer, in."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, UDP

from divert_reference.chains import Chains
from divert_reference.divert import DivertSocket, built, left
from divert_reference.fixtures import Divert
from divert_reference.traffic import FAR, NEAR, UDP_PORT
from harness.guest.machine import Machine
from harness.network.wire import Wire
from tests.guest.support.changes import with_data

statement = pytest.mark.statement
pytestmark = pytest.mark.needs("masquerading")

PORT = 1234
SENDER = 3009
MASQUERADE = f"forward -i {FAR.interface} -p UDP -s {NEAR.host_ip} -j MASQ"
# Where 2.2.12 has the ports of what it masquerades (net/ip_masq.h).
FIRST_PORT = 61000
HOOKS = ("input", "forward", "output", "input forward output", "forward forward", "output output")


def asked(size: int) -> list[bytes]:
    """A datagram from wire 0's host to wire 1's, in fragments if it is large."""
    header = IP(src=NEAR.host_ip, dst=FAR.host_ip, id=7, ttl=9)
    return parts(header / UDP(sport=SENDER, dport=UDP_PORT) / bytes(size))


def answered(port: int, size: int) -> list[bytes]:
    """The answer to it, to where it seemed to come from."""
    header = IP(src=FAR.host_ip, dst=FAR.guest_ip, id=8, ttl=9)
    return parts(header / UDP(sport=UDP_PORT, dport=port) / bytes(size))


def parts(packet: IP) -> list[bytes]:
    return [built(part) for part in IP(bytes(packet)).fragment(1480)]


def send(wire: Wire, packets: list[bytes]) -> None:
    wire.send_all([IP(data) for data in packets])


def divert_all(divert: Divert, chains: Chains, hooks: str) -> list[DivertSocket]:
    """A port for each hook, before what masquerades."""
    sockets = [divert(PORT + number) for number, _ in enumerate(hooks.split())]
    chains.flush()
    for hook, socket in zip(hooks.split(), sockets, strict=True):
        chains.append(f"{hook} -p UDP -j DIVERT {socket.port}")
    chains.append(MASQUERADE)
    return sockets


@statement("I2/masquerading", "T4")
@pytest.mark.parametrize("size", [40, 3000], ids=["small", "fragments"])
@pytest.mark.parametrize("hooks", HOOKS)
def test_masqueraded_once_and_its_answer_comes_back(
    hooks: str, size: int, guest: Machine, near: Wire, far: Wire, divert: Divert, chains: Chains
) -> None:
    chains.append(MASQUERADE)
    send(near, asked(size))
    out = left(guest, far)
    source = IP(out[0])
    assert source.src == FAR.guest_ip
    assert source.sport >= FIRST_PORT
    send(far, answered(source.sport, size))
    back = left(guest, near)
    assert (IP(back[0]).dst, IP(back[0]).dport) == (NEAR.host_ip, SENDER)
    sockets = divert_all(divert, chains, hooks)
    send(near, asked(size))
    for hook, socket in zip(hooks.split(), sockets, strict=True):
        taken = socket.take()
        masqueraded = hook == "output"
        assert IP(taken.data).src == (FAR.guest_ip if masqueraded else NEAR.host_ip)
        socket.reinject(taken)
    assert left(guest, far) == out
    # The answer meets no forward chain: 2.2.12 knows where it belongs.
    send(far, answered(source.sport, size))
    for hook, socket in zip(hooks.split(), sockets, strict=True):
        if hook != "forward":
            socket.reinject(socket.take())
    assert left(guest, near) == back
    assert left(guest, far) == []
    assert [socket.rest() for socket in sockets] == [[] for _ in sockets]


@statement("I2/masquerading", "I2/changed")
@pytest.mark.parametrize("hook", ["input", "forward", "output"])
def test_changed_it_is_masqueraded_too(
    hook: str, guest: Machine, near: Wire, far: Wire, divert: Divert, chains: Chains
) -> None:
    """Another destination behind the masquerade stays what the program made it, by the same way."""
    chains.append(MASQUERADE)
    send(near, asked(40))
    port = IP(left(guest, far)[0]).sport
    (socket,) = divert_all(divert, chains, hook)
    send(near, asked(40))
    taken = socket.take()
    changed = with_data(taken.data)
    socket.reinject(taken, changed)
    (out,) = left(guest, far)
    expected = IP(changed)
    expected.src, expected.sport = FAR.guest_ip, port
    if hook == "input":
        expected.ttl -= 1
    del expected.chksum, expected[UDP].chksum
    assert out == built(expected)
