# SPDX-License-Identifier: GPL-2.0-only
"""M5. VLANs, bridges, and copies: each packet is seen once, at the interface that IP sees it at."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import Dot1Q, Ether

from divert_reference.chains import Chains
from divert_reference.divert import built, left
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, NUMBERS, UDP_PORT, hop
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.groups import GROUP
from tests.guest.support.netlink import Links
from tests.guest.support.nft import COUNTER, Nft, destination, protocol
from tests.guest.support.stack import BRIDGE, NFTABLES, VETH, VLAN, Namespace, load, pair

statement = pytest.mark.statement

PORT = 1234
NUMBER = 5
# The guest and its neighbour on the VLAN, or on the bridge.
MINE, YOURS = "203.0.113.1", "203.0.113.2"
ALL = ("input", "forward", "output")
# Three bytes of the tag are the interface's number (S6): of sin_zero the second to the fourth.


def datagram(src: str = YOURS, dst: str = MINE, **more: object) -> bytes:
    """A datagram, complete."""
    header = IP(src=src, dst=dst, **{"id": 0x77, "ttl": 9, **more})
    return built(header / UDP(sport=1, dport=UDP_PORT) / b"at which interface")


def framed(wire: Wire, data: bytes, vlan: int = 0, to: str = "") -> bytes:
    """A frame of the wire's host, tagged for a VLAN."""
    ether = Ether(src=wire.host_mac, dst=to or wire.guest_mac)
    return bytes((ether / Dot1Q(vlan=vlan) if vlan else ether) / IP(data))


def receiver(calls: Calls) -> None:
    """A UDP socket `receiver` on every address of this host."""
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", f"in:0.0.0.0:{UDP_PORT}")


def rules(chains: Chains) -> None:
    """A rule on every chain for all UDP but what a program of the guest's reads; none accepts."""
    chains.append(*(f"{chain} -p UDP -j DIVERT {PORT}" for chain in ALL))


def tagged_frames(wire: Wire) -> list[bytes]:
    """The IP packets that left by a wire on the VLAN."""
    found = [bytes(frame.data) for frame in wire.captured()]
    head = b"\x81\x00" + NUMBER.to_bytes(2, "big") + b"\x08\x00"
    return [
        data[18 : 18 + int.from_bytes(data[20:22], "big")] for data in found if data[12:18] == head
    ]


@pytest.fixture
def vlan(shell: Shell, calls: Calls) -> Links:
    """The VLAN of wire 0, with an address."""
    load(shell, *VLAN)
    links = Links(calls)
    links.vlan("vlan5", NEAR.interface, NUMBER)
    shell.check(f"ifconfig vlan5 {MINE} netmask 255.255.255.0 up")
    shell.check(f"arp -s {YOURS} {NEAR.host_mac}")
    return links


@statement("M5/vlan")
def test_datagram_of_a_vlan(
    vlan: Links, guest: Machine, calls: Calls, near: Wire, divert: Divert, chains: Chains
) -> None:
    """Its interface is the VLAN's, and not the card's below."""
    receiver(calls)
    socket = divert(PORT)
    chains.append(f"input -i {NEAR.interface} -p UDP", f"output -i {NEAR.interface} -p UDP")
    rules(chains)
    near.send(framed(near, datagram(), NUMBER))
    taken = socket.take()
    assert (taken.data, taken.interface) == (datagram(), MINE)
    socket.reinject(taken)
    assert calls.drain("receiver") == [b"at which interface"]
    calls.ok("sendto", "receiver", "text:back", f"in:{YOURS}:1")
    taken = socket.take()
    socket.reinject(taken)
    guest.barrier()
    assert tagged_frames(near) == [taken.data]
    assert socket.rest() == []
    assert (chains.counts("input")[0], chains.counts("output")[0]) == (0, 0)


@statement("M5/vlan", "M5/once")
def test_datagram_from_a_vlan_to_the_other_wire(
    vlan: Links, guest: Machine, near: Wire, far: Wire, divert: Divert, chains: Chains
) -> None:
    socket = divert(PORT)
    sent = datagram(dst=FAR.host_ip)
    for chain in ALL:
        rules_of = f"{chain} -i {'vlan5' if chain == 'input' else FAR.interface} -p UDP"
        chains.append(f"{rules_of} -j DIVERT {PORT + ALL.index(chain)}")
    others = [divert(PORT + 1), divert(PORT + 2)]
    near.send(framed(near, sent, NUMBER))
    for each, expected in zip([socket, *others], (sent, hop(sent), hop(sent)), strict=True):
        taken = each.take()
        assert taken.data == expected
        each.reinject(taken)
        assert each.rest() == []
    # TTL is lowered once, however often it was taken.
    assert left(guest, far) == [hop(sent)]


def datagrams(guest: Machine, wire: Wire) -> list[bytes]:
    """The UDP that left by a wire; bridges tell of their groups there, too."""
    return [data for data in left(guest, wire) if data[9] == 17]


@pytest.fixture
def bridge(request: pytest.FixtureRequest, shell: Shell, calls: Calls) -> Links:
    """A bridge of both wires, with an address, and with theirs: the barriers ask for them.

    Its parameter says whether it calls IP's hooks for what it bridges (br_netfilter), and which of
    the two was there before the other.
    """
    netfilter = getattr(request, "param", "plain")
    load(shell, *BRIDGE)
    if netfilter == "br_netfilter-first":
        load(shell, "br_netfilter")
    links = Links(calls)
    shell.check(f"ifconfig {NEAR.interface} 0.0.0.0 && ifconfig {FAR.interface} 0.0.0.0")
    links.bridge("br0", NEAR.interface, FAR.interface)
    shell.check(f"ifconfig br0 {MINE} netmask 255.255.255.0 up")
    for number, link in enumerate((NEAR, FAR)):
        shell.check(f"ifconfig br0:{number} {link.guest_ip} netmask 255.255.255.0")
    shell.check(f"arp -s {YOURS} {NEAR.host_mac}")
    if netfilter == "br_netfilter":
        load(shell, "br_netfilter")
    if netfilter != "plain":
        assert shell.check("cat /proc/sys/net/bridge/bridge-nf-call-iptables").strip() == "1"
    return links


with_netfilter = pytest.mark.parametrize(
    "bridge", ["plain", "br_netfilter", "br_netfilter-first"], indirect=True
)


@statement("M5/bridge")
@with_netfilter
def test_datagram_for_the_host_that_bridges(
    bridge: Links,
    guest: Machine,
    shell: Shell,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """Its interface is the bridge, whichever port it came by."""
    receiver(calls)
    socket = divert(PORT)
    chains.append(*(f"input -i {link.interface} -p UDP" for link in (NEAR, FAR)))
    rules(chains)
    own = shell.check("ifconfig br0").partition("HWaddr ")[2].split()[0]
    near.send(framed(near, datagram(), to=own))
    taken = socket.take()
    assert (taken.data, taken.interface) == (datagram(), MINE)
    socket.reinject(taken)
    near.barrier()
    assert calls.drain("receiver") == [b"at which interface"]
    calls.ok("sendto", "receiver", "text:back", f"in:{YOURS}:1")
    taken = socket.take()
    socket.reinject(taken)
    # The bridge has learned where the host is.
    assert datagrams(guest, near) == [taken.data]
    assert datagrams(guest, far) == []
    assert socket.rest() == []
    assert chains.counts("input")[:2] == [0, 0]


@statement("M5/bridge", "M3/once")
@with_netfilter
def test_nftables_sees_once_what_came_by_a_bridge(
    bridge: Links,
    guest: Machine,
    shell: Shell,
    calls: Calls,
    near: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """Taken and given back or not, and though br_netfilter has shown it in the bridge already."""
    load(shell, *NFTABLES)
    nft = Nft(calls)
    nft.chain("seen", "prerouting", 0)
    nft.rule("seen", protocol(NUMBERS["udp"]), destination(MINE), COUNTER)
    receiver(calls)
    own = shell.check("ifconfig br0").partition("HWaddr ")[2].split()[0]
    near.send(framed(near, datagram(), to=own))
    guest.barrier()
    assert nft.counts("seen") == [1]
    socket = divert(PORT)
    rules(chains)
    near.send(framed(near, datagram(), to=own))
    socket.reinject(socket.take())
    guest.barrier()
    assert nft.counts("seen") == [2]
    assert calls.drain("receiver") == [b"at which interface"] * 2
    assert socket.rest() == []


@statement("M5/bridged")
@with_netfilter
def test_what_is_bridged_between_other_hosts_is_not_taken(
    bridge: Links,
    guest: Machine,
    shell: Shell,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """Though IP's hooks may see it, it is not this host's (C5)."""
    socket = divert(PORT)
    rules(chains)
    sent = datagram(dst="203.0.113.7")
    near.send(framed(near, sent, to=FAR.host_mac))
    assert datagrams(guest, far) == [sent]
    assert socket.rest() == []
    assert [chains.counts(chain) for chain in ALL] == [[0], [0], [0]]


@statement("M5/once")
@pytest.mark.parametrize("to", [GROUP, "203.0.113.255", "255.255.255.255"])
@pytest.mark.parametrize("below", ["vlan5", "br0"])
def test_multicast_and_broadcast_are_seen_once(
    to: str,
    below: str,
    request: pytest.FixtureRequest,
    guest: Machine,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """Received, and sent by this host, for which it has a copy too."""
    request.getfixturevalue({"vlan5": "vlan", "br0": "bridge"}[below])
    receiver(calls)
    calls.ok("setsockopt", "receiver", "ip", "add_membership", f"mreq:{GROUP}:{MINE}")
    calls.ok("setsockopt", "receiver", "ip", "multicast_if", f"ip:{MINE}")
    calls.ok("setsockopt", "receiver", "socket", "broadcast", "int:1")
    device = f"hex:{below.encode().hex()}00"
    calls.ok("setsockopt", "receiver", "socket", "bindtodevice", device)
    socket = divert(PORT)
    chains.append(*(f"{chain} -i {below} -p UDP -j DIVERT {PORT}" for chain in ALL))
    group = "01:00:5e:01:02:03" if to == GROUP else "ff:ff:ff:ff:ff:ff"
    sent = datagram(dst=to)
    near.send(framed(near, sent, NUMBER if below == "vlan5" else 0, to=group))
    taken = socket.take()
    assert (taken.data, taken.interface) == (sent, MINE)
    socket.reinject(taken)
    near.barrier()
    assert calls.drain("receiver") == [b"at which interface"]
    assert socket.rest() == []
    for wire in (near, far):
        wire.clear()
    calls.ok("sendto", "receiver", "text:mine", f"in:{to}:{UDP_PORT}")
    taken = socket.take()
    assert taken.interface == "0.0.0.0"
    socket.reinject(taken)
    guest.barrier()
    assert calls.drain("receiver") == [b"mine"]
    # Not even the copy for this host is taken again by that port (T1).
    assert socket.rest() == []
    seen = tagged_frames(near) if below == "vlan5" else datagrams(guest, near)
    assert [data for data in seen if data[9] == 17] == [taken.data]


@statement("M5/ttl")
def test_ttl_is_lowered_once_on_each_hop(
    guest: Machine,
    shell: Shell,
    calls: Calls,
    near: Wire,
    divert: Divert,
    chains: Chains,
    namespaces: Callable[[], Namespace],
) -> None:
    """A datagram whose TTL ends at the next router is taken on its way there, and its error too."""
    load(shell, *VETH)
    other = namespaces()
    pair(shell, Links(calls), other)
    other.shell.check("echo 1 >/proc/sys/net/ipv4/ip_forward")
    other.shell.check(f"route add default gw {MINE}")
    socket = divert(PORT)
    chains.append(*(f"{chain} -p UDP -s {NEAR.host_ip} -j DIVERT {PORT}" for chain in ALL))
    sent = datagram(src=NEAR.host_ip, dst=YOURS, ttl=2)
    receiver(other.calls)
    near.send(IP(sent))
    socket.reinject(socket.take())
    assert other.calls.ok("poll", "receiver", "in", 3000)["result"] == 1
    late = datagram(src=NEAR.host_ip, dst="203.0.114.9", ttl=2)
    shell.check(f"route add -net 203.0.114.0 netmask 255.255.255.0 gw {YOURS}")
    near.send(IP(late))
    socket.reinject(socket.take())
    error = near.expect(lambda packet: packet.haslayer(ICMP), what="ICMP error")[IP]
    assert (error[ICMP].type, error[ICMP].code, error.src) == (11, 0, YOURS)
    assert socket.rest() == []
