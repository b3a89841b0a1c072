# SPDX-License-Identifier: GPL-2.0-only
"""F3, F5. Packets larger than the MTU, injected or sent by a raw socket with IP_HDRINCL."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import IP

from divert_reference.chains import Chains
from divert_reference.divert import built, left
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls, ProcDivert
from divert_reference.traffic import FAR, NEAR, PLACES, Place, hop
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.datagrams import LARGEST, ROOM, cut, datagram, glue
from tests.guest.support.sockets import hexed

statement = pytest.mark.statement

PORT = 1234
# The MTU of 2.2.12's loopback; and one that a test sets.
LOOPBACK_MTU, SMALL_MTU = 3924, 600
SMALL = f"ifconfig eth1 mtu {SMALL_MTU} && echo 0 >/proc/sys/net/ipv4/route/flush"

INBOUND = f"in:{NEAR.guest_ip}:0"
Send = Callable[[bytes], str]


def to_near(size: int, number: int = 0x6000, flags: str = "") -> bytes:
    """A packet of this size from the guest to wire 0's host."""
    return datagram(NEAR.host_ip, size, number=number, source=NEAR.guest_ip, flags=flags)


def by_divert(calls: Calls) -> Send:
    """Injects outbound through a divert socket; errno's name, or nothing."""
    calls.ok("socket", "d", "inet", "raw", 254)
    calls.ok("bind", "d", f"in:0.0.0.0:{PORT}")
    return lambda data: str(calls("sendto", "d", hexed(data), "none").get("error", ""))


def by_raw(calls: Calls) -> Send:
    """Sends by a raw socket with IP_HDRINCL; errno's name, or nothing."""
    calls.ok("socket", "h", "inet", "raw", "raw")
    to = "in:{}:0".format
    return lambda data: str(calls("sendto", "h", hexed(data), to(IP(data).dst)).get("error", ""))


refused = pytest.mark.parametrize(
    "way",
    [
        pytest.param(by_divert, marks=statement("F3/divert"), id="divert"),
        pytest.param(by_raw, marks=statement("F3/hdrincl"), id="hdrincl"),
    ],
)


@refused
def test_larger_than_the_mtu(
    way: Callable[[Calls], Send], guest: Machine, near: Wire, calls: Calls
) -> None:
    send = way(calls)
    for size in (1501, 1508, 4000, LARGEST):
        assert send(to_near(size)) == "EMSGSIZE", size
        assert send(to_near(size, flags="DF")) == "EMSGSIZE", size
    # As large as it may be.
    assert send(to_near(1500)) == ""
    assert left(guest, near) == [to_near(1500)]


@refused
def test_mtu_is_the_interfaces(
    way: Callable[[Calls], Send], guest: Machine, near: Wire, far: Wire, shell: Shell, calls: Calls
) -> None:
    """Lowered on one, it is as it was on the other; the loopback has its own."""
    shell.check(SMALL)
    send = way(calls)
    assert send(to_near(SMALL_MTU + 1)) == "EMSGSIZE"
    assert send(to_near(SMALL_MTU)) == ""
    assert left(guest, near) == [to_near(SMALL_MTU)]
    elsewhere = datagram(FAR.host_ip, 1500, source=FAR.guest_ip)
    assert send(elsewhere) == ""
    assert left(guest, far) == [elsewhere]
    # 2.2.12's; a kernel of today has one that no packet exceeds.
    shell.check(f"ifconfig lo mtu {LOOPBACK_MTU}")
    calls.ok("socket", "echo", "inet", "raw", 17)
    calls.ok("bind", "echo", "in:127.0.0.1:0")
    home = [datagram("127.0.0.1", LOOPBACK_MTU + n, source="127.0.0.1") for n in (0, 1)]
    assert [send(data) for data in home] == ["", "EMSGSIZE"]
    guest.barrier()
    assert calls.drain("echo") == [home[0]]


@statement("F3/divert", "F3/inward")
def test_what_is_larger_is_welcome_inward(
    guest: Machine, far: Wire, calls: Calls, divert: Divert, proc_divert: Callable[[], ProcDivert]
) -> None:
    """No interface sends it; forwarded, it is cut like any other (the statement is of outbound)."""
    socket = divert(PORT)
    calls.ok("socket", "receiver", "inet", "raw", 17)
    calls.ok("bind", "receiver", f"in:{NEAR.guest_ip}:0")
    here, there = datagram(NEAR.guest_ip, 4000), datagram(FAR.host_ip, 4000)
    socket.inject(here, INBOUND)
    socket.inject(there, INBOUND)
    found = left(guest, far)
    assert len(found) == 3
    assert glue(found) == [hop(there)]
    assert calls.drain("receiver") == [here]
    assert proc_divert().ports[PORT].injected == 2


fragmented = pytest.mark.parametrize(
    "way",
    [
        pytest.param(by_divert, marks=statement("F5/outbound"), id="divert"),
        pytest.param(by_raw, marks=statement("F5/hdrincl"), id="hdrincl"),
    ],
)


@statement("F5/bytes")
@fragmented
@pytest.mark.parametrize("size", [1501, 4000, LARGEST])
def test_large_packet_leaves_in_fragments(
    way: Callable[[Calls], Send],
    size: int,
    guest: Machine,
    near: Wire,
    calls: Calls,
    chains: Chains,
) -> None:
    """Of which the output chain saw the whole."""
    chains.append(f"output {PLACES[4].match} -p UDP -d 0/0 4000", "output -f")
    packet = to_near(size)
    assert way(calls)(packet) == ""
    assert left(guest, near) == cut(packet)
    assert [row[:2] for row in chains.rows("output")] == [["1", str(size)], ["0", "0"]]


@statement("F5/bytes")
@fragmented
def test_mtu_is_the_interfaces_where_it_is_cut(
    way: Callable[[Calls], Send], guest: Machine, near: Wire, shell: Shell, calls: Calls
) -> None:
    shell.check(SMALL)
    send = way(calls)
    for size, parts in ((SMALL_MTU, 1), (SMALL_MTU + 1, 2), (1500, 3)):
        packet = to_near(size)
        assert send(packet) == ""
        found = left(guest, near)
        assert len(found) == parts
        assert found == ([packet] if parts == 1 else cut(packet, (SMALL_MTU - 20) // 8 * 8))


@statement("F5/bytes", "I5/identification")
@fragmented
def test_identification_is_made_up_for_a_large_packet(
    way: Callable[[Calls], Send], guest: Machine, near: Wire, calls: Calls
) -> None:
    """Fragments that all had 0 would be those of any other datagram."""
    send = way(calls)
    for _ in range(2):
        assert send(to_near(4000, number=0)) == ""
    found = left(guest, near)
    numbers = {IP(data).id for data in found}
    assert len(found) == 6
    assert len(numbers) == 2
    assert 0 not in numbers
    assert all(whole[20:] == to_near(4000)[20:] for whole in glue(found))


# Router alert (94), which goes into each fragment, and record route (07), which stays in the first.
OPTIONS = {
    "end": ("940400000707080102030400", ("94040000" + "01" * 7 + "00", "94040000" + "01" * 8)),
    "no-operation": ("019404000007070801020304", ("0194040000" + "01" * 7,)),
}


@statement("F5/bytes")
@fragmented
@pytest.mark.parametrize("form", OPTIONS)
def test_options_of_a_large_packet(
    form: str, way: Callable[[Calls], Send], guest: Machine, near: Wire, calls: Calls
) -> None:
    """One is copied into each fragment, the other stays in the first."""
    options = bytes.fromhex(OPTIONS[form][0])
    header = IP(src=NEAR.guest_ip, dst=NEAR.host_ip, id=9, ttl=50, proto=99)
    header.options = options
    packet = built(header / bytes(range(250)) / bytes(3000))
    assert packet[20:32] == options
    assert way(calls)(packet) == ""
    first, *rest = left(guest, near)
    assert first[20:32] == options
    for each in rest:
        assert each[20:32].hex() in OPTIONS[form][1]
    assert b"".join(each[32:] for each in (first, *rest)) == packet[32:]


@fragmented
@statement("F5/dont-fragment")
def test_large_packet_that_says_not_to(
    way: Callable[[Calls], Send], guest: Machine, near: Wire, calls: Calls, chains: Chains
) -> None:
    chains.append(f"output {PLACES[4].match}")
    send = way(calls)
    for size in (1501, 4000, LARGEST):
        assert send(to_near(size, flags="DF")) == "EMSGSIZE", size
    assert left(guest, near) == []
    assert chains.counts("output") == [0], "it is not even shown to the chain"
    # One that fits may say so.
    fits = to_near(1500, flags="DF")
    assert send(fits) == ""
    assert left(guest, near) == [fits]


@statement("F5/refused")
@fragmented
@pytest.mark.parametrize("target", ["DENY", "REJECT"])
def test_large_packet_that_the_chain_denies(
    way: Callable[[Calls], Send],
    target: str,
    guest: Machine,
    near: Wire,
    calls: Calls,
    chains: Chains,
) -> None:
    chains.append(f"output -p UDP -d 0/0 4000 -j {target}")
    send = way(calls)
    assert send(to_near(4000)) == "EPERM"
    assert left(guest, near) == []
    chains.flush()
    assert send(to_near(4000)) == ""
    assert len(left(guest, near)) == 3


@statement("F5/forwarded", "I3/inbound")
@pytest.mark.parametrize("size", [1501, LARGEST])
def test_large_packet_injected_inbound_is_forwarded_in_fragments(
    size: int, guest: Machine, far: Wire, divert: Divert, chains: Chains
) -> None:
    chains.append(f"forward -i {FAR.interface}", f"output -i {FAR.interface}", "output -f")
    packet = datagram(FAR.host_ip, size)
    divert(PORT).inject(packet, INBOUND)
    found = left(guest, far)
    assert len(found) == -(-(size - 20) // ROOM)
    assert glue(found) == [hop(packet)]
    assert (chains.counts("forward"), chains.counts("output")) == ([1], [1, 0])


@statement("F5/dont-fragment")
def test_large_packet_to_be_forwarded_that_says_not_to(
    guest: Machine, near: Wire, far: Wire, divert: Divert, icmp_errors: None
) -> None:
    """As one from the wire: its sender is told by ICMP, the program sees success (I2)."""
    divert(PORT).inject(datagram(FAR.host_ip, 4000, flags="DF"), INBOUND)
    (told,) = left(guest, near)
    assert (told[20], told[21], int.from_bytes(told[26:28], "big")) == (3, 4, 1500)
    assert left(guest, far) == []


@statement("F5/tagged", "T4")
@pytest.mark.parametrize("place", PLACES[1:], ids=lambda place: place.name)
def test_datagram_that_is_given_back_larger(
    place: Place, guest: Machine, divert: Divert, calls: Calls, chains: Chains
) -> None:
    near, far = guest.wires
    socket = divert(PORT)
    chains.append(place.rule(f"DIVERT {PORT}"))
    if place.path == "out":
        calls.ok("socket", "u", "inet", "dgram", 17)
        calls.ok("sendto", "u", f"fill:3972:{bytes(range(32)).hex()}", f"in:{NEAR.host_ip}:4000")
    else:
        for each in cut(datagram(FAR.host_ip, 4000)):
            near.send(IP(each))
    taken = socket.take()
    assert len(taken.data) == 4000
    grown = lengthened(taken.data, 9000)
    socket.reinject(taken, grown)
    found = left(guest, near if place.path == "out" else far)
    assert len(found) == 7
    assert glue(found) == [hop(grown) if place.chain == "input" else grown]
    assert socket.rest() == []


def lengthened(data: bytes, size: int) -> bytes:
    """A packet made longer, its header right."""
    packet = IP(data + bytes(size - len(data)))
    packet.len = size
    del packet.chksum
    return bytes(packet)


@statement("F5/hdrincl-invalid")
def test_large_packet_of_a_raw_socket_that_has_no_valid_header(
    guest: Machine, near: Wire, calls: Calls
) -> None:
    """There is no cutting it: EINVAL, though a small one is sent as it is [K]."""
    send = by_raw(calls)
    packet = to_near(4000)
    for first in (0x55, 0x65, 0x05, 0x44, 0x40):
        assert send(bytes([first]) + packet[1:]) == "EINVAL", hex(first)
    assert left(guest, near) == []
    assert send(packet) == ""
    assert left(guest, near) == cut(packet)
