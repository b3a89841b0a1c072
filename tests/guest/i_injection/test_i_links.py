# SPDX-License-Identifier: GPL-2.0-only
"""I. Injection: what a packet that is given back still knows of its links (I2)."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Ether

from divert_reference.chains import Chains
from divert_reference.divert import built, left
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, PLACES, UDP_PORT, Place, Traffic, hop
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire

statement = pytest.mark.statement
needs = pytest.mark.needs
INPUT, INPUT_THROUGH, FORWARD, OUTPUT_THROUGH, OUTPUT = PLACES
through = pytest.mark.parametrize("place", PLACES[1:4], ids=lambda place: place.name)

PORT = 1234


@statement("I2/interface")
def test_given_back_it_has_the_interface_it_came_in_on(
    guest: Machine, far: Wire, calls: Calls, divert: Divert, chains: Chains
) -> None:
    """Though it is for the other one's address: the rules behind tell by which it came in."""
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", f"in:0.0.0.0:{UDP_PORT}")
    socket = divert(PORT)
    chains.append(
        f"input -p UDP -j DIVERT {PORT}", *(f"input -i {i} -p UDP" for i in ("eth1", "eth2"))
    )
    far.send(IP(src=FAR.host_ip, dst=NEAR.guest_ip, id=3) / UDP(dport=UDP_PORT) / b"came by far")
    taken = socket.take()
    assert taken.interface == FAR.guest_ip
    socket.reinject(taken)
    guest.barrier()
    assert calls.drain("receiver") == [b"came by far"]
    assert chains.counts("input") == [1, 0, 1]


@statement("I2/interface", "S5/primary")
@needs("aliases")
def test_interface_with_an_alias(
    guest: Machine, near: Wire, shell: Shell, calls: Calls, divert: Divert, chains: Chains
) -> None:
    """The primary address is told (S5), and any of them lets a packet in there."""
    shell.check("ifconfig eth1:0 192.0.2.50 netmask 255.255.255.0")
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", f"in:192.0.2.50:{UDP_PORT}")
    socket = divert(PORT)
    chains.append(f"input -i eth1 -p UDP -j DIVERT {PORT}", "input -i eth1 -p UDP")
    packet = IP(src=NEAR.host_ip, dst="192.0.2.50", id=3) / UDP(dport=UDP_PORT) / b"alias"
    near.send(packet)
    taken = socket.take()
    assert taken.interface == NEAR.guest_ip
    socket.reinject(taken)
    socket.inject(built(packet), "in:192.0.2.50:0")
    guest.barrier()
    assert calls.drain("receiver") == [b"alias"] * 2
    assert chains.counts("input") == [2, 2]


@statement("I2/interface", "S5/no-address")
def test_interface_without_an_address(
    guest: Machine, far: Wire, shell: Shell, divert: Divert, chains: Chains
) -> None:
    """Its packets come with 0, as those on their way out; the tag knows better."""
    shell.check("ifconfig eth2 0.0.0.0")
    socket = divert(PORT)
    chains.append(
        f"input -p UDP -j DIVERT {PORT}", "input -i eth2 -p UDP", "output -p UDP", "input -p UDP"
    )
    far.send(IP(src=FAR.host_ip, dst=FAR.guest_ip, id=3) / UDP(dport=UDP_PORT) / b"nowhere")
    taken = socket.take()
    assert taken.interface == "0.0.0.0"
    socket.reinject(taken)
    guest.wires[0].barrier()
    assert chains.counts("input") == [1, 1, 1]
    assert chains.counts("output") == [0]


@statement("I2/interface", "S5/no-address")
@needs("tunnels")
def test_interface_that_never_had_an_address(
    near: Wire, shell: Shell, divert: Divert, chains: Chains
) -> None:
    """2.2.12 knows nothing of IP about such a one; but the chains see what comes by it."""
    shell.check("ifconfig tunl0 up")
    socket = divert(PORT)
    chains.append(f"input -i tunl0 -j DIVERT {PORT}", "input -i tunl0")
    inner = IP(src=NEAR.host_ip, dst=FAR.host_ip, id=3, ttl=9) / UDP(dport=UDP_PORT) / b"inside"
    near.send(IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=1, ttl=9, proto=4) / inner)
    taken = socket.take()
    assert (taken.data, taken.interface) == (built(inner), "0.0.0.0")
    socket.reinject(taken)
    assert chains.counts("input") == [1, 1]


TO_ALL, TO_A_GROUP = "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01"


@statement("I2/type", "T4")
@pytest.mark.parametrize(
    "mac",
    [TO_ALL, pytest.param(TO_A_GROUP, marks=needs("multicast"))],
    ids=["broadcast", "multicast"],
)
def test_what_came_to_all_cards_is_neither_forwarded_nor_answered(
    mac: str, guest: Machine, near: Wire, far: Wire, divert: Divert, chains: Chains
) -> None:
    """Only the frame says so: the addresses in the packet are a host's."""
    socket = divert(PORT)
    chains.append(f"input -i {NEAR.interface} -j DIVERT {PORT}")
    onward = IP(src=NEAR.host_ip, dst=FAR.host_ip, id=1, ttl=9) / UDP(dport=9) / b"onward"
    syn = IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=2) / TCP(sport=9, dport=4001, flags="S")
    for packet in (onward, syn):
        near.send(bytes(Ether(src=NEAR.host_mac, dst=mac) / packet))
        taken = socket.take()
        assert taken.data == built(packet)
        socket.reinject(taken)
    assert left(guest, far) == left(guest, near) == []
    # The same packets in frames to this card.
    for packet in (onward, syn):
        near.send(packet)
        socket.reinject(socket.take())
    assert left(guest, far) == [hop(built(onward))]
    assert [IP(data).dst for data in left(guest, near)] == [NEAR.host_ip]
    assert socket.rest() == []


@statement("I2/type", "I2/stack")
@pytest.mark.parametrize("destination", ["192.0.2.255", "255.255.255.255"])
def test_broadcast_is_heard_as_without_the_rule(
    destination: str,
    guest: Machine,
    near: Wire,
    far: Wire,
    calls: Calls,
    divert: Divert,
    chains: Chains,
) -> None:
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", f"in:0.0.0.0:{UDP_PORT}")
    socket = divert(PORT)
    chains.append(f"input -i {NEAR.interface} -j DIVERT {PORT}")
    near.send(IP(src=NEAR.host_ip, dst=destination, id=1) / UDP(dport=UDP_PORT) / b"to all")
    near.send(IP(src=NEAR.host_ip, dst=destination, id=2) / UDP(dport=4777) / b"nobody there")
    for _ in range(2):
        socket.reinject(socket.take())
    assert left(guest, near) == left(guest, far) == [], "no error is sent for a broadcast"
    assert calls.drain("receiver") == [b"to all"]


SMALL_MTU = 600


@statement("I2/fragmented", "I2/table-forwarded", "I2/bytes")
@through
def test_fragmented_to_the_next_link_as_without_the_rule(
    place: Place,
    guest: Machine,
    near: Wire,
    far: Wire,
    shell: Shell,
    divert: Divert,
    chains: Chains,
) -> None:
    shell.check(f"ifconfig eth2 mtu {SMALL_MTU} && echo 0 >/proc/sys/net/ipv4/route/flush")
    header = IP(src=NEAR.host_ip, dst=FAR.host_ip, id=0x77, ttl=9)
    header.options = b"\x94\x04\0\0\x07\x07\x08\1\2\3\4\0"  # one to be copied, one not
    packets = [IP(built(header / UDP(dport=9) / bytes(length - 40))) for length in (601, 1500)]
    near.send_all(packets)
    without = left(guest, far)
    assert len(without) == 2 + 3
    socket = divert(PORT)
    chains.append(place.rule(f"DIVERT {PORT}"))
    for packet in packets:
        near.send(packet)
        taken = socket.take()
        assert len(taken.data) == packet.len
        socket.reinject(taken)
    assert left(guest, far) == without
    assert socket.rest() == []


@statement("I2/dont-fragment", "I2/bytes")
def test_too_large_for_the_next_link(
    guest: Machine,
    near: Wire,
    far: Wire,
    shell: Shell,
    divert: Divert,
    chains: Chains,
    icmp_errors: None,
) -> None:
    """Its sender is told the next link's MTU, once, as without the rule."""
    shell.check(f"ifconfig eth2 mtu {SMALL_MTU} && echo 0 >/proc/sys/net/ipv4/route/flush")
    packet = IP(src=NEAR.host_ip, dst=FAR.host_ip, id=7, ttl=9, flags="DF") / UDP() / bytes(700)
    near.send(packet)
    (without,) = (IP(data) for data in left(guest, near))
    assert (without[ICMP].code, without[ICMP].nexthopmtu) == (4, SMALL_MTU)
    socket = divert(PORT)
    chains.append(INPUT_THROUGH.rule(f"DIVERT {PORT}"))
    near.send(packet)
    socket.reinject(socket.take())
    (told,) = (IP(data) for data in left(guest, near))
    assert bytes(told[ICMP]) == bytes(without[ICMP])
    assert left(guest, far) == []


@statement("I2/dont-fragment", "I2/changed", "I6/large")
@pytest.mark.parametrize(
    ("place", "error"), [(FORWARD, ""), (OUTPUT_THROUGH, "EMSGSIZE")], ids=["forward", "output"]
)
def test_grown_too_large_for_the_next_link(
    place: Place,
    error: str,
    guest: Machine,
    near: Wire,
    far: Wire,
    shell: Shell,
    divert: Divert,
    calls: Calls,
    chains: Chains,
    icmp_errors: None,
) -> None:
    shell.check(f"ifconfig eth2 mtu {SMALL_MTU} && echo 0 >/proc/sys/net/ipv4/route/flush")
    socket = divert(PORT)
    chains.append(place.rule(f"DIVERT {PORT}"))
    packet = IP(src=NEAR.host_ip, dst=FAR.host_ip, id=7, ttl=9, flags="DF") / UDP() / bytes(500)
    near.send(packet)
    taken = socket.take()
    # As large as will do, and a byte more.
    socket.reinject(taken, taken.data + bytes(SMALL_MTU - len(taken.data)))
    assert [len(data) for data in left(guest, far)] == [SMALL_MTU]
    grown = taken.data + bytes(SMALL_MTU + 1 - len(taken.data))
    row = calls("sendto", socket.name, f"hex:{grown.hex()}", taken.address)
    assert row.get("error", "") == error
    (told,) = (IP(data) for data in left(guest, near))
    assert (told[ICMP].code, told[ICMP].nexthopmtu) == (4, SMALL_MTU)
    assert left(guest, far) == []


def enlarged(data: bytes, length: int, flags: str) -> bytes:
    """A packet of this length with these flags, its header right."""
    header = IP(data[:20])
    header.flags = flags
    del header.len, header.chksum
    return built(header / data[20:].ljust(length - 20, b"x"))


@statement("I2/changed", "I2/fragmented", "I2/table-output")
def test_local_packet_is_fragmented_to_what_its_path_takes(
    guest: Machine, near: Wire, calls: Calls, divert: Divert, chains: Chains
) -> None:
    """A router further on has said that only 1,000 bytes fit: as for this host's TCP."""
    calls.ok("socket", "udp", "inet", "dgram", 17)
    calls.ok("sendto", "udp", "zero:900", f"in:{NEAR.host_ip}:9")
    (sent,) = left(guest, near)
    quoted = enlarged(sent, 1500, "DF")[:28]
    error = ICMP(type=3, code=4, nexthopmtu=1000)
    near.send(IP(src=NEAR.host_ip, dst=NEAR.guest_ip) / error / quoted)
    socket = divert(PORT)
    chains.append(OUTPUT.rule(f"DIVERT {PORT}"))
    calls.ok("sendto", "udp", "zero:100", f"in:{NEAR.host_ip}:9")
    taken = socket.take()
    grown = enlarged(taken.data, 1200, "")
    socket.reinject(taken, grown)
    parts = left(guest, near)
    assert [len(part) for part in parts] == [996, 224]
    assert b"".join(part[20:] for part in parts) == grown[20:]


@statement("I2/dont-fragment", "I2/changed", "I6/large")
def test_local_packet_with_dont_fragment_that_grew(
    guest: Machine, near: Wire, calls: Calls, divert: Divert, chains: Chains, icmp_errors: None
) -> None:
    """Its sender is this host, which is told as a router would tell it: TCP waits for that."""
    calls.ok("socket", "udp", "inet", "dgram", 17)
    calls.ok("socket", "told", "inet", "raw", 1)
    calls.ok("bind", "told", f"in:{NEAR.guest_ip}:0")
    socket = divert(PORT)
    chains.append(OUTPUT.rule(f"DIVERT {PORT}"), f"output -i lo -p ICMP -j DIVERT {PORT}")
    calls.ok("sendto", "udp", "zero:100", f"in:{NEAR.host_ip}:9")
    taken = socket.take()
    grown = enlarged(taken.data, 1501, "DF")
    assert socket.refused(grown, taken.address) == "EMSGSIZE"
    assert left(guest, near) == []
    error = socket.take()
    socket.reinject(error)
    assert calls.ok("poll", "told", "in", 2000)["result"] == 1
    (told,) = calls.drain("told")
    assert (told[20:22], told[26:28]) == (b"\x03\x04", (1500).to_bytes(2, "big"))
    assert told[28:56] == grown[:28], "it quotes the packet"
    socket.reinject(taken)
    assert left(guest, near) == [taken.data], "as it was it leaves"


@statement("I2/changed", "I2/table-output")
def test_local_packet_that_grew_is_fragmented(
    guest: Machine, near: Wire, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    """Without always-defragment too: the limit is not that of an untagged packet (F3)."""
    socket = divert(PORT)
    chains.append(OUTPUT.rule(f"DIVERT {PORT}"))
    traffic.send("out", "udp")
    taken = socket.take()
    plain = IP(taken.data)
    plain.flags = 0
    grown = built(IP(bytes(plain)[:20]) / (bytes(plain)[20:] + bytes(2000)))
    socket.reinject(taken, grown)
    first, second = (IP(data) for data in left(guest, near))
    assert (first.flags, first.frag, second.flags, second.frag) == ("MF", 0, 0, 185)
    assert bytes(first.payload) + bytes(second.payload) == grown[20:]
    assert socket.rest() == []
