# SPDX-License-Identifier: GPL-2.0-only
"""M2, M11. Datagrams that a card's poll has put together.

As a list of packets (fraglist GRO), and, where it is said, as a segment (UDP GRO) too.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import IP, UDP

from divert_reference.divert import DivertSocket
from divert_reference.programs import Calls
from divert_reference.traffic import NUMBERS, UDP_PORT, header_is_right
from harness.guest.shell import Shell
from tests.guest.support.netlink import Links
from tests.guest.support.nft import COUNTER, Nft, ether_destination, ether_source, protocol
from tests.guest.support.sockets import transport_is_right
from tests.guest.support.stack import NFTABLES, THERE, VETH, Namespace, load, pair

statement = pytest.mark.statement

PORT = 1234
UDP_SEGMENT = 103
COUNT, SIZE = 4, 1000
BEYOND = ("203.0.114.1", "203.0.114.2")
TUNNEL = ("10.9.9.1", "10.9.9.2")
# The link addresses of the pair's ends.
LINK_HERE, LINK_THERE = "52:54:00:00:03:01", "52:54:00:00:03:02"
LIST, SEGMENT = "rx-gro-list", "rx-udp-gro-forwarding"
either = pytest.mark.parametrize("router", [LIST, SEGMENT], indirect=True)
Namespaces = Callable[[], Namespace]


def datagram(number: int) -> bytes:
    """The data of one of those that are sent by one call."""
    return bytes([number]) * SIZE


def send(calls: Calls, to: str) -> None:
    """COUNT datagrams by one call, which reach the other end of the pair one after the other."""
    together = b"".join(map(datagram, range(COUNT)))
    calls.ok("sendto", "sender", f"hex:{together.hex()}", f"in:{to}:{UDP_PORT}")


def arrived(receiver: Calls) -> None:
    """Each has come, once, in order."""
    for number in range(COUNT):
        assert receiver.ok("poll", "receiver", "in", 3000)["result"] == 1
        row = receiver.ok("recv", "receiver", 65535, "dontwait")
        assert bytes.fromhex(row["hex"]) == datagram(number)
    assert receiver.error("recv", "receiver", 65535, "dontwait") == "EAGAIN"


def received(place: Namespace) -> int:
    """How many packets IP has received there, a list of them as one."""
    rows = place.shell.check("grep ^Ip: /proc/net/snmp").splitlines()
    names, values = (row.split() for row in rows)
    return int(values[names.index("InReceives")])


def open_receiver(place: Namespace) -> None:
    """A UDP socket `receiver`."""
    place.calls.ok("socket", "receiver", "inet", "dgram", 17)
    place.calls.ok("bind", "receiver", f"in:0.0.0.0:{UDP_PORT}")


@pytest.fixture
def router(
    request: pytest.FixtureRequest, shell: Shell, calls: Calls, namespaces: Namespaces
) -> Namespace:
    """The namespace at the other end of veth0, whose interface puts together what it receives:
    as a list, if the test does not say otherwise.
    """
    load(shell, *VETH)
    made = namespaces()
    pair(shell, Links(calls), made)
    shell.check(f"ifconfig veth0 hw ether {LINK_HERE}")
    made.shell.check(f"ifconfig veth1 hw ether {LINK_THERE}")
    made.shell.check("echo 1 >/proc/sys/net/ipv4/ip_forward")
    for feature in ("rx-gro", getattr(request, "param", LIST)):
        made.calls.ok("feature", "netlink-0", "veth1", feature, "on")
    # Cut before they are sent, and all in one go: one poll at the other end receives them.
    calls.ok("feature", "netlink-0", "veth0", "tx-udp-segmentation", "off")
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("setsockopt", "sender", 17, UDP_SEGMENT, f"int:{SIZE}")
    return made


@pytest.fixture
def beyond(shell: Shell, router: Namespace, namespaces: Namespaces) -> Namespace:
    """A namespace behind the router, also at the far end of a tunnel from there."""
    made = namespaces()
    router.links.veth("veth2", "veth3", made.calls.pid)
    for place, name, mine in ((router, "veth2", BEYOND[0]), (made, "veth3", BEYOND[1])):
        place.shell.check(f"ifconfig {name} {mine} netmask 255.255.255.0 up")
    for place, outer, inner in ((router, BEYOND, TUNNEL), (made, BEYOND[::-1], TUNNEL[::-1])):
        place.links.tunnel("tunnel", *outer)
        place.shell.check(f"ifconfig tunnel {inner[0]} pointopoint {inner[1]} up")
    made.shell.check(f"route add default gw {BEYOND[0]}")
    for net in ("203.0.114.0", "10.9.9.0"):
        shell.check(f"route add -net {net} netmask 255.255.255.0 gw {THERE}")
    return made


def assert_together(router: Namespace, receiver: Namespace, calls: Calls, to: str) -> None:
    """Without a rule the router receives them as one."""
    open_receiver(receiver)
    before = received(router)
    send(calls, to)
    arrived(receiver.calls)
    assert received(router) == before + 1


@statement("M2/lists")
@either
@pytest.mark.parametrize("chain", ["input", "forward", "output"])
def test_rule_that_takes_nothing_of_what_goes_into_a_tunnel(
    chain: str, router: Namespace, beyond: Namespace, calls: Calls
) -> None:
    assert_together(router, beyond, calls, TUNNEL[1])
    router.chains.append(f"{chain} -p UDP -j ACCEPT")
    send(calls, TUNNEL[1])
    arrived(beyond.calls)
    # Behind the tunnel's sum there are four packets more, where no rule has been before it.
    assert router.chains.counts(chain) == [COUNT]


@statement("M2/lists", "M2/sums")
@either
@pytest.mark.parametrize("to", [BEYOND[1], TUNNEL[1]], ids=["routed", "tunnel"])
@pytest.mark.parametrize("chain", ["input", "forward", "output"])
def test_what_is_forwarded_is_taken_packet_by_packet(
    chain: str, to: str, router: Namespace, beyond: Namespace, calls: Calls
) -> None:
    assert_together(router, beyond, calls, to)
    router.chains.append(f"{chain} -p UDP -d {to} -j DIVERT {PORT}")
    divert = DivertSocket(router.calls, PORT)
    send(calls, to)
    for number in range(COUNT):
        taken = divert.take()
        assert bytes(IP(taken.data)[UDP].payload) == datagram(number)
        assert header_is_right(taken.data)
        assert transport_is_right(taken.data)
        divert.reinject(taken)
    arrived(beyond.calls)
    assert divert.rest() == []


@statement("M2/lists", "M11/beside", "M11/nothing")
@either
@pytest.mark.parametrize("takes", [TUNNEL[1], BEYOND[1]], ids=["nothing", "all"])
@pytest.mark.parametrize("chain", ["input", "forward", "output"])
def test_rules_for_link_addresses(
    chain: str, takes: str, router: Namespace, beyond: Namespace, shell: Shell, calls: Calls
) -> None:
    """They match each packet as without a rule they match all of them together, whether it was
    taken and given back or there is a rule that takes nothing.
    """
    load(shell, *NFTABLES)
    nft = Nft(router.calls)
    seen = {"before": ("prerouting", -450), "input": ("prerouting", 0), "forward": ("forward", 0)}
    for name, where in seen.items():
        nft.chain(name, *where)
        for address in (ether_source(LINK_HERE), ether_destination(LINK_THERE)):
            nft.rule(name, protocol(NUMBERS["udp"]), address, COUNTER)
    assert_together(router, beyond, calls, BEYOND[1])
    assert [nft.counts(name) for name in seen] == [[1, 1]] * 3
    divert = DivertSocket(router.calls, PORT)
    router.chains.append(f"{chain} -p UDP -d {takes} -j DIVERT {PORT}")
    send(calls, BEYOND[1])
    if takes == BEYOND[1]:
        for _ in range(COUNT):
            divert.reinject(divert.take())
    arrived(beyond.calls)
    apart = [1 + COUNT] * 2
    assert nft.counts("before") == [2, 2]
    assert nft.counts("input") == (apart if chain == "input" else [2, 2])
    assert nft.counts("forward") == apart


@statement("M2/lists")
@pytest.mark.parametrize("target", ["DIVERT", "DENY", "ACCEPT"])
def test_list_for_this_host(target: str, router: Namespace, calls: Calls) -> None:
    assert_together(router, router, calls, THERE)
    divert = DivertSocket(router.calls, PORT)
    to = f"DIVERT {PORT}" if target == "DIVERT" else target
    router.chains.append(f"input -p UDP -j {to}")
    send(calls, THERE)
    if target == "DIVERT":
        for _ in range(COUNT):
            divert.reinject(divert.take())
    if target != "DENY":
        arrived(router.calls)
    assert router.chains.counts("input") == [COUNT]
    assert router.calls.error("recv", "receiver", 65535, "dontwait") == "EAGAIN"


@statement("M2/lists")
def test_list_of_which_some_are_denied(router: Namespace, beyond: Namespace, calls: Calls) -> None:
    """One after the other is gone, or goes on, whichever of them was the list itself."""
    assert_together(router, beyond, calls, BEYOND[1])
    router.chains.append(f"forward -p UDP -j DIVERT {PORT}")
    divert = DivertSocket(router.calls, PORT)
    router.calls.ok("setsockopt", divert.name, "socket", "rcvbuf", "int:1")
    for _ in range(3):
        send(calls, BEYOND[1])
    while router.calls.ok("poll", divert.name, "in", 0)["result"]:
        divert.reinject(divert.take())
    router.chains.flush()
    router.chains.append("forward -p UDP -j DENY")
    send(calls, BEYOND[1])
    assert router.chains.counts("forward") == [COUNT]
    beyond.calls.drain("receiver")
    router.chains.flush()
    send(calls, BEYOND[1])
    arrived(beyond.calls)
