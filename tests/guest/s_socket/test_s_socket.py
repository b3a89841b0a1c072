# SPDX-License-Identifier: GPL-2.0-only
"""S. The socket."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import ICMP, IP

from divert_reference.chains import Chains
from divert_reference.programs import Calls, ProcDivert
from divert_reference.traffic import NEAR
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire

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


@statement("S1/opens")
def test_no_other_socket_is_one(calls: Calls, proc_divert: Proc) -> None:
    for protocol in (1, 17, 253, 255):
        calls.ok("socket", f"raw-{protocol}", "inet", "raw", protocol)
        calls.ok("bind", f"raw-{protocol}", f"in:0.0.0.0:{PORT}")
    assert proc_divert().ports == {}
    for kind in ("stream", "dgram"):
        assert calls.error("socket", "d", "inet", kind, "divert") == "EPROTONOSUPPORT"


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


@statement("S2/told")
def test_a_program_finds_out_by_proc_or_by_a_rule(
    shell: Shell, calls: Calls, chains: Chains, expected: Callable[[str], str]
) -> None:
    """What succeeds everywhere proves nothing; these two tell."""
    calls.ok("socket", "d", "inet", "raw", 254)
    calls.ok("bind", "d", f"in:0.0.0.0:{PORT}")
    proc = shell.run("cat /proc/net/divert").status == 0
    rule = chains.run(f"-A input -j DIVERT {PORT}").status == 0
    there = {"there": True, "missing": False}[expected("divert-sockets")]
    assert (proc, rule) == (there, there)


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
