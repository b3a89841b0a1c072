# SPDX-License-Identifier: GPL-2.0-only
"""M4. Connection tracking and NAT beside the chains."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, TCP, UDP

from divert_reference.chains import Chains
from divert_reference.divert import built, left
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, UDP_PORT, header_is_right, hop
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.nft import Nft, destination, dnat, masquerade, protocol
from tests.guest.support.sockets import transport_is_right
from tests.guest.support.stack import NAT, load

statement = pytest.mark.statement

PORT = 1234
# linux/netfilter_ipv4.h: NF_IP_PRI_NAT_DST.
DESTINATION = -100
CHAINS = ("input", "forward", "output")


@pytest.fixture
def nft(shell: Shell, calls: Calls) -> Nft:
    """nftables with connection tracking, which begins with the first rule of NAT."""
    load(shell, *NAT)
    return Nft(calls)


def datagram(src: str, dst: str, sport: int = 3000, dport: int = UDP_PORT, **more: int) -> bytes:
    """A datagram with a valid checksum."""
    header = IP(src=src, dst=dst, **{"id": 0x77, "ttl": 9, **more})
    return built(header / UDP(sport=sport, dport=dport) / b"through a router")


def connections(shell: Shell, protocol: str = "udp") -> list[str]:
    """The connections that are tracked between the wires."""
    lines = shell.check("cat /proc/net/nf_conntrack").splitlines()
    return [line for line in lines if f" {protocol} " in line and NEAR.host_ip in line]


@statement("M4/masquerade", "M4/tracked")
@pytest.mark.parametrize("chain", CHAINS)
def test_masqueraded_datagram_and_its_answer(
    chain: str,
    nft: Nft,
    guest: Machine,
    shell: Shell,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """Taken before NAT, given back it is translated once, and is one connection."""
    masquerade(nft)
    socket = divert(PORT)
    for name in (NEAR.interface, FAR.interface):
        chains.append(f"{chain} -i {name} -p UDP -j DIVERT {PORT}")
    sent = datagram(NEAR.host_ip, FAR.host_ip)
    near.send(IP(sent))
    taken = socket.take()
    assert taken.data == (sent if chain == "input" else hop(sent))
    # It confirms its connection where it leaves.
    assert connections(shell) == []
    socket.reinject(taken)
    (out,) = left(guest, far)
    assert (IP(out).src, IP(out).ttl, IP(out)[UDP].sport) == (FAR.guest_ip, 8, 3000)
    assert header_is_right(out)
    assert transport_is_right(out)
    answer = datagram(FAR.host_ip, FAR.guest_ip, UDP_PORT, 3000)
    far.send(IP(answer))
    taken = socket.take()
    # NAT of what comes in is behind the input chain, and before the others.
    assert IP(taken.data).dst == (FAR.guest_ip if chain == "input" else NEAR.host_ip)
    socket.reinject(taken)
    (back,) = left(guest, near)
    assert back == datagram(FAR.host_ip, NEAR.host_ip, UDP_PORT, 3000, ttl=8)
    assert socket.rest() == []
    (connection,) = connections(shell)
    assert "UNREPLIED" not in connection


@statement("M4/masquerade", "M11/connection")
def test_of_another_protocol_it_is_another_connection(
    nft: Nft,
    guest: Machine,
    shell: Shell,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """A program makes a segment of it, with the same addresses and ports."""
    masquerade(nft)
    socket = divert(PORT)
    chains.append(f"forward -i {FAR.interface} -p UDP -j DIVERT {PORT}")
    near.send(IP(datagram(NEAR.host_ip, FAR.host_ip)))
    taken = socket.take()
    header = IP(src=NEAR.host_ip, dst=FAR.host_ip, id=0x77, ttl=8)
    segment = built(header / TCP(sport=3000, dport=UDP_PORT, flags="S", seq=7))
    socket.reinject(taken, segment)
    (out,) = left(guest, far)
    assert (IP(out).src, IP(out)[TCP].sport) == (FAR.guest_ip, 3000)
    assert header_is_right(out) and transport_is_right(out)
    assert connections(shell) == []
    assert len(connections(shell, "tcp")) == 1


@statement("M4/masquerade", "M4/burst")
@pytest.mark.parametrize("chain", CHAINS)
def test_first_datagrams_of_a_connection_that_are_held(
    chain: str,
    nft: Nft,
    guest: Machine,
    shell: Shell,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """None has confirmed it when the last is taken; the first one given back does for all."""
    masquerade(nft)
    socket = divert(PORT)
    chains.append(f"{chain} -d {FAR.host_ip} -p UDP -j DIVERT {PORT}")
    numbers = (1, 2, 3)
    for number in numbers:
        near.send(IP(datagram(NEAR.host_ip, FAR.host_ip, id=number)))
    held = [socket.take() for _ in numbers]
    for taken in held:
        socket.reinject(taken)
    out = [IP(data) for data in left(guest, far)]
    assert [(packet.src, packet.id) for packet in out] == [(FAR.guest_ip, n) for n in numbers]
    assert len({packet[UDP].sport for packet in out}) == len(connections(shell)) == 1


@statement("M4/dnat")
@pytest.mark.parametrize("chain", ["input", "forward"])
def test_destination_that_is_another(
    chain: str,
    nft: Nft,
    guest: Machine,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """It is sent to this host, and goes to the host of wire 1."""
    nft.chain("destination", "prerouting", DESTINATION, "nat")
    nft.rule("destination", protocol(17), destination(NEAR.guest_ip), dnat(FAR.host_ip))
    socket = divert(PORT)
    for name in (NEAR.interface, FAR.interface):
        chains.append(f"{chain} -i {name} -p UDP -j DIVERT {PORT}")
    near.send(IP(datagram(NEAR.host_ip, NEAR.guest_ip)))
    taken = socket.take()
    assert IP(taken.data).dst == (NEAR.guest_ip if chain == "input" else FAR.host_ip)
    socket.reinject(taken)
    assert left(guest, far) == [datagram(NEAR.host_ip, FAR.host_ip, ttl=8)]
    far.send(IP(datagram(FAR.host_ip, NEAR.host_ip, UDP_PORT, 3000)))
    taken = socket.take()
    assert IP(taken.data).src == FAR.host_ip
    socket.reinject(taken)
    assert left(guest, near) == [datagram(NEAR.guest_ip, NEAR.host_ip, UDP_PORT, 3000, ttl=8)]
    assert socket.rest() == []


@statement("M4/local")
def test_local_datagram_to_another_destination(
    nft: Nft, guest: Machine, calls: Calls, near: Wire, far: Wire, divert: Divert, chains: Chains
) -> None:
    """Given back, it gets its destination, and the way there."""
    nft.chain("destination", "output", DESTINATION, "nat")
    nft.rule("destination", protocol(17), destination(NEAR.host_ip), dnat(FAR.host_ip))
    socket = divert(PORT)
    chains.append(f"output -p UDP -d {NEAR.host_ip} -j DIVERT {PORT}")
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("bind", "sender", f"in:{NEAR.guest_ip}:{UDP_PORT}")
    calls.ok("sendto", "sender", "text:turned", f"in:{NEAR.host_ip}:3000")
    taken = socket.take()
    assert IP(taken.data).dst == NEAR.host_ip
    socket.reinject(taken)
    (out,) = left(guest, far)
    assert (IP(out).src, IP(out).dst) == (NEAR.guest_ip, FAR.host_ip)
    assert transport_is_right(out)
    assert left(guest, near) == []
    far.send(IP(datagram(FAR.host_ip, NEAR.guest_ip, 3000, UDP_PORT)))
    assert calls.ok("poll", "sender", "in", 3000)["result"] == 1
    row = calls.ok("recvfrom", "sender", 65535, "dontwait")
    assert (row["from"]["ip"], row["from"]["port"]) == (NEAR.host_ip, 3000)


@statement("M4/fragments")
@pytest.mark.parametrize("chain", CHAINS)
def test_fragments_are_put_together_for_nat_behind_the_chains(
    chain: str,
    nft: Nft,
    guest: Machine,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """Connection tracking puts them together after the input chain, and they are cut again."""
    masquerade(nft)
    listener = divert(PORT)
    chains.append(f"{chain} -d {FAR.host_ip} -j DIVERT {PORT}")
    body = bytes(range(256)) * 10
    if chain == "output":
        calls.ok("socket", "sender", "inet", "dgram", 17)
        calls.ok("bind", "sender", f"in:{NEAR.guest_ip}:3000")
        calls.ok("setsockopt", "sender", "ip", "mtu_discover", "int:0")
        calls.ok("sendto", "sender", f"hex:{body.hex()}", f"in:{FAR.host_ip}:{UDP_PORT}")
    else:
        header = IP(src=NEAR.host_ip, dst=FAR.host_ip, id=0x77, ttl=9)
        whole = built(header / UDP(sport=3000, dport=UDP_PORT) / body)
        for part in IP(whole).fragment(1480):
            near.send(part)
    parts = {"forward": 1}.get(chain, 2)
    for taken in [listener.take() for _ in range(parts)]:
        listener.reinject(taken)
    out = [IP(data) for data in left(guest, far)]
    assert {packet.src for packet in out} == {FAR.guest_ip}
    out.sort(key=lambda packet: int(packet.frag))
    assert b"".join(bytes(packet.payload) for packet in out)[8:] == body
    assert listener.rest() == []
