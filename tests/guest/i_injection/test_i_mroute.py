# SPDX-License-Identifier: GPL-2.0-only
"""I. Injection: what multicast routing sends on, taken on its way and given back."""

from __future__ import annotations

from collections.abc import Callable
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
from harness.network.addresses import Link
from harness.network.wire import Wire
from tests.guest.support.groups import GROUP, multicast, route_groups

statement = pytest.mark.statement
pytestmark = pytest.mark.needs("multicast-routing")

PORT = 1234


@pytest.fixture
def router(calls: Calls) -> Calls:
    """A multicast router's socket, as a daemon has it: the group goes from wire 0 to wire 1.

    So does what this host itself sends to it by wire 0.
    """
    route_groups(calls, NEAR.host_ip, NEAR.guest_ip, name="router")
    return calls


def joined(calls: Calls, link: Link) -> None:
    """A socket `member` of the group on an interface."""
    calls.ok("socket", "member", "inet", "dgram", 17)
    calls.ok("bind", "member", f"in:0.0.0.0:{UDP_PORT}")
    calls.ok("setsockopt", "member", "ip", "add_membership", f"mreq:{GROUP}:{link.guest_ip}")


def routed(guest: Machine, wire: Wire) -> list[bytes]:
    """What left by a wire, but for reports of membership (IGMP)."""
    return [data for data in left(guest, wire) if data[9] != 2]


@statement("I2/multicast-routing", "I2/bytes", "T4")
@pytest.mark.parametrize(
    ("chain", "interface"), [("input", "eth1"), ("forward", "eth2"), ("output", "eth2")]
)
def test_goes_on_as_without_the_rule(
    chain: str,
    interface: str,
    guest: Machine,
    near: Wire,
    far: Wire,
    router: Calls,
    divert: Divert,
    chains: Chains,
) -> None:
    near.send(IP(multicast()))
    without = routed(guest, far)
    assert without == [hop(multicast())]
    socket = divert(PORT)
    chains.append(
        f"{chain} -i {interface} -p UDP -d {GROUP} -j DIVERT {PORT}",
        *(f"{name} -i eth2 -p UDP -d {GROUP}" for name in ("input", "forward", "output")),
    )
    near.send(IP(multicast()))
    taken = socket.take()
    assert taken.data == (multicast() if chain == "input" else without[0])
    assert taken.interface == ("0.0.0.0" if chain == "output" else NEAR.guest_ip)
    assert routed(guest, far) == []
    socket.reinject(taken)
    assert routed(guest, far) == without
    assert routed(guest, near) == []
    assert socket.rest() == []
    # It meets each chain once, and no copy of it comes back.
    met = [chains.counts(name)[-1] for name in ("input", "forward", "output")]
    assert met == [0, 1, 1]


@statement("I2/multicast-routing", "T2", "T3/hooks", "T4")
def test_in_div_fwd_div_out_div_out(
    guest: Machine, near: Wire, far: Wire, router: Calls, divert: Divert, chains: Chains
) -> None:
    """Three ports on its way see it once each; one port on all three, once."""
    sockets = [divert(PORT + number) for number in range(3)]
    places = ["input -i eth1", "forward -i eth2", "output -i eth2"]
    chains.append(
        *(f"{each} -p UDP -d {GROUP} -j DIVERT {PORT + n}" for n, each in enumerate(places))
    )
    chains.append(f"input -i eth2 -p UDP -d {GROUP}")
    near.send(IP(multicast()))
    for socket in sockets:
        socket.reinject(socket.take())
    assert routed(guest, far) == [hop(multicast())]
    assert chains.counts("input") == [1, 0], "no copy of it came back, as for a sender here"
    chains.flush()
    chains.append(*(f"{each} -p UDP -d {GROUP} -j DIVERT {PORT}" for each in places))
    near.send(IP(multicast(2)))
    sockets[0].reinject(sockets[0].take())
    assert routed(guest, far) == [hop(multicast(2))]
    assert [socket.rest() for socket in sockets] == [[], [], []]


@statement("I2/multicast-routing", "T3/verdicts")
@pytest.mark.parametrize("chain", ["forward", "output"])
def test_rule_inserted_before_refuses_it(
    chain: str,
    guest: Machine,
    near: Wire,
    far: Wire,
    router: Calls,
    divert: Divert,
    chains: Chains,
) -> None:
    socket = divert(PORT)
    chains.append(f"{chain} -i eth2 -p UDP -d {GROUP} -j DIVERT {PORT}")
    near.send(IP(multicast()))
    taken = socket.take()
    chains(f"-I {chain} 1 -i eth2 -d {GROUP} -j DENY")
    assert socket.refused(taken.data, taken.address) == "EPERM"
    chains(f"-R {chain} 1 -i eth2 -d {GROUP}")
    socket.reinject(taken)
    assert routed(guest, far) == [taken.data]


@statement("I2/multicast-routing", "I2/changed")
@pytest.mark.parametrize("chain", ["forward", "output"])
def test_to_another_group_it_leaves_by_the_interface_it_was_routed_to(
    chain: str,
    guest: Machine,
    near: Wire,
    far: Wire,
    router: Calls,
    divert: Divert,
    chains: Chains,
) -> None:
    """No route leads to either group: the multicast router's entry had chosen it."""
    socket = divert(PORT)
    chains.append(f"{chain} -i eth2 -p UDP -d {GROUP} -j DIVERT {PORT}")
    near.send(IP(multicast()))
    taken = socket.take()
    packet = IP(taken.data)
    packet.dst = "239.9.9.9"
    del packet.chksum, packet[UDP].chksum
    socket.inject(bytes(packet), taken.address)
    assert routed(guest, far) == [bytes(packet)]
    assert routed(guest, near) == []


@statement("I2/multicast-routing", "I6/no-route")
@pytest.mark.parametrize("chain", ["forward", "output"])
def test_link_that_is_down_meanwhile(
    chain: str,
    guest: Machine,
    shell: Shell,
    near: Wire,
    far: Wire,
    router: Calls,
    divert: Divert,
    chains: Chains,
) -> None:
    """Multicast routing has chosen that link, and no other: it goes when that is up again."""
    socket = divert(PORT)
    chains.append(f"{chain} -i eth2 -p UDP -d {GROUP} -j DIVERT {PORT}")
    near.send(IP(multicast()))
    taken = socket.take()
    shell.check(f"ifconfig {FAR.interface} down")
    assert socket.refused(taken.data, taken.address) == "ENETUNREACH"
    shell.check(f"ifconfig {FAR.interface} up")
    assert routed(guest, far) == []
    socket.reinject(taken)
    assert routed(guest, far) == [taken.data]


@statement("I2/multicast-routing", "I2/fragmented", "I2/dont-fragment")
@pytest.mark.parametrize("flags", ["", "DF"], ids=["fragment", "dont-fragment"])
def test_grown_above_the_next_link(
    flags: str,
    guest: Machine,
    near: Wire,
    far: Wire,
    router: Calls,
    divert: Divert,
    chains: Chains,
) -> None:
    socket = divert(PORT)
    chains.append(f"output -i eth2 -p UDP -d {GROUP} -j DIVERT {PORT}")
    packet = IP(multicast())
    packet.flags = flags
    del packet.chksum
    near.send(packet)
    taken = socket.take()
    grown = taken.data + bytes(1501 - len(taken.data))
    if flags == "DF":
        assert socket.refused(grown, taken.address) == "EMSGSIZE"
        assert routed(guest, far) == []
    else:
        socket.reinject(taken, grown)
        parts = routed(guest, far)
        assert b"".join(part[20:] for part in parts) == grown[20:]
        assert len(parts) == 2


@statement("I2/multicast-routing", "T1/copies", "T4")
def test_copy_to_a_member_here_is_not_routed_again(
    guest: Machine,
    near: Wire,
    far: Wire,
    router: Calls,
    shell: Shell,
    divert: Divert,
    chains: Chains,
    expected: Callable[[str], str],
) -> None:
    """What is sent on comes back for a member of the second link, and its way ends there."""

    def packets() -> int:
        """How many of the first host's multicast routing has seen.

        The columns are group, origin (a 32-bit number), interface, packets. The member's own
        reports to the group, sent at random times, are of another origin, and a row that one of
        them adds between two reads makes the next row stand there twice.
        """
        rows = [line.split() for line in shell.check("cat /proc/net/ip_mr_cache").splitlines()[1:]]
        seen = {row[1]: int(row[3]) for row in rows}
        return seen[f"{int.from_bytes(inet_aton(NEAR.host_ip), 'little'):08X}"]

    joined(router, FAR)
    socket = divert(PORT)
    near.send(IP(multicast()))
    assert routed(guest, far) == [hop(multicast())]
    without = router.drain("member")
    assert b"to the group" in without
    each = 1 if expected("copy-of-what-was-routed") == "known as such" else 2
    assert packets() == each
    chains.append(f"input -i eth2 -p UDP -d {GROUP} -j DIVERT {PORT}")
    near.send(IP(multicast(2)))
    guest.barrier()
    taken = socket.take()
    assert taken.data == hop(multicast(2))
    socket.reinject(taken)
    assert routed(guest, far) == [hop(multicast(2))]
    assert router.drain("member") == without
    assert packets() == 2 * each
    assert socket.rest() == []


@statement("I2/multicast-routing", "I2/loopback", "T1/copies", "T4")
def test_copy_of_what_this_host_sends_is_routed(
    guest: Machine, near: Wire, far: Wire, router: Calls, divert: Divert, chains: Chains
) -> None:
    """No member is here: the copy comes back for the router, and with the route it was sent by."""
    router.ok("socket", "sender", "inet", "dgram", 17)
    router.ok("setsockopt", "sender", "ip", "multicast_if", f"ip:{NEAR.guest_ip}")
    router.ok("setsockopt", "sender", "ip", "multicast_ttl", "int:4")

    def send() -> None:
        router.ok("sendto", "sender", "text:group", f"in:{GROUP}:{UDP_PORT}")

    send()
    (sent,), (forwarded,) = routed(guest, near), routed(guest, far)
    assert forwarded == hop(sent)
    socket = divert(PORT)
    chains.append(f"input -i eth1 -p UDP -d {GROUP} -j DIVERT {PORT}")
    send()
    taken = socket.take()
    assert routed(guest, near) == [taken.data]
    assert routed(guest, far) == []
    socket.reinject(taken)
    assert routed(guest, far) == [hop(taken.data)]
    assert routed(guest, near) == []
    assert socket.rest() == []
    # Nothing of multicast routing sticks to the buffers: the next packet is an ordinary one.
    chains.append(f"output -i eth1 -p UDP -d {NEAR.host_ip} -j DIVERT {PORT}")
    router.ok("sendto", "sender", "text:alone", f"in:{NEAR.host_ip}:9")
    alone = socket.take()
    changed = IP(alone.data)
    changed.dst = FAR.host_ip
    del changed.chksum, changed[UDP].chksum
    socket.reinject(alone, built(changed))
    assert routed(guest, far) == [built(changed)]
