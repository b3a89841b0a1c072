# SPDX-License-Identifier: GPL-2.0-only
"""Corners of the injection code that no clause of a statement leads into by itself."""

from __future__ import annotations

import itertools
import socket as sockets
import struct
from collections.abc import Callable
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, UDP

from divert_reference.chains import Chains
from divert_reference.divert import Injector, built, left
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls, ProcDivert
from divert_reference.traffic import FAR, NEAR, UDP_PORT, hop, ip_packets
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.groups import GROUP

statement = pytest.mark.statement
needs = pytest.mark.needs

PORT = 1234
FAR_DEVICE = f"hex:{FAR.interface.encode().hex()}00"


def datagram(body: bytes = b"a corner", **fields: Any) -> bytes:
    """A datagram from wire 0's host to wire 1's, if nothing else is said."""
    header = IP(**{"src": NEAR.host_ip, "dst": FAR.host_ip, "id": 0x77, "ttl": 9, **fields})
    return built(header / UDP(sport=1, dport=UDP_PORT) / body)


def receiver(calls: Calls) -> None:
    """A UDP socket `receiver` on every address of this host."""
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", f"in:0.0.0.0:{UDP_PORT}")


@statement("I3/inbound", "I6/down")
@pytest.mark.parametrize("down", [NEAR, FAR], ids=lambda link: link.interface)
@needs("aliases")
def test_of_two_interfaces_with_the_address_the_one_that_is_up(
    down: Any, inject: Injector, calls: Calls, shell: Shell, chains: Chains
) -> None:
    receiver(calls)
    up = FAR if down is NEAR else NEAR
    shell.check(f"ifconfig {FAR.interface}:1 {NEAR.guest_ip} netmask 255.255.255.255")
    shell.check(f"ifconfig {down.interface} down")
    chains.append(f"input -i {up.interface} -p UDP")
    inject(datagram(dst=FAR.guest_ip if up is FAR else NEAR.guest_ip), f"in:{NEAR.guest_ip}:0")
    assert chains.counts("input") == [1]
    assert calls.drain("receiver") == [b"a corner"]


@statement("I2/loopback", "T4")
@pytest.mark.parametrize("address", [NEAR.guest_ip, FAR.guest_ip, "127.0.0.1", "127.9.9.9"])
def test_packet_to_an_address_of_this_host_goes_on(
    address: str, calls: Calls, divert: Divert, chains: Chains
) -> None:
    """Whatever the address, it is the loopback that carries it."""
    receiver(calls)
    calls.ok("socket", "sender", "inet", "dgram", 17)
    socket = divert(PORT)
    chains.append(f"input -i lo -p UDP -d {address} -j DIVERT {PORT}")
    calls.ok("sendto", "sender", "text:mine", f"in:{address}:{UDP_PORT}")
    taken = socket.take()
    assert calls.drain("receiver") == []
    socket.reinject(taken)
    assert calls.drain("receiver") == [b"mine"]
    assert socket.rest() == []


@statement("I2/interface", "I2/loopback", "T1/copies")
def test_copy_of_a_multicast_with_the_source_of_another_interface(
    calls: Calls, divert: Divert, chains: Chains
) -> None:
    """It was looped back on the interface that sent it, where the member is."""
    receiver(calls)
    calls.ok("setsockopt", "receiver", "ip", "add_membership", f"mreq:{GROUP}:{FAR.guest_ip}")
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("bind", "sender", f"in:{NEAR.guest_ip}:0")
    calls.ok("setsockopt", "sender", "socket", "bindtodevice", FAR_DEVICE)
    socket = divert(PORT)
    chains.append(f"input -i {FAR.interface} -p UDP -d {GROUP} -j DIVERT {PORT}")
    calls.ok("sendto", "sender", "text:looped", f"in:{GROUP}:{UDP_PORT}")
    taken = socket.take()
    assert IP(taken.data).src == NEAR.guest_ip
    assert taken.interface == FAR.guest_ip
    socket.reinject(taken)
    assert calls.drain("receiver") == [b"looped"]


@statement("I3/inbound", "S8/poll")
def test_packet_that_turned_inward_is_not_charged_to_its_sender(
    inject: Injector, calls: Calls
) -> None:
    """It waits for its reader, and the program that injected it need not."""
    receiver(calls)
    for _ in range(3):
        inject(datagram(dst=NEAR.guest_ip), f"in:{NEAR.guest_ip}:0")
    assert calls.ok("ioctl", inject.socket.name, "outq")["value"] == 0
    assert calls.drain("receiver") == [b"a corner"] * 3
    assert calls.ok("ioctl", inject.socket.name, "outq")["value"] == 0


@statement("S8/poll")
def test_packet_that_waits_for_a_neighbour_is_charged_to_its_sender(
    inject: Injector, calls: Calls
) -> None:
    """Nobody answers for this address: the packet waits, and is the program's until it is gone."""
    inject(datagram(dst="198.51.100.77"), "none")
    assert calls.ok("ioctl", inject.socket.name, "outq")["value"] > len(datagram())


@statement("I7/interface")
@pytest.mark.parametrize("option", [True, False], ids=["multicast-if", "no-option"])
def test_socket_bound_to_an_interface_sends_multicasts_there(
    option: bool, inject: Injector, calls: Calls, near: Wire, far: Wire
) -> None:
    name = inject.socket.name
    if option:
        index = int(calls.ok("ifindex", name, NEAR.interface)["value"])
        mreqn = bytes(8) + struct.pack("=I", index)
        calls.ok("setsockopt", name, "ip", "multicast_if", f"hex:{mreqn.hex()}")
    calls.ok("setsockopt", name, "socket", "bindtodevice", FAR_DEVICE)
    packet = datagram(dst=GROUP)
    inject(packet, "none")
    assert inject.left(far) == [packet]
    assert inject.left(near) == []


@statement("I2/table-output", "I6/no-route")
def test_local_packet_goes_another_way_when_its_interface_is_down(
    calls: Calls, divert: Divert, chains: Chains, shell: Shell, near: Wire
) -> None:
    """It has no interface to keep: by its destination."""
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("bind", "sender", f"in:{FAR.guest_ip}:0")
    socket = divert(PORT)
    chains.append(f"output -p UDP -j DIVERT {PORT}")
    calls.ok("sendto", "sender", "text:away", f"in:{FAR.host_ip}:{UDP_PORT}")
    taken = socket.take()
    shell.check(f"ifconfig {FAR.interface} down")
    assert socket.refused(taken.data, taken.address) == "ENETUNREACH"
    shell.check(f"route add -host {FAR.host_ip} gw {NEAR.host_ip}")
    socket.reinject(taken)
    near.barrier()
    assert ip_packets(near.captured()) == [taken.data]


@statement("I6/interface-gone", "I2/interface")
@needs("multicast-routing", "tunnels")
def test_interface_that_is_gone_meanwhile(
    guest: Machine, calls: Calls, divert: Divert, chains: Chains, near: Wire, far: Wire
) -> None:
    """A tunnel of a multicast router's is the one interface that can go."""
    calls.ok("socket", "igmp", "inet", "raw", 2)
    calls.ok("setsockopt", "igmp", "ip", 200, "int:1")
    ends = sockets.inet_aton(NEAR.guest_ip) + sockets.inet_aton(NEAR.host_ip)
    tunnel = struct.pack("=HBBI", 0, 1, 1, 0) + ends
    calls.ok("setsockopt", "igmp", "ip", 202, f"hex:{tunnel.hex()}")
    socket = divert(PORT)
    chains.append(f"input -i dvmrp0 -j DIVERT {PORT}")
    inner = datagram()
    near.send(IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=1, ttl=9, proto=4) / inner)
    taken = socket.take()
    assert taken.data == inner
    calls.ok("setsockopt", "igmp", "ip", 203, f"hex:{tunnel.hex()}")
    assert socket.refused(taken.data, taken.address) == "ESTALE"
    assert left(guest, far) == []


@statement("F3/divert")
@pytest.mark.parametrize("df", ["", "DF"], ids=["plain", "df"])
def test_largest_packet_that_needs_no_fragments(
    df: str, inject: Injector, guest: Machine, calls: Calls, far: Wire
) -> None:
    """The program alone is told of one that is larger; the host gets no ICMP error of its own."""
    calls.ok("socket", "errors", "inet", "raw", 1)
    calls.ok("bind", "errors", f"in:{NEAR.guest_ip}:0")
    packet = datagram(bytes(1500 - 28), src=NEAR.guest_ip, flags=df)
    inject(packet, "none")
    assert inject.left(far) == [packet]
    larger = datagram(bytes(1500 - 27), src=NEAR.guest_ip, flags=df)
    assert inject.socket.refused(larger) == "EMSGSIZE"
    assert inject.left(far) == []
    assert [IP(data)[ICMP].type for data in calls.drain("errors")] == []


@statement("S6/tag", "I2/ttl")
def test_tag_is_valid_however_many_sockets_open(
    guest: Machine, divert: Divert, chains: Chains, near: Wire, far: Wire
) -> None:
    socket = divert(PORT)
    chains.append(f"forward -p UDP -j DIVERT {PORT}")
    near.send(IP(datagram()))
    taken = socket.take()
    divert(PORT + 1)
    socket.reinject(taken)
    # Untagged, it would be forwarded a second time from the beginning.
    assert left(guest, far) == [hop(datagram())]


@statement("I6/no-route", "I6/others")
def test_device_that_has_no_addresses_is_no_way_out(
    inject: Injector, calls: Calls, dummy: str
) -> None:
    """The look-up has an error of its own for it (ENODEV)."""
    name = inject.socket.name
    calls.ok("setsockopt", name, "socket", "bindtodevice", f"hex:{dummy.encode().hex()}00")
    assert inject.socket.refused(datagram()) == "ENETUNREACH"


@statement("T1/way", "I6/others")
def test_error_that_tells_its_sender_of_the_mtu_was_not_injected(
    calls: Calls, divert: Divert, chains: Chains, shell: Shell
) -> None:
    """This host makes it while it injects, and it meets the output chain as any other."""
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("setsockopt", "sender", "ip", "mtu_discover", "int:2")
    calls.ok("bind", "sender", f"in:{FAR.guest_ip}:0")
    socket = divert(PORT)
    chains.append(f"output -p UDP -j DIVERT {PORT}", f"output -p ICMP -j DIVERT {PORT}")
    calls.ok("sendto", "sender", "zero:1200", f"in:{FAR.host_ip}:{UDP_PORT}")
    taken = socket.take()
    shell.check(f"ifconfig {FAR.interface} mtu 1000")
    assert socket.refused(taken.data, taken.address) == "EMSGSIZE"
    error = IP(socket.take().data)
    assert (error.dst, error[ICMP].type, error[ICMP].code) == (FAR.guest_ip, 3, 4)


@statement("S11/bound")
@pytest.mark.parametrize("order", list(itertools.permutations((1000, 2024, 3048))), ids=str)
def test_ports_that_share_a_chain_of_the_table(
    order: tuple[int, ...], divert: Divert, proc_divert: Callable[[], ProcDivert]
) -> None:
    """Closed in any order, one goes and the others stay."""
    bound = {port: divert(port) for port in (1000, 2024, 3048)}
    for port in order:
        bound.pop(port).close()
        assert set(proc_divert().ports) == set(bound)
