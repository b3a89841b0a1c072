# SPDX-License-Identifier: GPL-2.0-only
"""I2. The way out that was chosen for a packet stays its own, however many programs take it."""

from __future__ import annotations

from socket import inet_aton

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
from tests.guest.support.changes import rewritten
from tests.guest.support.netlink import Links
from tests.guest.support.policy import Policy
from tests.guest.support.ways import (
    BEYOND,
    BY_DEVICE,
    DOINGS,
    FORWARDED,
    MAIN,
    OTHER,
    PORT,
    SENT,
    Way,
    passed_on,
)

statement = pytest.mark.statement
pytestmark = pytest.mark.needs("rtnetlink", "policy-routing", "mark-routing", "multicast")


STATEMENTS = {"device": "way-device", "device-alone": "way-device", "mark": "way-mark"}


def ways(given: tuple[Way, ...]) -> pytest.MarkDecorator:
    """A test for each of these ways, with the cases that it proves."""
    return pytest.mark.parametrize(
        "way",
        [
            pytest.param(
                each,
                id=each.name,
                marks=statement(f"I2/{STATEMENTS.get(each.name, f'way-{each.name}')}", "T4"),
            )
            for each in given
        ],
    )


doings = pytest.mark.parametrize("doing", DOINGS)


@ways(SENT)
@doings
@pytest.mark.parametrize("hooks", ["output", "output output"])
def test_sent(
    hooks: str,
    doing: str,
    way: Way,
    guest: Machine,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    way.prepare(guest, calls, chains)
    calls.ok("socket", "sender", "inet", "dgram", 17)
    if way.device:
        calls.ok("setsockopt", "sender", "socket", "bindtodevice", BY_DEVICE)
    calls.ok("bind", "sender", f"in:{NEAR.guest_ip}:0")

    def send() -> None:
        calls.ok("sendto", "sender", "text:away", f"in:{BEYOND}:{UDP_PORT}")

    send()
    assert len(left(guest, far)) == 1, "so it goes without a rule"
    data = passed_on(divert, chains, hooks, send, doing)
    assert left(guest, far) == [data]
    assert left(guest, near) == []


@statement("I2/way-source", "I2/changed")
@pytest.mark.parametrize("source", [FAR.guest_ip, FAR.host_ip], ids=["of-ours", "foreign"])
def test_source_that_it_is_changed_to_chooses_if_it_is_ours(
    source: str,
    guest: Machine,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    policy = Policy(calls)
    policy.route(*MAIN)
    policy.route(*OTHER)
    policy.rule("from", source, "table", "100")
    socket = divert(PORT)
    chains.append(f"output -p UDP -j DIVERT {PORT}")
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("bind", "sender", f"in:{NEAR.guest_ip}:0")
    calls.ok("sendto", "sender", "text:away", f"in:{BEYOND}:{UDP_PORT}")
    taken = socket.take()
    changed = rewritten(taken.data, src=source)
    socket.reinject(taken, changed)
    by_rule = source == FAR.guest_ip
    assert left(guest, far) == [changed] * by_rule
    assert left(guest, near) == [changed] * (not by_rule)


@pytest.mark.parametrize("tos", [0, 8])
@pytest.mark.parametrize(
    "doing",
    [
        pytest.param("given-back", marks=statement("I2/way-source", "T4")),
        pytest.param("payload", marks=statement("I2/way-source", "T4")),
        pytest.param("address", marks=statement("I2/way-chosen", "T4")),
    ],
)
def test_source_that_the_way_chose_does_not_choose_the_way(
    doing: str,
    tos: int,
    guest: Machine,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """Its sender is not bound to an address: the rule for that is no rule for what it sends."""
    by_source = next(way for way in SENT if way.name == "source")
    by_source.prepare(guest, calls, chains)
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("setsockopt", "sender", "ip", "tos", f"int:{tos}")

    def send() -> None:
        calls.ok("sendto", "sender", "text:away", f"in:{BEYOND}:{UDP_PORT}")

    send()
    assert IP(left(guest, near)[0]).src == NEAR.guest_ip, "so it goes without a rule"
    data = passed_on(divert, chains, "output", send, doing)
    assert left(guest, near) == [data]
    assert left(guest, far) == []


@statement("I2/way-chosen")
@pytest.mark.parametrize("named", [True, False], ids=["named", "not-named"])
@pytest.mark.parametrize("sender", ["datagram", "header"])
@pytest.mark.parametrize("doing", ["given-back", "address"])
def test_way_that_is_looked_up_anew(
    doing: str,
    sender: str,
    named: bool,
    guest: Machine,
    shell: Shell,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """By a source if its sender's look-up had it: who is not bound may have named it for this
    datagram alone. The routes have changed meanwhile, but not these.
    """
    next(way for way in SENT if way.name == "source").prepare(guest, calls, chains)
    to = f"in:{BEYOND}:{UDP_PORT}"
    if sender == "datagram":
        calls.ok("socket", "sender", "inet", "dgram", 17)
        words = ["sendto", "sender", "text:away", to]
    else:
        # Whatever the header's source is, it is not looked up by that.
        data = built(IP(src=NEAR.guest_ip, dst=BEYOND, id=7) / UDP(dport=UDP_PORT) / b"away")
        calls.ok("socket", "sender", "inet", "raw", 255)
        words = ["sendto", "sender", f"hex:{data.hex()}", to]
    if named:
        source = bytes(4) + inet_aton(NEAR.guest_ip) + bytes(4)
        words = ["sendabout", *words[1:], "ip", "pktinfo", f"hex:{source.hex()}"]
    calls.ok(*words)
    assert [len(left(guest, wire)) for wire in (near, far)] == [not named, named]
    socket = divert(PORT)
    chains.append(f"output -p UDP -j DIVERT {PORT}")
    calls.ok(*words)
    taken = socket.take()
    Policy(calls).route("198.18.0.0/24", "via", FAR.host_ip)
    shell.check("echo 0 >/proc/sys/net/ipv4/route/flush")
    data = DOINGS[doing](taken.data)
    socket.reinject(taken, data)
    assert left(guest, near) == [data] * (not named)
    assert left(guest, far) == [data] * named


# On 2.2.12 the outer packet meets no output chain.
@statement("I2/way-device", "T1/tunnel")
@pytest.mark.needs("modern-stack")
def test_device_of_who_sends_into_a_tunnel_is_not_that_of_the_outer_packet(
    guest: Machine, shell: Shell, calls: Calls, far: Wire, divert: Divert, chains: Chains
) -> None:
    """That is the tunnel's own: its route is looked up as the tunnel does."""
    Links(calls).tunnel("out", FAR.guest_ip, FAR.host_ip)
    shell.check("ifconfig out 10.9.9.1 pointopoint 10.9.9.2 up")
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("setsockopt", "sender", "socket", "bindtodevice", f"hex:{b'out'.hex()}00")
    socket = divert(PORT)
    chains.append(f"output -p 4 -j DIVERT {PORT}")
    calls.ok("sendto", "sender", "text:inside", f"in:10.9.9.2:{UDP_PORT}")
    taken = socket.take()
    far.add_address("198.51.100.77")
    changed = rewritten(taken.data, dst="198.51.100.77")
    socket.reinject(taken, changed)
    assert left(guest, far) == [changed]


@ways(FORWARDED)
@doings
@pytest.mark.parametrize(
    "hooks", ["input", "forward", "output", "output output", "forward output", "forward forward"]
)
def test_forwarded(
    hooks: str,
    doing: str,
    way: Way,
    guest: Machine,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    way.prepare(guest, calls, chains)
    packet = IP(src=NEAR.host_ip, dst=BEYOND, id=7, ttl=9) / UDP(sport=9, dport=9) / b"beyond"
    near.send(packet)
    assert left(guest, far) == [hop(built(packet))], "so it goes without a rule"
    data = passed_on(divert, chains, hooks, lambda: near.send(packet), doing)
    assert left(guest, far) == [hop(data) if hooks == "input" else data]
    assert left(guest, near) == []
