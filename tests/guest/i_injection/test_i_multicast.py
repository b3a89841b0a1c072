# SPDX-License-Identifier: GPL-2.0-only
"""I. Injection of multicasts (I7), and of what goes to all."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers.inet import IP, UDP

from divert_reference.chains import Chains
from divert_reference.divert import Injector, built, left
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, UDP_PORT
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.addresses import Link
from harness.network.frames import destination_mac, mac_bytes
from harness.network.wire import Wire

statement = pytest.mark.statement
links = pytest.mark.parametrize("link", [NEAR, FAR], ids=lambda link: link.interface)

PORT = 1234
GROUP = "239.1.2.3"
INTERFACES = {NEAR.interface: 0, FAR.interface: 1}


def multicast(body: bytes = b"to the group", **fields: Any) -> bytes:
    """A datagram to the group from the host of wire 0."""
    header = IP(src=NEAR.host_ip, dst=GROUP, id=9, ttl=4, **fields)
    return built(header / UDP(sport=1, dport=UDP_PORT) / body)


def wires(guest: Machine) -> dict[str, list[bytes]]:
    """What left by each interface; reports of membership (IGMP) are not of the test."""
    return {
        name: [data for data in left(guest, guest.wires[number]) if data[9] != 2]
        for name, number in INTERFACES.items()
    }


def other(link: Link) -> Link:
    """The link that is not this one."""
    return FAR if link is NEAR else NEAR


def by_index(calls: Calls, link: Link) -> str:
    """For IP_MULTICAST_IF: struct ip_mreqn with nothing but the interface's number."""
    calls.ok("socket", "any", "inet", "dgram", 17)
    index = calls.ok("ifindex", "any", link.interface)["value"]
    return f"hex:{bytes(8).hex()}{int(index).to_bytes(4, 'little').hex()}"


def joined(calls: Calls, link: Link) -> None:
    """A socket `member` of the group on an interface."""
    calls.ok("socket", "member", "inet", "dgram", 17)
    calls.ok("bind", "member", f"in:0.0.0.0:{UDP_PORT}")
    calls.ok("setsockopt", "member", "ip", "add_membership", f"mreq:{GROUP}:{link.guest_ip}")


@statement("I7/interface", "I6/no-route")
@links
@pytest.mark.parametrize("named", ["address", "index"])
def test_leaves_through_the_interface_that_was_set(
    link: Link, named: str, inject: Injector, guest: Machine, calls: Calls
) -> None:
    """No route leads to the group: without the option there is no way out."""
    name = inject.socket.name
    assert inject.socket.refused(multicast()) == "ENETUNREACH"
    value = by_index(calls, link) if named == "index" else f"ip:{link.guest_ip}"
    calls.ok("setsockopt", name, "ip", "multicast_if", value)
    inject(multicast(), "none")
    guest.barrier()
    wire = guest.wires[INTERFACES[link.interface]]
    (frame,) = [each for each in wire.captured() if each.data[23] != 2]
    assert frame.data[:6] == mac_bytes(destination_mac(GROUP, ""))
    assert wires(guest) == {
        each: [multicast()] if each == link.interface else [] for each in INTERFACES
    }


@statement("I7/interface", "I3/none")
@links
def test_leaves_through_the_device_that_the_socket_is_bound_to(
    link: Link, inject: Injector, guest: Machine, calls: Calls
) -> None:
    """SO_BINDTODEVICE says it as well, and goes before IP_MULTICAST_IF."""
    name = inject.socket.name
    calls.ok("setsockopt", name, "ip", "multicast_if", by_index(calls, other(link)))
    device = f"hex:{link.interface.encode().hex()}00"
    calls.ok("setsockopt", name, "socket", "bindtodevice", device)
    inject(multicast(), "none")
    assert wires(guest) == {
        each: [multicast()] if each == link.interface else [] for each in INTERFACES
    }


@statement("I7/interface")
def test_unicast_goes_where_its_route_leads(inject: Injector, guest: Machine, calls: Calls) -> None:
    packet = built(IP(src=NEAR.guest_ip, dst=NEAR.host_ip, id=1) / UDP() / b"one host")
    for value in (f"ip:{FAR.guest_ip}", by_index(calls, FAR)):
        calls.ok("setsockopt", inject.socket.name, "ip", "multicast_if", value)
        inject(packet, "none")
        assert wires(guest) == {NEAR.interface: [packet], FAR.interface: []}


@statement("I7/tagged", "I2/interface", "T4")
@links
@pytest.mark.parametrize("back", ["own", "another"])
def test_taken_on_its_way_out_it_keeps_its_interface(
    link: Link, back: str, guest: Machine, calls: Calls, divert: Divert, chains: Chains
) -> None:
    """The destination does not tell it, and no option is set on the socket that gives it back."""
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("setsockopt", "sender", "ip", "multicast_if", f"ip:{link.guest_ip}")
    socket, second = divert(PORT), divert(PORT + 1)
    if back == "another":
        # Nor does an option that says otherwise.
        calls.ok("setsockopt", socket.name, "ip", "multicast_if", f"ip:{other(link).guest_ip}")
    chains.append(f"output -p UDP -d {GROUP} -j DIVERT {PORT}")
    calls.ok("sendto", "sender", "text:group", f"in:{GROUP}:{UDP_PORT}")
    taken = socket.take()
    (socket if back == "own" else second).reinject(taken)
    assert wires(guest) == {
        each: [taken.data] if each == link.interface else [] for each in INTERFACES
    }


@statement("I2/changed", "I2/interface")
@pytest.mark.needs("multicast")
@links
def test_copy_that_came_back_goes_to_another_group_of_its_interface(
    link: Link, guest: Machine, calls: Calls, divert: Divert, chains: Chains
) -> None:
    """It has a source of this host, and no route leads to either group."""
    joined(calls, link)
    another = "239.9.9.9"
    calls.ok("setsockopt", "member", "ip", "add_membership", f"mreq:{another}:{link.guest_ip}")
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("setsockopt", "sender", "ip", "multicast_if", f"ip:{link.guest_ip}")
    socket = divert(PORT)
    chains.append(f"input -i {link.interface} -p UDP -d {GROUP} -j DIVERT {PORT}")
    calls.ok("sendto", "sender", "text:group", f"in:{GROUP}:{UDP_PORT}")
    taken = socket.take()
    assert (taken.interface, IP(taken.data).src) == (link.guest_ip, link.guest_ip)
    packet = IP(taken.data)
    packet.dst = another
    del packet.chksum, packet[UDP].chksum
    socket.inject(bytes(packet), taken.address)
    guest.barrier()
    assert calls.drain("member") == [b"group"]


@statement("I7/tagged", "I2/interface")
@links
def test_limited_broadcast_keeps_its_interface(
    link: Link, guest: Machine, calls: Calls, divert: Divert, chains: Chains
) -> None:
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("setsockopt", "sender", "socket", "broadcast", "int:1")
    device = f"hex:{link.interface.encode().hex()}00"
    calls.ok("setsockopt", "sender", "socket", "bindtodevice", device)
    socket = divert(PORT)
    chains.append(f"output -d 255.255.255.255 -j DIVERT {PORT}")
    calls.ok("sendto", "sender", "text:all", "in:255.255.255.255:9")
    taken = socket.take()
    socket.reinject(taken)
    assert wires(guest) == {
        each: [taken.data] if each == link.interface else [] for each in INTERFACES
    }


@statement("I2/changed", "I2/interface")
@links
def test_to_all_it_leaves_by_the_interface_that_it_had(
    link: Link, guest: Machine, calls: Calls, divert: Divert, chains: Chains
) -> None:
    """A datagram to one host that a program sends to all: no route says where that is."""
    calls.ok("socket", "sender", "inet", "dgram", 17)
    socket = divert(PORT)
    chains.append(f"output -p UDP -d {link.host_ip} -j DIVERT {PORT}")
    calls.ok("sendto", "sender", "text:all", f"in:{link.host_ip}:9")
    taken = socket.take()
    packet = IP(taken.data)
    packet.dst = "255.255.255.255"
    del packet.chksum, packet[UDP].chksum
    socket.inject(bytes(packet), taken.address)
    assert wires(guest) == {
        each: [bytes(packet)] if each == link.interface else [] for each in INTERFACES
    }


@statement("I6/no-route", "I7/tagged")
@pytest.mark.parametrize("how", ["tagged", "untagged"])
def test_by_an_interface_that_is_down(
    how: str, guest: Machine, calls: Calls, shell: Shell, divert: Divert, chains: Chains
) -> None:
    """That is no way: what a program gives or makes is not lost without a word."""
    calls.ok("socket", "sender", "inet", "dgram", 17)
    socket = divert(PORT)
    for name in ("sender", socket.name):
        calls.ok("setsockopt", name, "ip", "multicast_if", f"ip:{FAR.guest_ip}")
    chains.append(f"output -p UDP -d {GROUP} -j DIVERT {PORT}")
    calls.ok("sendto", "sender", "text:group", f"in:{GROUP}:{UDP_PORT}")
    taken = socket.take()
    address = taken.address if how == "tagged" else "none"
    shell.check(f"ifconfig {FAR.interface} down")
    assert socket.refused(taken.data, address) == "ENETUNREACH"
    shell.check(f"ifconfig {FAR.interface} up")
    assert wires(guest)[FAR.interface] == []
    socket.inject(taken.data, address)
    assert wires(guest) == {NEAR.interface: [], FAR.interface: [taken.data]}


@statement("I7/loop", "T4")
@pytest.mark.parametrize("loop", [1, 0], ids=["on", "off"])
def test_member_on_this_host(loop: int, inject: Injector, guest: Machine, calls: Calls) -> None:
    joined(calls, FAR)
    name = inject.socket.name
    calls.ok("setsockopt", name, "ip", "multicast_if", f"ip:{FAR.guest_ip}")
    if not loop:
        calls.ok("setsockopt", name, "ip", "multicast_loop", "byte:0")
    inject(multicast(), "none")
    assert wires(guest)[FAR.interface] == [multicast()]
    assert calls.drain("member") == [b"to the group"] * loop


@statement("I7/loop", "I7/tagged", "I2/bytes")
@pytest.mark.parametrize("sender_loops", [1, 0], ids=["sender-on", "sender-off"])
@pytest.mark.parametrize("socket_loops", [1, 0], ids=["divert-on", "divert-off"])
def test_what_was_taken_is_looped_back_as_its_sender_wanted(
    sender_loops: int,
    socket_loops: int,
    guest: Machine,
    calls: Calls,
    divert: Divert,
    chains: Chains,
) -> None:
    joined(calls, FAR)
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("setsockopt", "sender", "ip", "multicast_if", f"ip:{FAR.guest_ip}")
    calls.ok("setsockopt", "sender", "ip", "multicast_loop", f"byte:{sender_loops}")
    socket = divert(PORT)
    calls.ok("setsockopt", socket.name, "ip", "multicast_loop", f"byte:{socket_loops}")
    chains.append(f"output -p UDP -d {GROUP} -j DIVERT {PORT}")
    calls.ok("sendto", "sender", "text:group", f"in:{GROUP}:{UDP_PORT}")
    taken = socket.take()
    socket.reinject(taken)
    assert wires(guest)[FAR.interface] == [taken.data]
    assert calls.drain("member") == [b"group"] * sender_loops
    # The socket's own wish is as it was.
    calls.ok("setsockopt", socket.name, "ip", "multicast_if", f"ip:{FAR.guest_ip}")
    socket.inject(multicast())
    guest.barrier()
    assert calls.drain("member") == [b"to the group"] * socket_loops


@statement("I2/table-input", "I2/changed", "I7/loop")
def test_looped_copy_with_another_interfaces_source_stays_at_its_own(
    guest: Machine, calls: Calls, divert: Divert, chains: Chains
) -> None:
    """Its member is there; by the source alone the group would be at the other one."""
    joined(calls, FAR)
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("setsockopt", "sender", "ip", "multicast_if", f"ip:{FAR.guest_ip}")
    socket = divert(PORT)
    chains.append(f"input -i {FAR.interface} -p UDP -j DIVERT {PORT}")
    calls.ok("sendto", "sender", "text:group", f"in:{GROUP}:{UDP_PORT}")
    taken = socket.take()
    packet = IP(taken.data)
    packet.src = NEAR.guest_ip
    del packet.chksum, packet[UDP].chksum
    socket.reinject(taken, built(packet))
    assert calls.drain("member") == [b"group"]
    guest.barrier()
    assert socket.rest() == []


@statement("I7/loop")
def test_ttl_of_0_stays_on_this_host(inject: Injector, guest: Machine, calls: Calls) -> None:
    joined(calls, FAR)
    calls.ok("setsockopt", inject.socket.name, "ip", "multicast_if", f"ip:{FAR.guest_ip}")
    packet = IP(multicast())
    packet.ttl = 0
    del packet.chksum
    inject(built(packet), "none")
    assert wires(guest) == {NEAR.interface: [], FAR.interface: []}
    assert calls.drain("member") == [b"to the group"]
    inject(multicast(), "none")
    assert wires(guest) == {NEAR.interface: [], FAR.interface: [multicast()]}, (
        "with a TTL it leaves"
    )


@statement("I3/table-inbound", "I2/type", "I2/stack")
@pytest.mark.parametrize("how", ["taken", "injected"])
def test_multicast_that_comes_in_is_heard_by_a_member(
    how: str, guest: Machine, far: Wire, calls: Calls, divert: Divert, chains: Chains
) -> None:
    joined(calls, FAR)
    socket = divert(PORT)
    if how == "taken":
        chains.append(f"input -p UDP -d {GROUP} -j DIVERT {PORT}")
        far.send(IP(multicast()))
        socket.reinject(socket.take())
    else:
        socket.inject(multicast(), f"in:{FAR.guest_ip}:0")
    assert wires(guest) == {NEAR.interface: [], FAR.interface: []}
    assert calls.drain("member") == [b"to the group"]
    assert socket.rest() == []
    calls.ok("setsockopt", socket.name, "ip", "multicast_if", f"ip:{FAR.guest_ip}")
    socket.inject(multicast())
    assert wires(guest)[FAR.interface] == [multicast()], "what is to leave is seen there"
