# SPDX-License-Identifier: GPL-2.0-only
"""T. No packet is taken twice: copies, fragments, and what is put together from them (T1)."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, UDP, fragment

from divert_reference.chains import Chains
from divert_reference.divert import DivertSocket, Injector, built, left
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, UDP_PORT
from harness.guest.machine import Machine
from harness.network.wire import Wire

statement = pytest.mark.statement

# Injector's.
PORT = 1234
GROUP = "239.1.2.3"
TO_ALL = "198.51.100.255"


@pytest.fixture
def member(calls: Calls) -> Calls:
    """A UDP socket `member` that hears the group and broadcasts on eth2."""
    calls.ok("socket", "member", "inet", "dgram", 17)
    calls.ok("bind", "member", f"in:0.0.0.0:{UDP_PORT}")
    calls.ok("setsockopt", "member", "ip", "add_membership", f"mreq:{GROUP}:{FAR.guest_ip}")
    return calls


def sender(calls: Calls) -> None:
    """A UDP socket `sender` that may send to all and to the group, through eth2."""
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("setsockopt", "sender", "socket", "broadcast", "int:1")
    calls.ok("setsockopt", "sender", "ip", "multicast_if", f"ip:{FAR.guest_ip}")


def own(guest: Machine, wire: Wire) -> list[bytes]:
    """What left by a wire, but for reports of membership (IGMP)."""
    return [data for data in left(guest, wire) if data[9] != 2]


to_many = pytest.mark.parametrize("destination", [GROUP, TO_ALL], ids=["multicast", "broadcast"])


@statement("T1/copies", "I7/loop", "T4")
@to_many
def test_copy_to_this_host_of_what_was_injected(
    destination: str, inject: Injector, guest: Machine, far: Wire, member: Calls, chains: Chains
) -> None:
    """Untagged: its port takes the copy on input as little as the packet on output."""
    member.ok("setsockopt", inject.socket.name, "ip", "multicast_if", f"ip:{FAR.guest_ip}")
    chains.append(
        *(f"{name} -p UDP -d {destination} -j DIVERT {PORT}" for name in ("input", "output"))
    )
    header = IP(src=FAR.guest_ip, dst=destination, id=9, ttl=4)
    packet = built(header / UDP(sport=1, dport=UDP_PORT) / b"copied")
    inject(packet, "none")
    assert own(guest, far) == [packet]
    assert member.drain("member") == [b"copied"]
    assert inject.socket.rest() == []
    assert chains.counts("input") == chains.counts("output") == [1]
    member.ok("socket", "another", "inet", "dgram", 17)
    member.ok("setsockopt", "another", "socket", "broadcast", "int:1")
    member.ok("setsockopt", "another", "ip", "multicast_if", f"ip:{FAR.guest_ip}")
    member.ok("sendto", "another", "text:taken", f"in:{destination}:{UDP_PORT}")
    (taken,) = inject.socket.rest()
    assert taken.endswith(b"taken"), "what another socket sends is taken"


@statement("T1/copies", "T2", "T4")
@to_many
def test_copy_to_this_host_of_what_was_given_back(
    destination: str,
    guest: Machine,
    far: Wire,
    member: Calls,
    divert: Divert,
    chains: Chains,
) -> None:
    """Its own port does not take the copy, another port does, and once."""
    sender(member)
    socket, other = divert(PORT), divert(PORT + 1)
    chains.append(
        f"output -p UDP -d {destination} -j DIVERT {PORT}",
        f"input -p UDP -d {destination} -j DIVERT {PORT}",
        f"input -p UDP -d {destination} -j DIVERT {PORT + 1}",
    )
    member.ok("sendto", "sender", "text:copied", f"in:{destination}:{UDP_PORT}")
    taken = socket.take()
    socket.reinject(taken)
    again = other.take()
    assert again.data == taken.data
    assert own(guest, far) == [taken.data]
    assert member.drain("member") == []
    other.reinject(again)
    guest.barrier()
    assert member.drain("member") == [b"copied"]
    assert socket.rest() == other.rest() == []


@statement("T1/fragments", "T1/copies", "T4")
@pytest.mark.parametrize("ports", ["own", "another"])
def test_fragments_of_what_was_given_back(
    ports: str, guest: Machine, far: Wire, member: Calls, divert: Divert, chains: Chains
) -> None:
    """Grown by the program, it leaves in fragments, whose copies meet the input chain.

    With always-defragment they meet it as one.
    """
    sender(member)
    socket, other = divert(PORT), divert(PORT + 1)
    chains.append(
        f"output -p UDP -d {GROUP} -j DIVERT {PORT}", f"input -p UDP -d {GROUP} -j DIVERT {PORT}"
    )
    if ports == "another":
        chains.append(f"input -p UDP -d {GROUP} -j DIVERT {PORT + 1}")
    member.ok("sendto", "sender", "text:small", f"in:{GROUP}:{UDP_PORT}")
    taken = socket.take()
    grown = IP(taken.data)
    grown[UDP].remove_payload()
    grown = grown / (b"large" * 800)
    grown.flags = 0
    for layer in (grown, grown[UDP]):
        del layer.len, layer.chksum
    socket.reinject(taken, built(grown))
    assert len(own(guest, far)) == 3
    if ports == "another":
        assert member.drain("member") == []
        reinject_all(other)
        guest.barrier()
    assert member.drain("member") == [b"large" * 800]
    assert socket.rest() == other.rest() == []


def reinject_all(socket: DivertSocket) -> None:
    """Give back packets until one is the last of its datagram; fragments leave in order."""
    while True:
        taken = socket.take()
        socket.reinject(taken)
        if not IP(taken.data).flags.MF:
            return


@statement("T1/fragments", "T4")
def test_fragments_given_back_one_by_one(
    guest: Machine, far: Wire, near: Wire, calls: Calls, divert: Divert, chains: Chains
) -> None:
    """The program makes the fragments itself, and gives each back with the tag of the whole."""
    socket = divert(PORT)
    chains.append(*(f"{name} -p UDP -j DIVERT {PORT}" for name in ("input", "forward", "output")))
    near.send(IP(src=NEAR.host_ip, dst=FAR.host_ip, id=0x99, ttl=9) / UDP(dport=9) / bytes(992))
    taken = socket.take()
    parts = [built(each) for each in fragment(IP(taken.data), 400)]
    assert len(parts) == 3
    for part in parts:
        socket.reinject(taken, part)
    sent = [IP(data) for data in left(guest, far)]
    assert b"".join(bytes(each.payload) for each in sent) == taken.data[20:]
    assert {each.ttl for each in sent} == {8}
    assert socket.rest() == []


def halves(number: int) -> tuple[list[bytes], bytes]:
    """A datagram to this host in two fragments, and its body."""
    body = bytes([number]) * 800
    header = IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=0x9900 + number, ttl=9)
    packet = IP(built(header / UDP(sport=1, dport=UDP_PORT) / body))
    return [built(each) for each in fragment(packet, 400)][:3], body


@statement("T1/reassembled", "T4")
@pytest.mark.parametrize(
    "ways", ["same", "wire", "other", "other-last"], ids=lambda way: f"parts-by-{way}"
)
def test_datagram_put_together_here(
    ways: str,
    inject: Injector,
    guest: Machine,
    near: Wire,
    calls: Calls,
    divert: Divert,
    chains: Chains,
) -> None:
    """The first parts through one port; the last the same way, by wire, or through another port."""
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", f"in:0.0.0.0:{UDP_PORT}")
    other = divert(PORT + 1)
    chains.append(f"input -p UDP -j DIVERT {PORT}")
    parts, body = halves(1)
    address = f"in:{NEAR.guest_ip}:0"
    *first, last = parts if ways != "other-last" else reversed(parts)
    for part in first:
        inject(part, address)
    if ways == "wire":
        near.send(IP(last))
    else:
        (inject.socket if ways == "same" else other).inject(last, address)
    if ways != "same":
        taken = inject.socket.take()
        assert bytes(IP(taken.data)[UDP].payload) == body
        assert calls.drain("receiver") == []
        inject.socket.reinject(taken)
    guest.barrier()
    assert calls.drain("receiver") == [body]
    assert inject.socket.rest() == other.rest() == []


@statement("T1/reassembled", "T4")
@pytest.mark.parametrize("tagged", [3, 2, 1], ids=["all-tagged", "two-tagged", "one-tagged"])
def test_parts_of_what_was_taken_put_together_again(
    tagged: int, guest: Machine, calls: Calls, divert: Divert, near: Wire, chains: Chains
) -> None:
    """Only if all parts come back with the tag does the whole re-enter behind the rule."""
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", f"in:0.0.0.0:{UDP_PORT}")
    first, second = divert(PORT), divert(PORT + 1)
    chains.append(f"input -p UDP -j DIVERT {PORT}", f"input -p UDP -j DIVERT {PORT + 1}")
    parts, body = halves(2)
    for part in parts:
        near.send(IP(part))
    first.reinject(first.take())
    taken = second.take()
    for number, part in enumerate(parts):
        if number < tagged:
            second.reinject(taken, part)
        else:
            second.inject(part, f"in:{NEAR.guest_ip}:0")
    if tagged < len(parts):
        # From the head of the chain: the other port sees it again, its own does not (T1).
        again = first.take()
        assert bytes(IP(again.data)[UDP].payload) == body
        first.reinject(again)
        second.reinject(second.take())
    guest.barrier()
    assert calls.drain("receiver") == [body]
    assert first.rest() == second.rest() == []
