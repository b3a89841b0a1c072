# SPDX-License-Identifier: GPL-2.0-only
"""I2. What the second program, the sender and the receiver find of a packet that was given back."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import Ether

from divert_reference.chains import Chains
from divert_reference.divert import left
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, UDP_PORT
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.changes import readdressed, rewritten
from tests.guest.support.outcome import about
from tests.guest.support.ways import (
    BESIDE,
    PORT,
    passed_on,
)

statement = pytest.mark.statement
pytestmark = pytest.mark.needs("rtnetlink", "policy-routing", "mark-routing", "multicast")


@statement("I7/tagged", "I8")
@pytest.mark.parametrize("to", ["239.1.2.3", "255.255.255.255"], ids=["group", "all"])
def test_group_from_a_source_that_is_not_ours(
    to: str, guest: Machine, calls: Calls, near: Wire, far: Wire, divert: Divert, chains: Chains
) -> None:
    """The source that its sender was bound to has chosen the interface, and has been changed."""
    socket = divert(PORT)
    chains.append(f"output -p UDP -j DIVERT {PORT}")
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("setsockopt", "sender", "socket", "broadcast", "int:1")
    calls.ok("bind", "sender", f"in:{FAR.guest_ip}:0")
    calls.ok("sendto", "sender", "text:group", f"in:{to}:{UDP_PORT}")
    taken = socket.take()
    changed = rewritten(taken.data, src=BESIDE)
    socket.reinject(taken, changed)
    assert left(guest, far) == [changed]
    assert left(guest, near) == []


# Forwarded, and changed to what would not be let in like that (I8).


@statement("I2/changed", "I8")
@pytest.mark.parametrize("hook", ["forward", "output"])
@pytest.mark.parametrize("source", [NEAR.guest_ip, FAR.host_ip], ids=["of-ours", "elsewhere"])
def test_forwarded_with_a_source_that_its_interface_would_not_let_in(
    source: str,
    hook: str,
    guest: Machine,
    shell: Shell,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """With reverse-path filtering on: on forward only a source that is ours goes on."""
    shell.check("for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 1 >$f; done")
    far.add_address("198.51.100.77")
    socket = divert(PORT)
    chains.append(f"{hook} -p UDP -j DIVERT {PORT}")
    header = IP(src=NEAR.host_ip, dst="198.51.100.77", id=7, ttl=9)
    near.send(header / UDP(sport=9, dport=9) / b"changed")
    taken = socket.take()
    changed = rewritten(taken.data, src=source)
    socket.reinject(taken, changed)
    goes = source == NEAR.guest_ip or hook == "output"
    assert left(guest, far) == [changed] * goes
    assert left(guest, near) == []


@statement("I2/table-forwarded", "I2/changed")
def test_forwarded_and_on_output_changed_to_be_for_this_host(
    guest: Machine, calls: Calls, near: Wire, far: Wire, divert: Divert, chains: Chains
) -> None:
    """It has left the router's code already: it comes back by the loopback."""
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", f"in:0.0.0.0:{UDP_PORT}")
    socket = divert(PORT)
    chains.append(f"output -p UDP -j DIVERT {PORT}", "output -i lo -p UDP")
    header = IP(src=NEAR.host_ip, dst=FAR.host_ip, id=7, ttl=9)
    near.send(header / UDP(sport=9, dport=UDP_PORT) / b"for here")
    taken = socket.take()
    socket.reinject(taken, readdressed(taken.data, NEAR.guest_ip))
    assert left(guest, far) == left(guest, near) == []
    assert chains.counts("output") == [1, 1]


# What the second of two programs has to find.


@statement("I2/second", "T3/in-order")
@pytest.mark.parametrize("programs", [1, 2, 3])
def test_sender_is_told_of_what_several_programs_took(
    programs: int, guest: Machine, near: Wire, divert: Divert, chains: Chains, icmp_errors: None
) -> None:
    """Forwarded, taken on output one after the other, and rejected behind them."""
    sockets = [divert(PORT + number) for number in range(programs)]
    output = f"output -i {FAR.interface} -p UDP"
    chains.append(*(f"{output} -j DIVERT {each.port}" for each in sockets), f"{output} -j REJECT")
    packet = IP(src=NEAR.host_ip, dst=FAR.host_ip, id=7, ttl=9) / UDP(sport=9, dport=9) / b"no"
    near.send(packet)
    for socket in sockets[:-1]:
        socket.reinject(socket.take())
    last = sockets[-1].take()
    assert sockets[-1].refused(last.data, last.address) == "EPERM"
    (error,) = (IP(data) for data in left(guest, near) if data[9] == 1)
    assert error.dst == NEAR.host_ip
    assert error[ICMP].type == 3


@statement("I2/second", "I7/loop")
@pytest.mark.parametrize("loop", [0, 1])
def test_group_of_which_this_host_is(
    loop: int, guest: Machine, calls: Calls, far: Wire, divert: Divert, chains: Chains
) -> None:
    """Its sender wants a copy for this host, or none, and both programs leave it at that."""
    group = "239.1.2.3"
    calls.ok("socket", "member", "inet", "dgram", 17)
    calls.ok("bind", "member", f"in:0.0.0.0:{UDP_PORT}")
    calls.ok("setsockopt", "member", "ip", "add_membership", f"mreq:{group}:{FAR.guest_ip}")
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("setsockopt", "sender", "ip", "multicast_if", f"ip:{FAR.guest_ip}")
    calls.ok("setsockopt", "sender", "ip", "multicast_loop", f"int:{loop}")
    left(guest, far)

    def send() -> None:
        calls.ok("sendto", "sender", "text:all", f"in:{group}:{UDP_PORT}")

    data = passed_on(divert, chains, "output output", send, "given-back")
    assert [each for each in left(guest, far) if each[9] == 17] == [data]
    assert calls.drain("member") == [b"all"] * loop


# What a program that receives it can ask for.


@dataclass(frozen=True)
class Arrival:
    """How a datagram comes to a program of this host."""

    name: str
    to: str
    frame: str = ""
    by: str = "wire"


GROUP = "239.1.2.3"
IP_RECVTTL, IP_RECVTOS = 12, 13
ARRIVALS = (
    Arrival("wire", NEAR.guest_ip),
    Arrival("other-address", FAR.guest_ip),
    Arrival("broadcast", "192.0.2.255", "ff:ff:ff:ff:ff:ff"),
    Arrival("limited-broadcast", "255.255.255.255", "ff:ff:ff:ff:ff:ff"),
    Arrival("group", GROUP, "01:00:5e:01:02:03"),
    Arrival("loopback", "127.0.0.9", by="loopback"),
    Arrival("itself", FAR.guest_ip, by="loopback"),
    Arrival("copy", GROUP, by="copy"),
)


@statement("I2/asked", "T4")
@pytest.mark.parametrize("programs", [1, 2])
@pytest.mark.parametrize("arrival", ARRIVALS, ids=lambda arrival: arrival.name)
def test_receiver_is_told_the_same(
    arrival: Arrival,
    programs: int,
    guest: Machine,
    calls: Calls,
    near: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """The interface that it came by, and the address that it came to (IP_PKTINFO)."""
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", f"in:0.0.0.0:{UDP_PORT}")
    for option in ("pktinfo", IP_RECVTTL, IP_RECVTOS):
        calls.ok("setsockopt", "receiver", "ip", option, "int:1")
    link = FAR if arrival.by == "copy" else NEAR
    calls.ok("setsockopt", "receiver", "ip", "add_membership", f"mreq:{GROUP}:{link.guest_ip}")
    calls.ok("socket", "sender", "inet", "dgram", 17)
    if arrival.by == "copy":
        calls.ok("setsockopt", "sender", "ip", "multicast_if", f"ip:{FAR.guest_ip}")

    def send() -> None:
        if arrival.by == "wire":
            packet = IP(src=NEAR.host_ip, dst=arrival.to, id=7, ttl=9, tos=8)
            frame = Ether(src=near.host_mac, dst=arrival.frame or near.guest_mac)
            near.send(bytes(frame / packet / UDP(sport=9, dport=UDP_PORT) / b"asked"))
        else:
            calls.ok("sendto", "sender", "text:asked", f"in:{arrival.to}:{UDP_PORT}")
        guest.barrier()

    def told() -> list[object]:
        row = calls.ok("recvmsg", "receiver", 100, "dontwait")
        return [row["hex"], row["from"]["ip"], list(about(row["control"]))]

    send()
    without = told()
    passed_on(divert, chains, " ".join(["input"] * programs), send, "given-back")
    assert told() == without
    assert calls.drain("receiver") == []
