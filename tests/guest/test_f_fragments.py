# SPDX-License-Identifier: GPL-2.0-only
"""F. Fragments."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, UDP, defragment, fragment

from harness.machine import Machine
from harness.shell import Shell
from harness.wire import Wire
from tests.guest.chains import Chains
from tests.guest.conftest import Listen
from tests.guest.programs import Calls
from tests.guest.traffic import FAR, NEAR, hop, ip_packets

statement = pytest.mark.statement

PORT = 1234
# What fits behind a header of 20 bytes into 1,500, in units of 8.
ROOM = 1480


def datagram(destination: str, size: int, number: int = 0x6000) -> bytes:
    """A whole UDP packet of `size` bytes, header included, with a body that tells its places."""
    body = b"".join(n.to_bytes(4, "big") for n in range(size // 4 + 1))[: size - 28]
    packet = IP(src=NEAR.host_ip, dst=destination, id=number, ttl=50)
    return bytes(IP(bytes(packet / UDP(sport=3000, dport=4000) / body)))


def cut(whole: bytes) -> list[bytes]:
    """Its fragments, as a host on an Ethernet sends them."""
    return [bytes(IP(bytes(each))) for each in fragment(IP(whole), fragsize=ROOM)]


def glue(packets: list[bytes]) -> list[bytes]:
    """What a host makes of these fragments."""
    return [bytes(IP(bytes(each))) for each in defragment([IP(data) for data in packets])]


@pytest.fixture
def receiver(shell: Shell, calls: Calls) -> Calls:
    """A UDP socket `receiver` on port 4000, with room for the largest datagram."""
    # 2.2.12 lets a socket ask for 32,767 bytes and gives twice that: less than one such buffer.
    shell.run("echo 262144 > /proc/sys/net/core/rmem_max")
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("setsockopt", "receiver", "socket", "rcvbuf", "int:262144")
    calls.ok("bind", "receiver", "in:0.0.0.0:4000")
    return calls


@statement("F1", "I2/bytes", "T4")
def test_input_gets_fragments_as_on_the_wire(
    guest: Machine, near: Wire, receiver: Calls, listen: Listen, chains: Chains
) -> None:
    listener = listen(PORT, "--reinject")
    chains.append(f"input -i {NEAR.interface} -j DIVERT {PORT}")
    whole = datagram(NEAR.guest_ip, 4000)
    fragments = cut(whole)
    assert len(fragments) == 3
    for each in fragments:
        near.send(IP(each))
    assert [seen.data for seen in listener.take(3)] == fragments
    guest.barrier()
    assert receiver.drain("receiver") == [whole[28:]], "they reassemble at the destination"
    assert len(listener.finish()) == 3


@statement("F1", "I1")
def test_fragment_that_is_kept_back_keeps_the_datagram(
    guest: Machine, near: Wire, receiver: Calls, listen: Listen, chains: Chains
) -> None:
    listener = listen(PORT)
    chains.append(f"input -i {NEAR.interface} -f -j DIVERT {PORT}")
    for each in cut(datagram(NEAR.guest_ip, 4000)):
        near.send(IP(each))
    listener.take(2)
    marker = datagram(NEAR.guest_ip, 100, 0x6001)
    near.send(IP(marker))
    guest.barrier()
    assert receiver.drain("receiver") == [marker[28:]]


@statement("F1", "I2/bytes")
@pytest.mark.parametrize("chain", ["input", "forward", "output"])
def test_forwarded_fragments_stay_as_they_are(
    guest: Machine, near: Wire, far: Wire, listen: Listen, chains: Chains, chain: str
) -> None:
    listener = listen(PORT, "--reinject")
    interface = NEAR.interface if chain == "input" else FAR.interface
    chains.append(f"{chain} -i {interface} -j DIVERT {PORT}")
    fragments = cut(datagram(FAR.host_ip, 4000))
    for each in fragments:
        near.send(IP(each))
    forwarded = [hop(each) for each in fragments]
    taken = [seen.data for seen in listener.take(3)]
    assert taken == (fragments if chain == "input" else forwarded)
    guest.barrier()
    assert ip_packets(far.captured()) == forwarded
    assert len(listener.finish()) == 3


# 65,535 is the largest packet there is; 1,501 just does not fit.
SIZES = (1501, 4000, 65535)


@statement("F4", "I2/bytes", "T4")
@pytest.mark.parametrize("size", SIZES)
def test_input_gets_whole_datagrams(
    guest: Machine, near: Wire, receiver: Calls, listen: Listen, chains: Chains, size: int
) -> None:
    listener = listen(PORT, "--reinject")
    chains.append(f"input -i {NEAR.interface} -j DIVERT {PORT}")
    whole = datagram(NEAR.guest_ip, size)
    for each in cut(whole):
        near.send(IP(each))
    seen = listener.next()
    assert len(seen.data) == size
    assert seen.data == whole
    assert seen.reinjected == size
    guest.barrier()
    received = receiver.drain("receiver")
    assert [len(data) for data in received] == [size - 28]
    assert received == [whole[28:]]
    assert len(listener.finish()) == 1


@statement("F4")
def test_datagram_on_input_that_is_not_reinjected_is_gone(
    guest: Machine, near: Wire, receiver: Calls, listen: Listen, chains: Chains
) -> None:
    listener = listen(PORT)
    chains.append(f"input -i {NEAR.interface} -p UDP -d 0/0 4000 -j DIVERT {PORT}")
    for each in cut(datagram(NEAR.guest_ip, 4000)):
        near.send(IP(each))
    assert len(listener.next().data) == 4000
    guest.barrier()
    assert receiver.drain("receiver") == []


@statement("F4", "I2/bytes")
@pytest.mark.parametrize("size", SIZES)
def test_whole_on_input_and_forwarded_in_fragments(
    guest: Machine, near: Wire, far: Wire, listen: Listen, chains: Chains, size: int
) -> None:
    listener = listen(PORT, "--reinject")
    chains.append(f"input -i {NEAR.interface} -j DIVERT {PORT}")
    whole = datagram(FAR.host_ip, size)
    for each in cut(whole):
        near.send(IP(each))
    assert listener.next().data == whole
    guest.barrier()
    left = ip_packets(far.captured())
    assert max(map(len, left)) <= 1500
    assert glue(left) == [hop(whole)]
    assert len(listener.finish()) == 1


@statement("F4")
def test_echo_of_the_largest_packet(
    guest: Machine, near: Wire, listen: Listen, chains: Chains
) -> None:
    """The own stack answers a ping of 65,535 bytes that went through a divert socket."""
    listener = listen(PORT, "--reinject")
    chains.append(f"input -i {NEAR.interface} -j DIVERT {PORT}")
    body = bytes(range(256)) * 255 + bytes(65535 - 28 - 65280)
    packet: Any = IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=0x6100, ttl=64)
    whole = bytes(IP(bytes(packet / ICMP(id=1, seq=2) / body)))
    assert len(whole) == 65535
    for each in cut(whole):
        near.send(IP(each))
    assert listener.next().data == whole
    guest.barrier()
    (reply,) = glue(ip_packets(near.captured()))
    assert len(reply) == 65535
    assert reply[28:] == body
    assert reply[20] == 0, "an echo reply"
