# SPDX-License-Identifier: GPL-2.0-only
"""S. The socket."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from scapy.layers.inet import ICMP, IP

from harness.machine import Machine
from harness.shell import Shell
from harness.wire import Wire
from tests.guest.chains import Chains
from tests.guest.conftest import Listen
from tests.guest.programs import Calls, ProcDivert
from tests.guest.traffic import FAR, NEAR, PLACES, PROTOCOLS, Place, Traffic, header_is_right, hop

statement = pytest.mark.statement
Proc = Callable[[], ProcDivert]

PORT = 1234


@statement("S1/opens", "S11/bound")
def test_socket_254_is_a_divert_socket(calls: Calls, proc_divert: Proc) -> None:
    calls.ok("socket", "d", "inet", "raw", 254)
    assert proc_divert().ports == {}, "not bound, it is in no list"
    calls.ok("bind", "d", f"in:0.0.0.0:{PORT}")
    assert list(proc_divert().ports) == [PORT]
    # Three things that a raw socket of protocol 254 would not do.
    assert calls("getsockname", "d")["address"]["port"] == PORT
    assert calls.error("bind", "d", "in:0.0.0.0:77") == "EINVAL"
    assert calls.error("sendto", "d", "hex:00", "in:192.0.2.2:0") == "EINVAL"


@statement("S1/eperm")
@pytest.mark.parametrize("drop", ["capdrop net_raw", "setuid 1000"], ids=["capability", "user"])
def test_socket_needs_cap_net_raw(guest: Machine, calls: Calls, drop: str) -> None:
    calls.ok("socket", "before", "inet", "raw", 254)
    calls.ok(*drop.split())
    assert calls.error("socket", "d", "inet", "raw", 254) == "EPERM"
    # What was opened before goes on, as with every raw socket.
    calls.ok("bind", "before", f"in:0.0.0.0:{PORT}")


@statement("S2/plain", "S2/bind")
def test_without_divert_it_is_a_plain_raw_socket(
    guest: Machine, shell: Shell, calls: Calls, near: Wire
) -> None:
    assert shell.run("cat /proc/net/divert").status != 0
    # bind ignores the port: twice the same one, and as often as one likes.
    for name in ("a", "b"):
        calls.ok("socket", name, "inet", "raw", 254)
        calls.ok("bind", name, f"in:0.0.0.0:{PORT}")
    calls.ok("bind", "a", f"in:0.0.0.0:{PORT + 1}")
    packet = IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=0x4242, proto=254) / b"protocol 254"
    near.send(packet)
    guest.barrier()
    for name in ("a", "b"):
        row = calls.ok("recvfrom", name, 65535, "dontwait")
        assert bytes.fromhex(row["hex"]) == bytes(packet)
        assert row["from"]["ip"] == NEAR.host_ip, "a raw socket tells the sender"
    assert calls.drain("a") == []


@statement("S3/byte-order")
def test_port_is_in_network_byte_order(
    guest: Machine, calls: Calls, near: Wire, chains: Chains
) -> None:
    # 0x1234 and, wrongly swapped, 0x3412.
    for name, port in (("right", 0x1234), ("swapped", 0x3412)):
        calls.ok("socket", name, "inet", "raw", 254)
        calls.ok("bind", name, f"in:0.0.0.0:{port}")
    chains.append(f"input -i {NEAR.interface} -j DIVERT {0x1234}")
    packet = IP(bytes(IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=7) / ICMP() / b"order"))
    near.send(packet)
    guest.barrier()
    assert calls.drain("right") == [bytes(packet)]
    assert calls.drain("swapped") == []


@statement("S3/processes", "R6")
def test_all_of_the_range_by_processes_of_their_own(
    shell: Shell, near: Wire, chains: Chains, calls: Calls, proc_divert: Proc
) -> None:
    ports = [1, 255, 256, 32767, 32768, 65535]
    binders = [
        shell.start(f"binders {port} 1", ready=r'"event":"ready".*"bound":1\b') for port in ports
    ]
    assert sorted(proc_divert().ports) == ports
    chains.append(
        *(f"input -i {NEAR.interface} -p UDP -d 0/0 {port} -j DIVERT {port}" for port in ports)
    )
    for port in ports:
        near.send(IP(udp_to(port)))
    for process, port in zip(binders, ports, strict=True):
        row = json.loads(process.expect(r'^\{"event":"packet".*\n')[0])
        assert row["port"] == port
        assert bytes.fromhex(row["hex"]) == udp_to(port)[:64]
    assert {port: row.delivered for port, row in proc_divert().ports.items()} == dict.fromkeys(
        ports, 1
    )


def udp_to(port: int) -> bytes:
    """A UDP packet for the guest's port."""
    packet = Traffic.packet("in", "udp", b"number", port % 1000)
    packet["UDP"].dport = port
    del packet["UDP"].chksum
    return bytes(packet)


@statement("S4/address", "S4/in-use")
def test_address_given_to_bind_is_ignored(
    guest: Machine, calls: Calls, near: Wire, chains: Chains
) -> None:
    calls.ok("socket", "d", "inet", "raw", 254)
    # Nobody's address here.
    calls.ok("bind", "d", f"in:203.0.113.99:{PORT}")
    calls.ok("socket", "other", "inet", "raw", 254)
    assert calls.error("bind", "other", f"in:192.0.2.1:{PORT}") == "EADDRINUSE"
    chains.append(f"input -i {NEAR.interface} -j DIVERT {PORT}")
    packet = IP(bytes(IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=8) / ICMP()))
    near.send(packet)
    guest.barrier()
    assert calls.drain("d") == [bytes(packet)]


@statement("S4/family", "S4/short", "S4/second-bind")
def test_errors_of_bind(calls: Calls, proc_divert: Proc) -> None:
    calls.ok("socket", "d", "inet", "raw", 254)
    # family, port 1234, address, zeros; in the byte order of a PC.
    whole = "0200" + "04d2" + "00" * 12
    assert calls.error("bind", "d", f"hex:0100{whole[4:]}") == "EAFNOSUPPORT"
    assert calls.error("bind", "d", f"hex:0000{whole[4:]}") == "EAFNOSUPPORT"
    assert calls.error("bind", "d", f"hex:0a00{whole[4:]}") == "EAFNOSUPPORT"
    for length in (15, 8, 2):
        assert calls.error("bind", "d", f"hex:{whole[: 2 * length]}") == "EINVAL", length
    assert proc_divert().ports == {}
    calls.ok("bind", "d", f"hex:{whole}")
    for port in (PORT, PORT + 1, 0):
        assert calls.error("bind", "d", f"in:0.0.0.0:{port}") == "EINVAL", "a second bind"
    assert list(proc_divert().ports) == [PORT]


@statement("S4/in-use")
def test_port_in_use_is_free_again_after_close(calls: Calls) -> None:
    for name in ("a", "b"):
        calls.ok("socket", name, "inet", "raw", 254)
    calls.ok("bind", "a", f"in:0.0.0.0:{PORT}")
    assert calls.error("bind", "b", f"in:0.0.0.0:{PORT}") == "EADDRINUSE"
    calls.ok("bind", "b", f"in:0.0.0.0:{PORT + 1}")
    calls.ok("close", "a")
    calls.ok("socket", "c", "inet", "raw", 254)
    calls.ok("bind", "c", f"in:0.0.0.0:{PORT}")


@statement("S4/port-0", "S4/getsockname")
def test_port_0_picks_a_free_one(
    guest: Machine, calls: Calls, near: Wire, chains: Chains, proc_divert: Proc
) -> None:
    ports = []
    for name in ("a", "b", "c"):
        calls.ok("socket", name, "inet", "raw", 254)
        calls.ok("bind", name, "in:0.0.0.0:0")
        ports.append(calls.ok("getsockname", name)["address"]["port"])
    assert len({*ports, 0}) == 4, ports
    assert sorted(proc_divert().ports) == sorted(ports)
    chains.append(f"input -i {NEAR.interface} -j DIVERT {ports[1]}")
    packet = IP(bytes(IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=9) / ICMP()))
    near.send(packet)
    guest.barrier()
    assert [calls.drain(name) for name in ("a", "b", "c")] == [[], [bytes(packet)], []]


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


@statement("S6/tag", "S6/zeroed", "S6/invalid", "I2/table-forward", "I3/inbound")
def test_tag_tells_where_a_packet_was_taken(
    guest: Machine, far: Wire, calls: Calls, chains: Chains, traffic: Traffic
) -> None:
    """Given back with its tag, a forwarded packet goes on forward; without, in from the wire.

    The TTL shows it: only a packet that comes in again is forwarded, and lowered, once more.
    """
    calls.ok("socket", "d", "inet", "raw", 254)
    calls.ok("bind", "d", f"in:0.0.0.0:{PORT}")
    chains.append(f"forward -i {FAR.interface} -j DIVERT {PORT}")
    flow = traffic.send("through", "udp")
    guest.barrier()
    row = calls.ok("recvfrom", "d", 65535, "dontwait")
    taken = bytes.fromhex(row["hex"])
    assert taken == hop(flow.sent)
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
    guest: Machine, calls: Calls, near: Wire, traffic: Traffic
) -> None:
    """A program that fills in only sin_addr, on a stack full of leftovers, injects outbound."""
    calls.ok("socket", "d", "inet", "raw", 254)
    calls.ok("bind", "d", f"in:0.0.0.0:{PORT}")
    packet = IP(bytes(IP(src=NEAR.guest_ip, dst=NEAR.host_ip, id=77) / ICMP() / b"leftovers"))
    for zeros in ("ffffffffffffffff", "0102030405060708", "0000000000000001"):
        near.clear()
        calls.ok("sendto", "d", f"hex:{bytes(packet).hex()}", f"in:0.0.0.0:4711:{zeros}")
        guest.barrier()
        assert [bytes(frame[IP]) for frame in near.received(lambda f: f.haslayer(ICMP))] == [
            bytes(packet)
        ]
