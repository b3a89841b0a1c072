# SPDX-License-Identifier: GPL-2.0-only
"""F1, F2. Fragments at the socket as they are on the wire, and rules that name ports."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import IP

from divert_reference.chains import Chains
from divert_reference.divert import left
from divert_reference.fixtures import Divert, Listen
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, PLACES, Place, hop
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.datagrams import body, cut, datagram, glue, normal, open_receiver

statement = pytest.mark.statement
INPUT, INPUT_THROUGH, FORWARD, OUTPUT_THROUGH, OUTPUT = PLACES

PORT = 1234


@statement("F1/input", "F1/reassemble", "I2/bytes", "T4")
def test_input_gets_fragments_as_on_the_wire(
    guest: Machine, near: Wire, shell: Shell, calls: Calls, listen: Listen, chains: Chains
) -> None:
    open_receiver(shell, calls)
    listener = listen(PORT, "--reinject")
    chains.append(INPUT.rule(f"DIVERT {PORT}"))
    whole = datagram(NEAR.guest_ip, 4000)
    fragments = cut(whole)
    assert len(fragments) == 3
    for each in fragments:
        near.send(IP(each))
    assert [seen.data for seen in listener.take(3)] == fragments
    guest.barrier()
    assert calls.drain("receiver") == [whole[28:]], "they reassemble at the destination"
    assert len(listener.finish()) == 3


@statement("F1/kept-back", "I1")
@pytest.mark.parametrize("kept", [0, 1, 2])
def test_fragment_that_is_kept_back_keeps_the_datagram(
    kept: int,
    guest: Machine,
    near: Wire,
    shell: Shell,
    calls: Calls,
    divert: Divert,
    chains: Chains,
) -> None:
    open_receiver(shell, calls)
    socket = divert(PORT)
    chains.append(INPUT.rule(f"DIVERT {PORT}"))
    whole = datagram(NEAR.guest_ip, 4000)
    for each in cut(whole):
        near.send(IP(each))
    taken = [socket.take() for _ in range(3)]
    for other in taken[:kept] + taken[kept + 1 :]:
        socket.reinject(other)
    guest.barrier()
    assert calls.drain("receiver") == []
    # It was for want of this one.
    socket.reinject(taken[kept])
    guest.barrier()
    assert calls.drain("receiver") == [whole[28:]]


@statement("F1/input", "F1/forward", "F1/output", "F1/reassemble", "I2/bytes")
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0, 1)], ids=str)
@pytest.mark.parametrize("place", PLACES[1:4], ids=lambda place: place.name)
def test_forwarded_fragments_stay_as_they_are(
    place: Place,
    order: tuple[int, ...],
    guest: Machine,
    near: Wire,
    far: Wire,
    listen: Listen,
    chains: Chains,
) -> None:
    """In whatever order they come, and though one comes twice."""
    listener = listen(PORT, "--reinject")
    chains.append(place.rule(f"DIVERT {PORT}"))
    whole = datagram(FAR.host_ip, 4000)
    parts = cut(whole)
    fragments = [parts[n] for n in order]
    for each in fragments:
        near.send(IP(each))
    forwarded = [hop(each) for each in fragments]
    taken = [seen.data for seen in listener.take(len(order))]
    assert taken == (fragments if place.chain == "input" else forwarded)
    found = left(guest, far)
    assert found == forwarded
    assert glue(found[:3]) == [hop(whole)]
    assert len(listener.finish()) == len(order)


@statement("F1/local", "F1/reassemble", "T4")
def test_fragments_of_a_local_datagram_one_by_one(
    guest: Machine,
    near: Wire,
    calls: Calls,
    divert: Divert,
    chains: Chains,
    expected: Callable[[str], str],
) -> None:
    """In the order in which this kernel makes them."""
    socket = divert(PORT)
    chains.append(OUTPUT.rule(f"DIVERT {PORT}"))
    calls.ok("socket", "u", "inet", "dgram", 17)
    calls.ok("bind", "u", "in:0.0.0.0:3000")
    calls.ok("sendto", "u", f"hex:{body(4000 - 28).hex()}", f"in:{NEAR.host_ip}:4000")
    taken = [socket.take() for _ in range(3)]
    offsets = sorted((0, 185, 370), reverse=expected("local-fragments") == "highest offset first")
    assert [IP(each.data).frag for each in taken] == offsets
    for each in taken:
        socket.reinject(each)
    found = left(guest, near)
    assert found == [each.data for each in taken]
    (whole,) = glue(found)
    sent = datagram(NEAR.host_ip, 4000, source=NEAR.guest_ip)
    assert IP(whole).id != 0
    assert without_ttl(normal(whole)) == without_ttl(normal(sent))
    assert socket.rest() == []


def without_ttl(data: bytes) -> bytes:
    """What `normal` leaves of a packet, without the time to live."""
    return data[:6] + data[7:]


def ports_of(place: Place) -> str:
    """A match that names the ports of `datagram`."""
    return f"{place.chain} {place.match} -p UDP -s 0/0 3000 -d 0/0 4000"


def send_fragments(place: Place, near: Wire, calls: Calls) -> None:
    """Three fragments of a datagram come by a place."""
    if place.path == "out":
        calls.ok("socket", "u", "inet", "dgram", 17)
        calls.ok("bind", "u", "in:0.0.0.0:3000")
        calls.ok("sendto", "u", f"hex:{body(4000 - 28).hex()}", f"in:{NEAR.host_ip}:4000")
        return
    for each in cut(datagram(NEAR.guest_ip if place.path == "in" else FAR.host_ip, 4000)):
        near.send(IP(each))


@statement("F2/first")
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_rule_with_ports_matches_the_first_fragment_only(
    place: Place, guest: Machine, near: Wire, calls: Calls, chains: Chains
) -> None:
    chains.append(
        ports_of(place),
        f"{place.chain} {place.match} -p UDP -s 0/0 3000",
        f"{place.chain} {place.match} -p UDP -d 0/0 4000:4001",
        f"{place.chain} {place.match} -p UDP -d 0/0 ! 5",
        f"{place.chain} {place.match} -p UDP",
        f"{place.chain} {place.match} -f",
    )
    send_fragments(place, near, calls)
    guest.barrier()
    assert chains.counts(place.chain) == [1, 1, 1, 1, 3, 2]


@statement("F2/divert")
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_divert_rule_with_ports_takes_the_first_fragment_only(
    place: Place, guest: Machine, near: Wire, calls: Calls, divert: Divert, chains: Chains
) -> None:
    socket = divert(PORT)
    chains.append(f"{ports_of(place)} -j DIVERT {PORT}", f"{place.chain} {place.match} -p UDP")
    send_fragments(place, near, calls)
    guest.barrier()
    (first,) = socket.rest()
    assert (IP(first).frag, IP(first).flags) == (0, "MF")
    assert chains.counts(place.chain) == [1, 2]
