# SPDX-License-Identifier: GPL-2.0-only
"""I. Injection: what is refused, with which error, and that nothing of it is sent (I6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from scapy.layers.inet import ICMP, IP, UDP

from divert_reference.chains import Chains
from divert_reference.divert import DivertSocket, built, left
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls, ProcDivert
from divert_reference.traffic import FAR, NEAR, PLACES, Place, Traffic, hop
from harness.guest.machine import Machine
from harness.guest.shell import Shell

statement = pytest.mark.statement
needs = pytest.mark.needs

PORT = 1234
# All that I6 knows. EBADRQC, whose meaning is lost, is not among them.
KNOWN = {"EINVAL", "EMSGSIZE", "EADDRNOTAVAIL", "ENETDOWN", "ENETUNREACH", "EPERM", "ESTALE"}
OUT, IN = "none", f"in:{NEAR.guest_ip}:0"
ways = pytest.mark.parametrize("way", [OUT, IN], ids=["out", "in"])

# Nobody has it, and no route leads to it.
NOWHERE = "203.0.113.9"
# 2.2.12 goes on using what it has looked up for two seconds, unless it is told.
FORGET_ROUTES = "echo 0 >/proc/sys/net/ipv4/route/flush"


def packet(number: int = 1, destination: str = FAR.host_ip) -> bytes:
    """A packet that any way of injection sends to wire 1."""
    header = IP(src=NEAR.host_ip, dst=destination, id=0x4400 + number, ttl=9)
    return built(header / UDP(sport=1, dport=2) / b"injected")


def changed(data: bytes, at: int, value: int) -> bytes:
    """A packet with another byte in its header."""
    return data[:at] + bytes([value]) + data[at + 1 :]


@dataclass(frozen=True)
class Judge:
    """Injects what has to be refused; shows that nothing left, and that the guest still works."""

    guest: Machine
    socket: DivertSocket
    proc: Callable[[], ProcDivert]

    def refused(self, data: bytes, address: str, error: str) -> None:
        injected = self.proc().ports[PORT].injected
        assert self.socket.refused(data, address) == error
        self.nothing_left(injected)

    def nothing_left(self, injected: int) -> None:
        near, far = self.guest.wires
        assert left(self.guest, near) == left(self.guest, far) == []
        assert self.proc().ports[PORT].injected == injected
        self.socket.inject(packet(99), OUT)
        self.socket.inject(packet(98), IN)
        assert left(self.guest, far) == [packet(99), hop(packet(98))]
        assert left(self.guest, near) == []
        assert self.proc().ports[PORT].injected == injected + 2


@pytest.fixture
def judge(guest: Machine, divert: Divert, proc_divert: Callable[[], ProcDivert]) -> Judge:
    return Judge(guest, divert(PORT), proc_divert)


@statement("I6/short")
@ways
def test_shorter_than_a_header(judge: Judge, way: str) -> None:
    for length in (0, 1, 19):
        assert judge.socket.refused(packet()[:length], way) == "EINVAL", length
    judge.refused(b"", way, "EINVAL")


@statement("I6/version")
@ways
def test_version_other_than_4(judge: Judge, way: str) -> None:
    for version in (*range(4), *range(5, 15)):
        assert judge.socket.refused(changed(packet(), 0, version << 4 | 5), way) == "EINVAL"
    judge.refused(changed(packet(), 0, 0xF5), way, "EINVAL")


@statement("I6/header-short")
@ways
def test_header_length_below_20(judge: Judge, way: str) -> None:
    for words in range(4):
        assert judge.socket.refused(changed(packet(), 0, 0x40 | words), way) == "EINVAL"
    judge.refused(changed(packet(), 0, 0x44), way, "EINVAL")


@statement("I6/header-long")
@ways
def test_header_length_above_the_packet(judge: Judge, way: str) -> None:
    # The first of each pair just fits.
    for length, words in ((20, 5), (24, 6), (60, 15)):
        data = changed((packet() + bytes(60))[:length], 0, 0x40 | words)
        assert judge.socket.refused(data[:-1], way) == "EINVAL", (length, words)
    judge.refused(changed(packet()[:20], 0, 0x4F), way, "EINVAL")


@statement("I6/header-long", "I5/length")
def test_header_alone_is_a_packet(judge: Judge, guest: Machine) -> None:
    header = IP(src=NEAR.host_ip, dst=FAR.host_ip, id=7, proto=99, ttl=3)
    for options in (b"", b"\x01\x01\x01\x00", b"\x01" * 39 + b"\x00"):
        header.options = options
        data = built(header)
        assert len(data) == 20 + len(options)
        judge.socket.inject(data, OUT)
        assert left(guest, guest.wires[1]) == [data]


@statement("I6/unbound")
@ways
def test_socket_that_is_not_bound(judge: Judge, calls: Calls, way: str) -> None:
    """It has no port, before and after, and may be bound later."""
    arrives = packet() if way == OUT else hop(packet())
    calls.ok("socket", "unbound", "inet", "raw", 254)
    data = f"hex:{packet().hex()}"
    calls.ok("sendto", "unbound", data, way)
    for call in ("send", "write"):
        calls.ok(call, "unbound", data)
    assert left(judge.guest, judge.guest.wires[1]) == [arrives, packet(), packet()]
    assert set(judge.proc().ports) == {PORT}
    assert calls.ok("getsockname", "unbound")["address"]["port"] == 0
    judge.nothing_left(0)
    # Bound now, it injects.
    calls.ok("bind", "unbound", f"in:0.0.0.0:{PORT + 1}")
    calls.ok("sendto", "unbound", data, way)
    assert left(judge.guest, judge.guest.wires[1]) == [arrives]


@statement("I6/large")
@ways
def test_above_the_largest_packet(judge: Judge, calls: Calls, way: str) -> None:
    for length in (65536, 65537, 100000):
        # A header whose first byte is right, again and again.
        fill = f"fill:{length}:{packet()[:20].hex()}"
        assert calls.error("sendto", judge.socket.name, fill, way) == "EMSGSIZE", length
    judge.nothing_left(0)


@statement("I6/address")
def test_address_of_no_local_interface(judge: Judge) -> None:
    """A neighbour's, nobody's, broadcasts, and another of the loopback's network."""
    nobody = (NEAR.host_ip, NOWHERE, "192.0.2.255", "192.0.2.0", "255.255.255.255", "127.0.0.2")
    for address in nobody:
        assert judge.socket.refused(packet(), f"in:{address}:0") == "EADDRNOTAVAIL", address
    judge.nothing_left(0)


@statement("I6/down")
@needs("tunnels")
def test_inbound_interface_that_is_down(judge: Judge, shell: Shell, dummy: str) -> None:
    # An interface of its own, with an address, that is not up.
    shell.check(f"ifconfig {dummy} 203.0.113.1 netmask 255.255.255.0 up && ifconfig {dummy} down")
    judge.refused(packet(), "in:203.0.113.1:0", "ENETDOWN")
    shell.check(f"ifconfig {dummy} up")
    judge.socket.inject(packet(), "in:203.0.113.1:0")
    assert left(judge.guest, judge.guest.wires[1]) == [hop(packet())]
    # Of several with one address, one that is up will do, wherever it is in the kernel's list.
    for name in (dummy, "tunl0"):
        shell.check(f"ifconfig {name} {NEAR.guest_ip} netmask 255.255.255.255")
        shell.check(f"ifconfig {name} down")
    judge.socket.inject(packet(), IN)
    assert left(judge.guest, judge.guest.wires[1]) == [hop(packet())]


@statement("I6/down", "I2/interface")
@pytest.mark.parametrize("place", PLACES[1:3], ids=lambda place: place.name)
def test_interface_that_went_down_meanwhile(
    place: Place, traffic: Traffic, divert: Divert, chains: Chains, shell: Shell
) -> None:
    socket = divert(PORT)
    chains.append(place.rule(f"DIVERT {PORT}"))
    flow = traffic.send(place.path, "udp")
    taken = socket.take()
    shell.check(f"ifconfig {NEAR.interface} down")
    assert socket.refused(taken.data, taken.address) == "ENETDOWN"
    shell.check(f"ifconfig {NEAR.interface} up")
    assert traffic.arrived([flow]) == []
    socket.reinject(taken)
    assert traffic.arrived([flow]) == [flow.arrives_as()]


@statement("I6/down", "I2/table-forwarded")
def test_forwarded_packet_on_output_does_not_need_the_interface_it_came_by(
    traffic: Traffic, divert: Divert, chains: Chains, shell: Shell
) -> None:
    place = next(each for each in PLACES if each.name == "output-through")
    socket = divert(PORT)
    chains.append(place.rule(f"DIVERT {PORT}"))
    flow = traffic.send(place.path, "udp")
    taken = socket.take()
    shell.check(f"ifconfig {NEAR.interface} down")
    socket.reinject(taken)
    shell.check(f"ifconfig {NEAR.interface} up")
    assert traffic.arrived([flow]) == [taken.data]


@statement("I6/no-route")
def test_no_route_out(judge: Judge, shell: Shell) -> None:
    judge.refused(packet(destination=NOWHERE), OUT, "ENETUNREACH")
    # A route that says so, and one to what cannot be a destination.
    shell.check(f"route add -host {FAR.host_ip} reject && {FORGET_ROUTES}")
    assert judge.socket.refused(packet(), OUT) == "ENETUNREACH"
    shell.check(f"route del -host {FAR.host_ip} reject && {FORGET_ROUTES}")
    judge.refused(packet(destination="0.0.0.1"), OUT, "ENETUNREACH")


@statement("I6/no-route", "I3/none")
def test_no_route_without_a_gateway(judge: Judge, shell: Shell, calls: Calls) -> None:
    """MSG_DONTROUTE and SO_DONTROUTE, as on any datagram socket."""
    data, name = packet(destination=NOWHERE), judge.socket.name
    shell.check(f"route add -host {NOWHERE} gw {NEAR.host_ip} && {FORGET_ROUTES}")
    assert calls.error("sendto", name, f"hex:{data.hex()}", OUT, "dontroute") == "ENETUNREACH"
    judge.socket.inject(data)
    assert left(judge.guest, judge.guest.wires[0]) == [data]
    calls.ok("setsockopt", name, "socket", "dontroute", "int:1")
    assert judge.socket.refused(data) == "ENETUNREACH"


@statement("I6/no-route", "I2/table-output", "I2/table-forwarded")
@pytest.mark.parametrize("place", PLACES[3:], ids=lambda place: place.name)
def test_no_route_any_more(
    place: Place, traffic: Traffic, divert: Divert, chains: Chains, shell: Shell
) -> None:
    link = FAR if place.path == "through" else NEAR
    network = link.host_ip.rsplit(".", 1)[0] + ".0"
    route = f"-net {network} netmask 255.255.255.0 dev {link.interface}"
    socket = divert(PORT)
    chains.append(place.rule(f"DIVERT {PORT}"))
    flow = traffic.send(place.path, "udp")
    taken = socket.take()
    shell.check(f"route del {route} && {FORGET_ROUTES}")
    assert socket.refused(taken.data, taken.address) == "ENETUNREACH"
    assert traffic.arrived([flow]) == []
    shell.check(f"route add {route} && {FORGET_ROUTES}")
    socket.reinject(taken)
    assert traffic.arrived([flow]) == [taken.data]


@statement("I6/no-route", "I2/table-forwarded", "I2/refused")
def test_source_that_its_interface_lets_in_no_more(
    judge: Judge, chains: Chains, shell: Shell
) -> None:
    """Reverse-path filtering is turned on meanwhile: no way leads on, whatever the look-up says."""
    near, far = judge.guest.wires
    chains.append(f"output -i {FAR.interface} -p UDP -j DIVERT {PORT}")
    near.send(IP(src=NOWHERE, dst=FAR.host_ip, id=7, ttl=9) / UDP(sport=1, dport=2) / b"let in")
    taken = judge.socket.take()
    filters = "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo {} >$f; done"
    shell.check(f"{filters.format(1)} && {FORGET_ROUTES}")
    assert judge.socket.refused(taken.data, taken.address) == "ENETUNREACH"
    assert left(judge.guest, far) == []
    shell.check(f"{filters.format(0)} && {FORGET_ROUTES}")
    judge.socket.reinject(taken)
    assert left(judge.guest, far) == [taken.data]


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("DENY", marks=statement("I6/deny", "I3/table-outbound")),
        pytest.param("REJECT", marks=statement("I6/reject", "I3/table-outbound")),
    ],
)
def test_output_chain_refuses(judge: Judge, chains: Chains, target: str) -> None:
    chains.append(f"output -i {FAR.interface} -p UDP -d 0/0 2 -j {target}")
    assert judge.socket.refused(packet(), OUT) == "EPERM"
    near, far = judge.guest.wires
    assert left(judge.guest, near) == left(judge.guest, far) == []
    # Another packet leaves, and what goes by another chain was no error for its sender.
    other = built(IP(src=NEAR.host_ip, dst=FAR.host_ip, id=1) / ICMP())
    judge.socket.inject(other, OUT)
    judge.socket.inject(packet(), IN)
    assert left(judge.guest, far) == [other]
    assert chains.counts("output") == [2]


@statement("I6/deny")
def test_policy_of_the_output_chain_refuses(judge: Judge, chains: Chains) -> None:
    # All that the wire carries; the test's own connection is allowed.
    chains.append("output -i eth0 -j ACCEPT")
    chains("-P output DENY")
    assert judge.socket.refused(packet(), OUT) == "EPERM"
    chains("-P output ACCEPT")
    judge.nothing_left(0)


@statement("I6/broadcast")
@pytest.mark.parametrize(
    "destination",
    ["192.0.2.255", pytest.param("192.0.2.0", marks=statement("I6/broadcast-network"))],
)
def test_broadcast_leaves_without_the_option(judge: Judge, calls: Calls, destination: str) -> None:
    data = built(IP(src=NEAR.guest_ip, dst=destination, id=3) / UDP(sport=1, dport=9) / b"to all")
    row = calls.ok("getsockopt", judge.socket.name, "socket", "broadcast", 4)
    assert row["value"] == 0
    judge.socket.inject(data, OUT)
    judge.guest.barrier()
    (frame,) = judge.guest.wires[0].captured()
    assert frame.data[:6] == b"\xff" * 6
    assert frame.data[14 : 14 + len(data)] == data
    # What every datagram socket is told.
    calls.ok("socket", "udp", "inet", "dgram", 17)
    assert calls.error("sendto", "udp", "text:x", f"in:{destination}:9") == "EACCES"


@statement("I6/others")
def test_no_other_error_and_never_the_lost_one(
    judge: Judge, calls: Calls, shell: Shell, dummy: str
) -> None:
    """The table of bad packets with all addresses, tags of no packet among them."""
    shell.check(f"ifconfig {dummy} 203.0.113.1 netmask 255.255.255.0 up && ifconfig {dummy} down")
    bad = [
        packet()[:19],
        changed(packet(), 0, 0x65),
        changed(packet(), 0, 0x44),
        changed(packet(), 0, 0x4F)[:40],
        b"",
    ]
    addresses = [OUT, IN, "in:203.0.113.1:0", f"in:{NOWHERE}:0", "null:16", "hex:0200", "hex:00"]
    addresses += [f"in:0.0.0.0:{number}:0102030405060708" for number in (1, 77)]
    told: dict[str, list[tuple[int, str]]] = {}
    for number, data in enumerate(bad):
        for address in addresses:
            error = calls.error("sendto", judge.socket.name, f"hex:{data.hex()}", address)
            told.setdefault(error, []).append((number, address))
    assert set(told) <= KNOWN, told
    judge.nothing_left(0)
