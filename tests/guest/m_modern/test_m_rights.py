# SPDX-License-Identifier: GPL-2.0-only
"""M12. CAP_NET_RAW alone: what may be injected, and what may not."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers.inet import IP, UDP

from divert_reference.chains import Chains
from divert_reference.divert import DivertSocket, Taken, built, left
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, PLACES, UDP_PORT, Place, hop
from harness.guest.machine import Machine
from harness.network.wire import Wire
from tests.guest.support.kept import Keeper

statement = pytest.mark.statement
# Where a packet passes by that is forwarded, and is no longer on input.
places = pytest.mark.parametrize(
    "place",
    [place for place in PLACES if place.path == "through" and place.chain != "input"],
    ids=lambda place: place.name,
)

PORT = 1234
INBOUND = f"in:{NEAR.guest_ip}:0"


def datagram(body: bytes = b"as it came", **fields: Any) -> bytes:
    """A datagram from wire 0's host to wire 1's, if nothing else is said."""
    header = IP(**{"src": NEAR.host_ip, "dst": FAR.host_ip, "id": 0x77, "ttl": 9, **fields})
    return built(header / UDP(sport=53, dport=UDP_PORT) / body)


@pytest.fixture
def receiver(calls: Calls) -> None:
    """A UDP socket `receiver`."""
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", f"in:0.0.0.0:{UDP_PORT}")


@pytest.fixture
def poor(calls: Calls, receiver: None) -> DivertSocket:
    """A socket that was made without CAP_NET_ADMIN."""
    calls.ok("capdrop", "net_admin")
    return DivertSocket(calls, PORT)


def changed(taken: Taken, **fields: Any) -> bytes:
    """The packet with other fields, and right sums."""
    packet = IP(taken.data)
    for name, value in fields.items():
        setattr(packet, name, value)
    del packet.chksum, packet[UDP].chksum
    return bytes(packet)


@statement("M12/received")
@pytest.mark.parametrize("to", [NEAR.guest_ip, FAR.host_ip], ids=["here", "on"])
def test_nothing_is_injected_as_received(
    to: str, poor: DivertSocket, guest: Machine, calls: Calls, near: Wire, far: Wire
) -> None:
    for address in (INBOUND, f"in:{FAR.guest_ip}:0", "in:127.0.0.1:0", f"in:{NEAR.host_ip}:0"):
        assert poor.refused(datagram(src="8.8.8.8", dst=to), address) == "EPERM"
    assert left(guest, far) == []
    assert calls.drain("receiver") == []
    near.send(IP(datagram(src=NEAR.host_ip, dst=FAR.host_ip)))
    assert len(left(guest, far)) == 1, "what comes by the wire is seen there"


@statement("M12/outbound")
def test_what_is_outbound_is_injected(poor: DivertSocket, guest: Machine, far: Wire) -> None:
    packet = datagram(src="8.8.8.8")
    for address in ("none", "in:0.0.0.0:0", "in:0.0.0.0:77"):
        poor.inject(packet, address)
    assert left(guest, far) == [packet] * 3


@statement("M12/given-back", "M12/received")
def test_what_was_taken_on_input(
    poor: DivertSocket, guest: Machine, chains: Chains, near: Wire, far: Wire
) -> None:
    """Its data may be changed, also ports, and it may go on more than once; not its ends."""
    chains.append(f"input -i {NEAR.interface} -p UDP -j DIVERT {PORT}")
    near.send(IP(datagram()))
    taken = poor.take()
    assert taken.interface == NEAR.guest_ip
    for fields in ({"src": "8.8.8.8"}, {"dst": NEAR.guest_ip}, {"dst": NEAR.host_ip}):
        assert poor.refused(changed(taken, **fields), taken.address) == "EPERM"
    poor.reinject(taken)
    other = changed(taken, ttl=5, id=3)
    poor.reinject(taken, other)
    assert left(guest, far) == [hop(datagram()), hop(other)]
    # Each bit of the tag counts, and the address.
    family, rest = taken.address[4:8], bytes.fromhex(taken.address[8:])
    for bit in range(16):
        wrong = bytearray(rest)
        wrong[bit // 8] ^= 1 << bit % 8
        assert poor.refused(taken.data, f"hex:{family}{wrong.hex()}") == "EPERM"


@statement("M12/outbound")
@places
def test_what_was_taken_elsewhere(
    place: Place, poor: DivertSocket, guest: Machine, chains: Chains, near: Wire, far: Wire
) -> None:
    chains.append(place.rule(f"DIVERT {PORT}"))
    near.send(IP(datagram()))
    taken = poor.take()
    poor.reinject(taken, changed(taken, src="8.8.8.8"))
    assert [IP(data).src for data in left(guest, far)] == ["8.8.8.8"]


@statement("M12/given-up")
def test_what_is_given_up_later(
    calls: Calls, receiver: None, guest: Machine, chains: Chains, near: Wire, far: Wire
) -> None:
    chains.append(f"input -i {NEAR.interface} -p UDP -j DIVERT {PORT}")
    rich = DivertSocket(calls, PORT)
    calls.ok("capdrop", "all")
    rich.inject(datagram(dst=FAR.host_ip, src="8.8.8.8"), INBOUND)
    near.send(IP(datagram()))
    taken = rich.take()
    rich.reinject(taken, changed(taken, src="8.8.4.4"))
    assert [IP(data).src for data in left(guest, far)] == ["8.8.8.8", "8.8.4.4"]


@statement("M12/given-back", "M12/received")
def test_what_is_kept(
    calls: Calls, receiver: None, guest: Machine, chains: Chains, near: Wire, far: Wire
) -> None:
    calls.ok("capdrop", "net_admin")
    keeper = Keeper(calls, PORT)
    chains.append(f"input -i {NEAR.interface} -p UDP -j DIVERT {PORT}")
    for number in range(3):
        near.send(IP(datagram(id=number + 1)))
    kept = [keeper.take() for _ in range(3)]
    assert keeper.refused(changed(kept[0], src="8.8.8.8"), kept[0].address) == "EPERM"
    other = changed(kept[0], ttl=7)
    keeper.reinject(kept[0], other)
    for taken in kept[1:]:
        keeper.go_on(taken)
    assert left(guest, far) == [hop(other), hop(kept[1].data), hop(kept[2].data)]
