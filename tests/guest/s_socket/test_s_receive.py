# SPDX-License-Identifier: GPL-2.0-only
"""S5, S6. What recvfrom() tells besides the packet: an address, and the tag."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP

from divert_reference.chains import Chains
from divert_reference.fixtures import Listen
from divert_reference.programs import Calls
from divert_reference.traffic import (
    FAR,
    NEAR,
    PLACES,
    PROTOCOLS,
    Place,
    Traffic,
    header_is_right,
    hop,
)
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.sockets import bound, hexed, ipv4, received

statement = pytest.mark.statement
needs = pytest.mark.needs

PORT = 1234


@statement("S5/whole", "S5/interface", "S5/outbound", "S7/input", "S7/forwarded", "R2/hooks")
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_whole_packet_and_the_address_it_came_by(
    place: Place, listen: Listen, chains: Chains, traffic: Traffic
) -> None:
    listener = listen(PORT)
    chains.append(place.rule(f"DIVERT {PORT}"))
    for protocol in PROTOCOLS:
        flow = traffic.send(place.path, protocol)
        seen = listener.next()
        assert seen.interface == place.interface, protocol
        assert header_is_right(seen.data), protocol
        if place.path == "out":
            assert (seen.packet.src, seen.packet.dst) == (NEAR.guest_ip, NEAR.host_ip)
            assert flow.body in seen.data, protocol
        else:
            assert seen.data == flow.at(place.chain), protocol


@statement("S5/interface")
def test_address_is_that_of_the_receiving_interface(
    near: Wire, far: Wire, listen: Listen, chains: Chains
) -> None:
    listener = listen(PORT)
    chains.append(f"input -s 0/0 -p ICMP -j DIVERT {PORT}")
    seen = []
    for wire, link in ((near, NEAR), (far, FAR), (near, NEAR)):
        # To the guest's other address: it is the interface that counts, not the destination.
        other = FAR if link is NEAR else NEAR
        wire.send(IP(src=link.host_ip, dst=other.guest_ip, id=1) / ICMP())
        seen.append(listener.next().interface)
    assert seen == [NEAR.guest_ip, FAR.guest_ip, NEAR.guest_ip]


@statement("S5/primary")
@needs("aliases")
def test_address_is_the_primary_one_for_a_packet_to_an_alias(
    guest: Machine, shell: Shell, calls: Calls, near: Wire, chains: Chains
) -> None:
    """An alias in the same network, and one in a network of its own."""
    aliases = ("192.0.2.9", "203.0.113.1")
    for number, address in enumerate(aliases):
        shell.check(f"ifconfig eth1:{number} {address} netmask 255.255.255.0 up")
    bound(calls, "d", PORT)
    chains.append(f"input -i {NEAR.interface} -j DIVERT {PORT}")
    for address in (*aliases, NEAR.guest_ip):
        packet = ipv4(dst=address)
        near.send(IP(packet))
        guest.barrier()
        row = calls.ok("recvfrom", "d", 65535, "dontwait")
        assert (received(row), row["from"]["ip"]) == (packet, NEAR.guest_ip)


@statement("S5/outbound", "S5/interface")
def test_loopback_packet_is_outbound_and_then_received(
    listen: Listen, calls: Calls, chains: Chains
) -> None:
    out, back = listen(PORT, "--reinject"), listen(PORT + 1, "--reinject")
    # Not for the answer by ICMP: nobody listens on UDP's port.
    chains.append(
        f"output -i lo -p UDP -j DIVERT {PORT}", f"input -i lo -p UDP -j DIVERT {PORT + 1}"
    )
    calls.ok("socket", "u", "inet", "dgram", 0)
    calls.ok("sendto", "u", "text:to-myself", "in:127.0.0.1:4000")
    first, second = out.next(), back.next()
    assert (first.interface, second.interface) == ("0.0.0.0", "127.0.0.1")
    assert first.data == second.data
    assert len(out.finish()) == len(back.finish()) == 1


@statement("S5/no-address", "S5/outbound", "S6/tag")
def test_interface_without_an_address_gives_0_and_the_tag_knows(
    shell: Shell, far: Wire, listen: Listen, chains: Chains
) -> None:
    """Given back, it goes on in: the input chain's next rule takes it, not the output's."""
    first, second, outbound = listen(PORT, "--reinject"), listen(PORT + 1), listen(PORT + 2)
    chains.append(
        f"input -i {FAR.interface} -j DIVERT {PORT}",
        f"input -i {FAR.interface} -j DIVERT {PORT + 1}",
        f"output -p 99 -j DIVERT {PORT + 2}",
    )
    shell.check(f"ifconfig {FAR.interface} 0.0.0.0")
    packet = ipv4(src=FAR.host_ip)
    far.send(IP(packet))
    for listener in (first, second):
        seen = listener.next()
        assert (seen.data, seen.interface) == (packet, "0.0.0.0")
        assert int(seen.tag, 16) != 0
    assert outbound.finish() == []


@statement("S6/tag", "S6/zeroed", "S6/invalid", "I2/table-forward", "I3/inbound")
def test_tag_tells_where_a_packet_was_taken(
    guest: Machine, far: Wire, calls: Calls, chains: Chains, traffic: Traffic
) -> None:
    """Given back with its tag, a forwarded packet goes on forward; without, in from the wire.

    The TTL shows it: only a packet that comes in again is forwarded, and lowered, once more.
    """
    bound(calls, "d", PORT)
    chains.append(f"forward -i {FAR.interface} -j DIVERT {PORT}")
    flow = traffic.send("through", "udp")
    guest.barrier()
    row = calls.ok("recvfrom", "d", 65535, "dontwait")
    taken = bytes.fromhex(row["hex"])
    assert taken == hop(flow.sent)
    # Other sockets come, as they do, and tags that were given out stay valid.
    bound(calls, "later", PORT + 1)
    address = row["from"]["hex"]
    assert address[:4] == "0200"
    assert int(address[4:8], 16) | int(address[16:32], 16) != 0, "there is no tag"
    zeroed = f"in:{row['from']['ip']}:0"
    rubbish = address[:16] + f"{int(address[16:32], 16) ^ 1:016x}"
    for name, back, lowered in (
        ("tagged", f"hex:{address}", 0),
        ("zeroed", zeroed, 1),
        ("another port", f"in:{row['from']['ip']}:4711:{address[16:32]}", 1),
        ("a bit flipped", f"hex:{rubbish}", 1),
        ("rubbish", f"in:{row['from']['ip']}:65535:ffffffffffffffff", 1),
    ):
        far.clear()
        calls.ok("sendto", "d", f"hex:{taken.hex()}", back)
        expected = taken if not lowered else hop(taken)
        assert traffic.arrived([flow]) == [expected], name


@statement("S6/leftovers")
def test_rubbish_behind_the_address_is_no_tag(
    guest: Machine, calls: Calls, near: Wire, chains: Chains
) -> None:
    """A program that fills in only sin_addr, on a stack full of leftovers, injects outbound.

    It leads past no rule either: FreeBSD takes the port for a rule's number, and goes on behind it.
    """
    bound(calls, "d", PORT)
    packet = IP(bytes(IP(src=NEAR.guest_ip, dst=NEAR.host_ip, id=77) / ICMP() / b"leftovers"))
    rubbish = [
        f"in:0.0.0.0:{port}:{zeros}"
        for port in (1, 2, 200, 4711, 65535)
        for zeros in ("ffffffffffffffff", "0102030405060708", "0000000000000001")
    ]
    for address in rubbish:
        near.clear()
        calls.ok("sendto", "d", f"hex:{bytes(packet).hex()}", address)
        guest.barrier()
        assert [bytes(frame[IP]) for frame in near.received(lambda f: f.haslayer(ICMP))] == [
            bytes(packet)
        ]
    chains.append(f"output -i {NEAR.interface} -p ICMP -j DENY")
    for address in rubbish:
        assert calls.error("sendto", "d", f"hex:{bytes(packet).hex()}", address) == "EPERM"


@statement("S6/invalid")
def test_tag_with_any_bit_changed_is_none(
    guest: Machine, far: Wire, calls: Calls, chains: Chains, traffic: Traffic
) -> None:
    """Each of its 80 bits; and the whole of it with the address of another interface."""
    bound(calls, "d", PORT)
    chains.append(f"forward -i {FAR.interface} -j DIVERT {PORT}")
    flow = traffic.send("through", "udp")
    guest.barrier()
    row = calls.ok("recvfrom", "d", 65535, "dontwait")
    taken, address = received(row), bytes.fromhex(row["from"]["hex"])
    changed = [
        (int.from_bytes(address, "big") ^ 1 << bit).to_bytes(16, "big")
        for bit in (*range(64), *range(96, 112))
    ]
    changed.append(bytes(IP(dst=FAR.guest_ip))[16:20].join((address[:4], address[8:])))
    for other in changed:
        calls.ok("sendto", "d", hexed(taken), hexed(other))
    # Received again, it is forwarded again; and given back as it was, it goes on from where it was.
    calls.ok("sendto", "d", hexed(taken), hexed(address))
    assert traffic.arrived([flow]) == [hop(taken)] * len(changed) + [taken]
