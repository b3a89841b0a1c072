# SPDX-License-Identifier: GPL-2.0-only
"""I. Injection: packets that were never taken, and what is filled in (I3, I4, I5, I8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from divert_reference.chains import Chains
from divert_reference.divert import Injector, built, left
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, PLACES, hop
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.datagrams import statistics

statement = pytest.mark.statement
needs = pytest.mark.needs
places = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)

PORT = 1234


@statement("I3/zero", "I3/none", "I3/null")
@pytest.mark.parametrize(
    "address",
    ["in:0.0.0.0:0", "none", "null:16", "null:8"],
    ids=["zero", "none", "null", "null-short"],
)
def test_untagged_without_address_goes_out(
    inject: Injector, near: Wire, far: Wire, address: str
) -> None:
    packet = built(IP(src=NEAR.guest_ip, dst=NEAR.host_ip, id=11, ttl=9) / UDP() / b"out")
    inject(packet, address)
    assert inject.left(near) == [packet], "routed by its destination, TTL as it was"
    assert inject.left(far) == []
    packet = built(IP(src=FAR.guest_ip, dst=FAR.host_ip, id=12, ttl=9) / UDP() / b"out")
    inject(packet, address)
    assert inject.left(far) == [packet]
    assert inject.left(near) == []


@statement("I3/none")
def test_send_and_write_go_out(inject: Injector, calls: Calls, near: Wire) -> None:
    for call in ("send", "write"):
        packet = built(IP(src=NEAR.guest_ip, dst=NEAR.host_ip, id=13) / UDP() / call.encode())
        calls.ok(call, inject.socket.name, f"hex:{packet.hex()}")
        assert inject.left(near) == [packet]


@statement("I3/inbound")
@pytest.mark.parametrize("link", [NEAR, FAR], ids=["eth1", "eth2"])
def test_untagged_with_an_interface_comes_in_there(
    inject: Injector, calls: Calls, chains: Chains, near: Wire, far: Wire, link: Any
) -> None:
    chains.append(f"input -i {NEAR.interface} -p UDP", f"input -i {FAR.interface} -p UDP")
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", "in:0.0.0.0:4000")
    packet = IP(src="192.0.2.200", dst=NEAR.guest_ip, id=14) / UDP(dport=4000) / b"came in"
    inject(built(packet), f"in:{link.guest_ip}:0")
    assert calls.ok("poll", "receiver", "in", 2000)["result"] == 1
    row = calls.ok("recvfrom", "receiver", 100)
    assert bytes.fromhex(row["hex"]) == b"came in"
    assert row["from"]["ip"] == "192.0.2.200"
    assert chains.counts("input") == ([1, 0] if link is NEAR else [0, 1])
    assert inject.left(near) == inject.left(far) == []
    for wire in (near, far):
        packet = built(IP(src=wire.guest_ip, dst=wire.host_ip, id=14) / UDP() / b"leaves")
        inject(packet, "none")
        assert inject.left(wire) == [packet], "what is for a wire is seen there"


@statement("I3/martian")
def test_inbound_with_a_source_of_this_host_is_dropped(
    inject: Injector, calls: Calls, guest: Machine
) -> None:
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", "in:0.0.0.0:4000")
    for source in (NEAR.guest_ip, FAR.guest_ip):
        packet = IP(src=source, dst=NEAR.guest_ip, id=15) / UDP(dport=4000) / b"martian"
        inject(built(packet), f"in:{NEAR.guest_ip}:0")
    # As the wire's: and what is not this host's gets through behind it.
    packet = IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=15) / UDP(dport=4000) / b"marker"
    inject(built(packet), f"in:{NEAR.guest_ip}:0")
    guest.barrier()
    assert calls.drain("receiver") == [b"marker"]


@statement("I4/any", "I3/inbound")
@pytest.mark.parametrize("link", [NEAR, FAR], ids=["eth1", "eth2"])
def test_forwarded_looking_packet_with_any_local_interface(
    inject: Injector, near: Wire, far: Wire, link: Any
) -> None:
    packet = built(IP(src=NEAR.host_ip, dst=FAR.host_ip, id=16, ttl=33) / UDP() / b"through")
    inject(packet, f"in:{link.guest_ip}:0")
    assert inject.left(far) == [hop(packet)], "forwarded, its TTL lowered"
    assert inject.left(near) == []


@statement("I3/table-outbound", "I3/zero", "R6/disjoint")
def test_outbound_meets_the_output_chain_from_its_head(
    inject: Injector, far: Wire, divert: Divert, chains: Chains
) -> None:
    """Rules count it, another port's takes it, and no rule of the other chains sees it."""
    other = divert(PORT + 1)
    chains.append(
        f"output -s {NEAR.host_ip}",
        f"output -s {NEAR.host_ip} -j DIVERT {PORT + 1}",
        f"input -s {NEAR.host_ip}",
        f"forward -s {NEAR.host_ip}",
    )
    packet = built(IP(src=NEAR.host_ip, dst=FAR.host_ip, id=31, ttl=7) / UDP() / b"head")
    inject(packet, "in:0.0.0.0:0")
    taken = other.take()
    assert (taken.data, taken.interface) == (packet, "0.0.0.0")
    other.reinject(taken)
    assert inject.left(far) == [packet]
    assert [chains.counts(name) for name in ("output", "input", "forward")] == [[1, 1], [0], [0]]


@statement("I3/table-outbound", "I6/deny")
def test_outbound_meets_a_port_where_nobody_listens(
    inject: Injector, far: Wire, chains: Chains, expected: Callable[[str], str]
) -> None:
    """As any local sender: DENY's error without pass-through, and with it no difference."""
    chains.append(f"output -s {NEAR.host_ip} -j DIVERT {PORT + 1}")
    packet = built(IP(src=NEAR.host_ip, dst=FAR.host_ip, id=34, ttl=7) / UDP() / b"nobody")
    if expected("no-listener") == "passes":
        inject(packet, "none")
    else:
        assert inject.socket.refused(packet) == "EPERM"
    assert len(inject.left(far)) == {"passes": 1, "dropped": 0}[expected("no-listener")]
    chains.flush()
    inject(packet, "none")
    assert inject.left(far) == [packet], "but for the rule it leaves"


@statement("I3/table-inbound", "I3/inbound", "R6/disjoint")
@pytest.mark.parametrize("link", [NEAR, FAR], ids=["eth1", "eth2"])
def test_inbound_meets_the_input_chain_from_its_head(
    inject: Injector, far: Wire, divert: Divert, chains: Chains, link: Any
) -> None:
    other = divert(PORT + 1)
    chains.append(
        f"input -i {link.interface} -s {NEAR.host_ip}",
        f"input -i {link.interface} -s {NEAR.host_ip} -j DIVERT {PORT + 1}",
        f"forward -s {NEAR.host_ip}",
        f"output -s {NEAR.host_ip}",
    )
    packet = built(IP(src=NEAR.host_ip, dst=FAR.host_ip, id=32, ttl=7) / UDP() / b"head")
    inject(packet, f"in:{link.guest_ip}:0")
    taken = other.take()
    assert (taken.data, taken.interface) == (packet, link.guest_ip)
    other.reinject(taken)
    assert inject.left(far) == [hop(packet)], "routed by its destination"
    assert [chains.counts(name) for name in ("input", "forward", "output")] == [[1, 1], [1], [1]]


@statement("I3/table-inbound", "I3/inbound")
def test_inbound_broadcast_is_no_packet_to_this_host_alone(
    inject: Injector, calls: Calls, near: Wire
) -> None:
    """UDP hears it. TCP, which answers a SYN to a closed port, does not answer one to all."""
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", "in:0.0.0.0:4000")
    to_all, to_one = "192.0.2.255", NEAR.guest_ip
    for number, destination in enumerate((to_all, to_one)):
        header = IP(src=NEAR.host_ip, dst=destination, id=40 + number)
        inject(built(header / UDP(dport=4000) / destination.encode()), f"in:{NEAR.guest_ip}:0")
        syn = TCP(sport=4100 + number, dport=4001, flags="S")
        inject(built(header / syn), f"in:{NEAR.guest_ip}:0")
    answers = [IP(data) for data in inject.left(near)]
    assert [(each.src, each[TCP].dport) for each in answers] == [(NEAR.guest_ip, 4101)]
    assert calls.drain("receiver") == [to_all.encode(), to_one.encode()]


@statement("I3/inbound", "I3/table-inbound")
@pytest.mark.parametrize(
    "destination",
    [NEAR.guest_ip, "192.0.2.255", pytest.param("224.0.0.1", marks=needs("multicast"))],
)
def test_injected_inbound_is_as_received(
    inject: Injector, near: Wire, divert: Divert, chains: Chains, destination: str
) -> None:
    """All that another port is told of it, the tag too, is what it is told of the wire's."""
    other = divert(PORT + 1)
    chains.append(f"input -i {NEAR.interface} -p UDP -j DIVERT {PORT + 1}")
    packet = IP(src=NEAR.host_ip, dst=destination, id=33, ttl=7) / UDP(dport=9) / b"the same"
    near.send(packet)
    by_wire = other.take()
    inject(built(packet), f"in:{NEAR.guest_ip}:0")
    assert other.take() == by_wire


@statement("I3/inbound", "I3/table-inbound")
@pytest.mark.parametrize(
    ("destination", "address", "counted"),
    [
        (NEAR.guest_ip, NEAR.guest_mac, 1),
        ("192.0.2.255", "ff:ff:ff:ff:ff:ff", 0),
        ("255.255.255.255", "ff:ff:ff:ff:ff:ff", 0),
        pytest.param("224.0.0.1", "01:00:5e:00:00:01", 0, marks=needs("multicast")),
    ],
)
def test_tcp_counts_what_is_injected_inbound_as_it_does_the_wires(
    guest: Machine,
    inject: Injector,
    near: Wire,
    shell: Shell,
    destination: str,
    address: str,
    counted: int,
) -> None:
    """Which is how one sees that it was told the class of the destination: TCP drops what came to
    more than this host before it looks at the checksum.
    """
    segment = TCP(sport=9, dport=9, flags="A", chksum=1)
    packet = IP(src=NEAR.host_ip, dst=destination, id=33, ttl=7) / segment

    def errors() -> int:
        guest.barrier()
        return statistics(shell, "Tcp")["InErrs"]

    before = errors()
    near.send(bytes(Ether(src=near.host_mac, dst=address, type=0x0800) / packet))
    by_wire = errors()
    inject(built(packet), f"in:{NEAR.guest_ip}:0")
    assert (by_wire - before, errors() - by_wire) == (counted, counted)


@statement("I3/martian-wire")
def test_wire_with_a_source_of_this_host_is_dropped(
    guest: Machine, calls: Calls, near: Wire
) -> None:
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", "in:0.0.0.0:4000")
    for source in (NEAR.guest_ip, FAR.guest_ip, NEAR.host_ip):
        near.send(IP(src=source, dst=NEAR.guest_ip) / UDP(dport=4000) / source.encode())
    guest.barrier()
    assert calls.drain("receiver") == [NEAR.host_ip.encode()]


@statement("I4/any", "I3/inbound")
def test_inbound_for_a_neighbour_on_the_same_link_goes_back_there(
    inject: Injector, near: Wire
) -> None:
    near.add_address("192.0.2.77")
    packet = built(IP(src=NEAR.host_ip, dst="192.0.2.77", id=20, ttl=33) / UDP() / b"back")
    inject(packet, f"in:{NEAR.guest_ip}:0")
    assert hop(packet) in inject.left(near)


@statement("I3/inbound")
def test_whoever_receives_it_is_charged(inject: Injector, calls: Calls) -> None:
    """A packet that waits in another socket takes no room from the one that injected it."""
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", "in:0.0.0.0:4000")
    packet = IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=21) / UDP(dport=4000) / b"waits"
    inject(built(packet), f"in:{NEAR.guest_ip}:0")
    assert calls.ok("ioctl", inject.socket.name, "outq")["value"] == 0
    assert calls.drain("receiver") == [b"waits"]
    assert calls.ok("stamp", "receiver")["value"] > 0, "it has the time of its injection"


@statement("I4/outbound")
def test_forwarded_looking_packet_without_an_address_is_sent_as_it_is(
    inject: Injector, far: Wire, chains: Chains
) -> None:
    chains.append(f"input -s {NEAR.host_ip}", f"forward -s {NEAR.host_ip}")
    packet = built(IP(src=NEAR.host_ip, dst=FAR.host_ip, id=17, ttl=1) / UDP() / b"through")
    inject(packet, "none")
    assert inject.left(far) == [packet]
    assert chains.counts("input") == chains.counts("forward") == [0]


# On, and no route that was looked up before is used any more.
FILTER = (
    "for name in all eth1 eth2; do echo 1 >/proc/sys/net/ipv4/conf/$name/rp_filter; done"
    " && echo 0 >/proc/sys/net/ipv4/route/flush"
)


@statement("I4/filter")
def test_reverse_path_filter_wants_the_right_interface(
    inject: Injector, shell: Shell, far: Wire, near: Wire
) -> None:
    shell.check(FILTER)
    packet = built(IP(src=NEAR.host_ip, dst=FAR.host_ip, id=18, ttl=33) / UDP() / b"filtered")
    inject(packet, f"in:{FAR.guest_ip}:0")
    assert inject.left(far) == inject.left(near) == []
    inject(packet, f"in:{NEAR.guest_ip}:0")
    assert inject.left(far) == [hop(packet)]


@statement("I4/filter-wire")
def test_reverse_path_filter_on_the_wire(
    guest: Machine, shell: Shell, near: Wire, far: Wire
) -> None:
    packet = IP(src=NEAR.host_ip, dst=FAR.host_ip, id=19, ttl=33) / UDP() / b"filtered"
    far.send(packet)
    assert left(guest, far) == [hop(built(packet))], "without the filter any interface will do"
    shell.check(FILTER)
    far.send(packet)
    assert left(guest, far) == []
    near.send(packet)
    assert left(guest, far) == [hop(built(packet))]


@statement("I8", "I3/zero")
@pytest.mark.parametrize("source", [NEAR.host_ip, FAR.host_ip, "203.0.113.77", "10.0.2.15"])
def test_source_may_be_any(inject: Injector, near: Wire, far: Wire, source: str) -> None:
    """The packet leaves by where its destination is, whatever it says of its source."""
    for link, wire, other in ((NEAR, near, far), (FAR, far, near)):
        packet = built(IP(src=source, dst=link.host_ip, id=50, ttl=5) / UDP() / b"foreign")
        inject(packet, "none")
        assert inject.left(wire) == [packet]
        assert inject.left(other) == []
