# SPDX-License-Identifier: GPL-2.0-only
"""M2. Large segments, and sums that are put off: a program gets packets as on a wire."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import IP, TCP, UDP

from divert_reference.chains import Chains
from divert_reference.divert import DivertSocket
from divert_reference.fixtures import Divert, Listen
from divert_reference.programs import Calls
from divert_reference.traffic import TCP_PORT, UDP_PORT, header_is_right
from harness.guest.shell import Shell
from tests.guest.support.netlink import Links
from tests.guest.support.sockets import transport_is_right
from tests.guest.support.stack import HERE, THERE, VETH, Namespace, load, pair
from tests.guest.support.streams import BYTES, stream

statement = pytest.mark.statement

PORT = 1234
MTU = 1500
BEYOND = "203.0.114.2"
TUNNEL = ("10.9.9.1", "10.9.9.2")
Namespaces = Callable[[], Namespace]


def sent_packets(shell: Shell, interface: str) -> int:
    """How many packets an interface has sent, of which each may be a large segment."""
    line = shell.check(f"grep {interface}: /proc/net/dev").partition(":")[2]
    return int(line.split()[9])


def whole(read: list[bytes], most: int = MTU) -> None:
    """Each is a complete packet, no larger than this, with the data of the stream among them."""
    assert sum(len(IP(data)[TCP].payload) for data in read if IP(data).dport == TCP_PORT) >= BYTES
    assert max(map(len, read)) <= most
    wrong = [data for data in read if not (header_is_right(data) and transport_is_right(data))]
    assert wrong == []


@pytest.fixture
def other(shell: Shell, calls: Calls, namespaces: Namespaces) -> Namespace:
    """A namespace at the other end of veth0, to which large segments are sent."""
    load(shell, *VETH)
    made = namespaces()
    pair(shell, Links(calls), made)
    before = sent_packets(shell, "veth0")
    stream(made.calls, calls, THERE)
    # Fewer than if none was large; how large they are depends on how fast all of it goes.
    assert sent_packets(shell, "veth0") - before < BYTES / MTU
    return made


@statement("M2/whole", "M2/sums", "M2/stream")
@pytest.mark.parametrize("chain", ["output", "input"])
def test_stream_between_namespaces(
    chain: str, other: Namespace, shell: Shell, calls: Calls, chains: Chains, listen: Listen
) -> None:
    """Taken where it is sent, and where it comes in as it was sent."""
    place, rules = (shell, chains) if chain == "output" else (other.shell, other.chains)
    listener = listen(PORT, "--reinject", limit=None, inside=place)
    rules.append(f"{chain} -p TCP -d {THERE} -j DIVERT {PORT}")
    stream(other.calls, calls, THERE)
    whole([seen.data for seen in listener.finish()])


@statement("M2/whole", "M2/sums", "M2/stream")
@pytest.mark.parametrize("chain", ["input", "forward", "output"])
def test_stream_through_a_router(
    chain: str,
    other: Namespace,
    shell: Shell,
    calls: Calls,
    namespaces: Namespaces,
    listen: Listen,
) -> None:
    """The second of three namespaces is the router; neither end is there."""
    third = namespaces()
    other.links.veth("veth2", "veth3", third.calls.pid)
    other.shell.check("ifconfig veth2 203.0.114.1 netmask 255.255.255.0 up")
    other.shell.check("echo 1 >/proc/sys/net/ipv4/ip_forward")
    third.shell.check(f"ifconfig veth3 {BEYOND} netmask 255.255.255.0 up")
    third.shell.check("route add default gw 203.0.114.1")
    shell.check(f"route add -net 203.0.114.0 netmask 255.255.255.0 gw {THERE}")
    listener = listen(PORT, "--reinject", limit=None, inside=other.shell)
    interface = "veth1" if chain == "input" else "veth2"
    other.chains.append(f"{chain} -i {interface} -p TCP -d {BEYOND} -j DIVERT {PORT}")
    stream(third.calls, calls, BEYOND)
    read = [seen.data for seen in listener.finish()]
    whole(read)
    assert {IP(data).ttl for data in read} == {64 if chain == "input" else 63}


@statement("M2/whole", "M2/sums", "M2/stream")
@pytest.mark.parametrize("chain", ["output", "input"])
def test_stream_on_the_loopback(
    chain: str, shell: Shell, calls: Calls, chains: Chains, listen: Listen
) -> None:
    """What fits its large MTU is one packet."""
    listener = listen(PORT, "--reinject", limit=None)
    chains.append(f"{chain} -i lo -p TCP -j DIVERT {PORT}")
    stream(Calls(shell), calls, "127.0.0.1")
    whole([seen.data for seen in listener.finish()], 65535)


@statement("M2/whole", "M2/sums")
def test_datagrams_that_are_sent_as_one(
    other: Namespace, calls: Calls, divert: Divert, chains: Chains
) -> None:
    """UDP_SEGMENT: one call, one large segment, and three packets."""
    socket = divert(PORT)
    chains.append(f"output -i veth0 -p UDP -j DIVERT {PORT}")
    other.calls.ok("socket", "receiver", "inet", "dgram", 17)
    other.calls.ok("bind", "receiver", f"in:0.0.0.0:{UDP_PORT}")
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("setsockopt", "sender", 17, 103, "int:1000")
    calls.ok("sendto", "sender", "zero:2500", f"in:{THERE}:{UDP_PORT}")
    for size in (1000, 1000, 500):
        taken = socket.take()
        assert len(IP(taken.data)[UDP].payload) == size
        assert IP(taken.data).src == HERE
        assert header_is_right(taken.data)
        assert transport_is_right(taken.data)
        socket.reinject(taken)
        assert other.calls.ok("poll", "receiver", "in", 3000)["result"] == 1
        assert other.calls.ok("recv", "receiver", 65535, "dontwait")["result"] == size
    assert socket.rest() == []


@statement("M2/time")
@pytest.mark.parametrize("chain", ["output", "input"])
def test_time_of_a_segment_is_that_of_the_clock(
    chain: str, other: Namespace, shell: Shell, calls: Calls, divert: Divert, chains: Chains
) -> None:
    """TCP notes in its segments when they are to be sent, by a clock that begins with the boot."""
    if chain == "output":
        socket = divert(PORT)
        chains.append(f"output -p TCP -d {THERE} -j DIVERT {PORT}")
        reader = calls
    else:
        socket = DivertSocket(other.calls, PORT)
        other.chains.append(f"input -p TCP -d {THERE} -j DIVERT {PORT}")
        reader = other.calls
    # The first call has the kernel note when each packet is received.
    reader("stamp", socket.name)
    calls.ok("socket", "client", "inet", "stream", 0)
    calls.ok("mode", "client", "nonblock")
    assert calls.error("connect", "client", f"in:{THERE}:{TCP_PORT}") == "EINPROGRESS"
    socket.take()
    # The clock that date(1) reads goes by ticks, and may be behind the other.
    now = int(shell.check("date +%s"))
    assert now - 60 <= reader.ok("stamp", socket.name)["value"] <= now + 1


@statement("M2/inner")
def test_tunnel_that_carries_large_segments(
    other: Namespace, shell: Shell, calls: Calls, chains: Chains
) -> None:
    """Split for the chain, each goes into a packet of its own, which meets the chain as well."""
    Links(calls).tunnel("out", HERE, THERE)
    other.links.tunnel("back", THERE, HERE)
    for place, name, (mine, yours) in (
        (shell, "out", TUNNEL),
        (other.shell, "back", TUNNEL[::-1]),
    ):
        place.check(f"ifconfig {name} {mine} pointopoint {yours} up")
    chains.append("output -i out -p TCP -j ACCEPT", "output -i veth0 -p 4 -j ACCEPT")
    stream(other.calls, calls, TUNNEL[1])
    inner, outer = chains.counts("output")
    assert inner > BYTES / MTU
    assert outer == inner
