# SPDX-License-Identifier: GPL-2.0-only
"""F4. With always-defragment the socket gets whole datagrams that come by wire."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP

from divert_reference.chains import Chains
from divert_reference.divert import left
from divert_reference.fixtures import Divert, Listen
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, PLACES, Place, hop, ip_packets
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.datagrams import LARGEST, ROOM, cut, datagram, glue, open_receiver

statement = pytest.mark.statement
INPUT, INPUT_THROUGH, FORWARD, OUTPUT_THROUGH, OUTPUT = PLACES
through = pytest.mark.parametrize("place", PLACES[1:4], ids=lambda place: place.name)

PORT = 1234
# 1,501 just does not fit into a frame.
SIZES = (1501, 4000, LARGEST)


@statement("F4/input", "F4/largest", "I2/bytes", "T4")
@pytest.mark.parametrize("size", SIZES)
def test_input_gets_whole_datagrams(
    size: int,
    guest: Machine,
    near: Wire,
    shell: Shell,
    calls: Calls,
    listen: Listen,
    chains: Chains,
) -> None:
    open_receiver(shell, calls)
    listener = listen(PORT, "--reinject")
    chains.append(INPUT.rule(f"DIVERT {PORT}"))
    whole = datagram(NEAR.guest_ip, size)
    near.send_all(map(IP, cut(whole)))
    seen = listener.next()
    assert len(seen.data) == size
    assert seen.data == whole
    assert seen.reinjected == size
    guest.barrier()
    received = calls.drain("receiver")
    assert [len(data) for data in received] == [size - 28]
    assert received == [whole[28:]]
    assert len(listener.finish()) == 1


@statement("F4/input", "F4/ports", "I1")
def test_datagram_on_input_that_is_not_reinjected_is_gone(
    guest: Machine, near: Wire, shell: Shell, calls: Calls, listen: Listen, chains: Chains
) -> None:
    open_receiver(shell, calls)
    listener = listen(PORT)
    chains.append(f"input -i {NEAR.interface} -p UDP -d 0/0 4000 -j DIVERT {PORT}")
    for each in cut(datagram(NEAR.guest_ip, 4000)):
        near.send(IP(each))
    assert len(listener.next().data) == 4000
    guest.barrier()
    assert calls.drain("receiver") == []


@statement("F4/input", "F4/forward", "F4/output", "F4/largest", "F4/cut-again", "I2/bytes", "T4")
@pytest.mark.parametrize("size", SIZES)
@through
def test_whole_at_each_hook_and_forwarded_in_fragments(
    place: Place,
    size: int,
    guest: Machine,
    near: Wire,
    far: Wire,
    listen: Listen,
    chains: Chains,
) -> None:
    listener = listen(PORT, "--reinject")
    chains.append(place.rule(f"DIVERT {PORT}"))
    whole = datagram(FAR.host_ip, size)
    near.send_all(map(IP, cut(whole)))
    assert listener.next().data == (whole if place.chain == "input" else hop(whole))
    guest.barrier()
    found = ip_packets(far.captured())
    assert max(map(len, found)) <= 1500
    assert len(found) == -(-(size - 20) // ROOM)
    assert glue(found) == [hop(whole)]
    assert len(listener.finish()) == 1


@statement("F4/ports", "F4/once")
@through
def test_rules_match_and_count_the_whole(
    place: Place, guest: Machine, near: Wire, far: Wire, chains: Chains
) -> None:
    """All of a datagram has the ports, and none of it is a fragment."""
    chains.append(
        f"{place.chain} {place.match} -p UDP -s 0/0 3000 -d 0/0 4000",
        f"{place.chain} {place.match} -f",
    )
    for each in reversed(cut(datagram(FAR.host_ip, 4000))):
        near.send(IP(each))
    assert len(left(guest, far)) == 3
    assert chains.counts(place.chain) == [1, 0]
    assert [row[1] for row in chains.rows(place.chain)] == ["4000", "0"]


@statement("F4/targets", "T2")
def test_datagram_through_a_port_of_each_hook(
    guest: Machine, near: Wire, far: Wire, divert: Divert, chains: Chains
) -> None:
    """Different ports on the way of one datagram: each has it whole, once."""
    sockets = [divert(PORT + n) for n in range(3)]
    chains.append(
        *(place.rule(f"DIVERT {PORT + n}") for n, place in enumerate(PLACES[1:4])),
    )
    whole = datagram(FAR.host_ip, 4000)
    for each in cut(whole):
        near.send(IP(each))
    for socket, expected in zip(sockets, (whole, hop(whole), hop(whole)), strict=True):
        assert left(guest, far) == []
        taken = socket.take()
        assert taken.data == expected
        socket.reinject(taken)
    found = left(guest, far)
    assert len(found) == 3
    assert glue(found) == [hop(whole)]
    assert [socket.rest() for socket in sockets] == [[], [], []]


@statement("F4/targets")
def test_datagrams_go_to_the_ports_that_their_ports_say(
    guest: Machine, near: Wire, divert: Divert, chains: Chains
) -> None:
    """Interleaved, and told apart by what only their first fragments have."""
    first, second = divert(PORT), divert(PORT + 1)
    rule = f"input -i {NEAR.interface} -p UDP -d 0/0"
    chains.append(f"{rule} 4000 -j DIVERT {PORT}", f"{rule} 4001 -j DIVERT {PORT + 1}")
    one = datagram(FAR.host_ip, 4000)
    other = bytearray(datagram(FAR.host_ip, 4000, number=0x6001))
    other[22:24] = (4001).to_bytes(2, "big")
    for pair in zip(cut(one), cut(bytes(other)), strict=True):
        for each in reversed(pair):
            near.send(IP(each))
    guest.barrier()
    assert first.rest() == [one]
    assert second.rest() == [bytes(other)]


@statement("F4/input", "F4/largest", "F4/cut-again")
def test_echo_of_the_largest_packet(
    guest: Machine, near: Wire, listen: Listen, chains: Chains
) -> None:
    """The own stack answers a ping of 65,535 bytes that went through a divert socket."""
    listener = listen(PORT, "--reinject")
    chains.append(INPUT.rule(f"DIVERT {PORT}"), f"output -i {NEAR.interface} -p ICMP")
    body = bytes(range(256)) * 255 + bytes(LARGEST - 28 - 65280)
    packet: Any = IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=0x6100, ttl=64)
    whole = bytes(IP(bytes(packet / ICMP(id=1, seq=2) / body)))
    assert len(whole) == LARGEST
    near.send_all(map(IP, cut(whole)))
    assert listener.next().data == whole
    guest.barrier()
    (reply,) = glue(ip_packets(near.captured()))
    assert len(reply) == LARGEST
    assert reply[28:] == body
    assert reply[20] == 0, "an echo reply"
    assert chains.counts("output") == [1], "of which the chain saw the whole"


@statement("F4/input", "I2/loopback")
def test_datagram_on_the_loopback_is_whole_on_both_chains(
    guest: Machine, shell: Shell, calls: Calls, divert: Divert, chains: Chains
) -> None:
    open_receiver(shell, calls)
    outward, inward = divert(PORT), divert(PORT + 1)
    chains.append(f"output -i lo -p UDP -j DIVERT {PORT}")
    chains.append(f"input -i lo -p UDP -j DIVERT {PORT + 1}")
    calls.ok("socket", "u", "inet", "dgram", 17)
    calls.ok("bind", "u", "in:127.0.0.1:3000")
    payload = datagram(NEAR.host_ip, 20000)[28:]
    calls.ok("sendto", "u", f"hex:{payload.hex()}", "in:127.0.0.1:4000")
    taken = outward.take()
    assert (len(taken.data), taken.data[28:]) == (20000, payload)
    outward.reinject(taken)
    again = inward.take()
    assert again.data == taken.data
    inward.reinject(again)
    guest.barrier()
    assert calls.drain("receiver") == [payload]
    assert outward.rest() == inward.rest() == []
