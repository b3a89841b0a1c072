# SPDX-License-Identifier: GPL-2.0-only
"""I2, I6, S9, S10. What the kernel keeps of packets that were read and not given back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP

from harness.base.deadline import Deadline
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.conftest import Divert
from tests.guest.support.chains import Chains
from tests.guest.support.divert import DivertSocket, Taken, built, left
from tests.guest.support.netlink import Links
from tests.guest.support.outcome import about
from tests.guest.support.policy import Policy
from tests.guest.support.programs import Calls, ProcDivert
from tests.guest.support.sockets import FILLER, LARGEST, Filler, bound
from tests.guest.support.stack import HERE, VETH, Namespace, load, pair
from tests.guest.support.traffic import FAR, NEAR, PLACES, UDP_PORT, Place, Traffic, hop

statement = pytest.mark.statement
places = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
Proc = Callable[[], ProcDivert]

PORT = 1234
# Of the reference: as many can be given back.
PENDING = 16_384
BOUNDS = "/proc/sys/net/ipv4/divert"


def datagram(number: int = 1, size: int = 20, **fields: Any) -> bytes:
    """From wire 0's host to wire 1's, told by its identification."""
    header = IP(**{"src": NEAR.host_ip, "dst": FAR.host_ip, "id": number, "ttl": 9, **fields})
    return built(header / UDP(sport=3000 + number, dport=UDP_PORT) / bytes(size))


def bound_to(shell: Shell, **bounds: int) -> None:
    """Set bounds of what is kept of packets that were read."""
    for name, value in bounds.items():
        shell.check(f"echo {value} >{BOUNDS}/{name}")


def forwarded(
    near: Wire, chains: Chains, socket: DivertSocket, numbers: range, size: int = 20
) -> list[Taken]:
    """Datagrams through the guest that the socket has taken on forward."""
    chains.flush()
    chains.append(f"forward -p UDP -j DIVERT {socket.port}")
    near.send_all([IP(datagram(number, size)) for number in numbers])
    return [socket.take() for _ in numbers]


# Given back more than once.


@statement("I2/again")
@pytest.mark.needs("rtnetlink")
def test_second_packet_with_a_tag_has_its_way(
    guest: Machine,
    shell: Shell,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """The device that its sender is bound to has chosen that; the tag's hook and rule are the
    second's too.
    """
    policy = Policy(calls)
    policy.route("203.0.113.0/24", "via", NEAR.host_ip)
    policy.route("203.0.0.0/16", "via", FAR.host_ip)
    device = f"hex:{FAR.interface.encode().hex()}00"
    socket = divert(PORT)
    chains.append(f"output -p UDP -j DIVERT {PORT}", "output -p UDP")
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("setsockopt", "sender", "socket", "bindtodevice", device)
    calls.ok("sendto", "sender", "text:by-device", f"in:203.0.113.7:{UDP_PORT}")
    taken = socket.take()
    other = IP(taken.data)
    other[UDP].remove_payload()
    other[UDP].add_payload(b"another, and longer")
    del other.chksum, other.len, other[UDP].chksum, other[UDP].len
    for data in (taken.data, bytes(other), taken.data):
        socket.give_back(taken, data)
    assert left(guest, far) == [taken.data, bytes(other), taken.data]
    assert left(guest, near) == []
    assert socket.rest() == []
    # The rule that took it has counted once, and the one behind it each.
    assert chains.counts("output") == [1, 3]


@statement("I2/again")
def test_second_packet_with_a_tag_has_its_interface(
    guest: Machine, calls: Calls, near: Wire, divert: Divert, chains: Chains
) -> None:
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", f"in:0.0.0.0:{UDP_PORT}")
    calls.ok("setsockopt", "receiver", "ip", "pktinfo", "int:1")
    socket = divert(PORT)
    near.send(IP(datagram(dst=NEAR.guest_ip)))
    guest.barrier()
    without = calls.ok("recvmsg", "receiver", 100, "dontwait")
    chains.append(f"input -p UDP -j DIVERT {PORT}")
    near.send(IP(datagram(dst=NEAR.guest_ip)))
    taken = socket.take()
    for _ in range(3):
        socket.give_back(taken)
        row = calls.ok("recvmsg", "receiver", 100, "dontwait")
        assert list(about(row["control"])) == list(about(without["control"]))
        assert row["hex"] == without["hex"]


@statement("I2/refused")
def test_way_of_a_packet_that_was_refused_for_elsewhere(
    guest: Machine, near: Wire, far: Wire, divert: Divert, chains: Chains
) -> None:
    """Changed, it had found another way before a rule refused it."""
    socket = divert(PORT)
    chains.append(
        f"output -i {FAR.interface} -p UDP -j DIVERT {PORT}", f"output -d {NEAR.host_ip} -j DENY"
    )
    near.send(IP(datagram()))
    taken = socket.take()
    back = IP(taken.data)
    back.dst, back.src = NEAR.host_ip, FAR.host_ip
    del back.chksum, back[UDP].chksum
    assert socket.refused(built(back), taken.address) == "EPERM"
    socket.give_back(taken)
    assert left(guest, far) == [taken.data]
    assert left(guest, near) == []


@statement("I2/refused")
@places
def test_nothing_is_lost_by_an_error(
    place: Place, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    socket = divert(PORT)
    chains.append(place.rule(f"DIVERT {PORT}"))
    flow = traffic.send(place.path, "udp")
    taken = socket.take()
    for data in (taken.data[:19], b"\x65" + taken.data[1:], taken.data[:20] + bytes(65516)):
        assert socket.refused(data, taken.address) in ("EINVAL", "EMSGSIZE")
    socket.give_back(taken)
    arrived = traffic.arrived([flow])
    assert arrived == [taken.data if place.path == "out" else flow.arrives_as()]


# Who may give it back, and until when.


@statement("S10/read")
@places
def test_another_socket_gives_it_back(
    place: Place, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    """With its own port for T1: the port that took it takes it again on its next rule."""
    taker, giver = divert(PORT), divert(PORT + 1)
    chains.append(*(place.rule(f"DIVERT {PORT + each}") for each in (0, 1, 0)))
    flow = traffic.send(place.path, "udp")
    taken = taker.take()
    giver.give_back(taken)
    assert giver.rest() == []
    again = taker.take()
    assert again.data == taken.data
    taker.give_back(again)
    arrived = traffic.arrived([flow])
    assert arrived == [taken.data if place.path == "out" else flow.arrives_as()]


@statement("I6/unbound-tagged")
@places
def test_socket_without_a_port_gives_it_back(
    place: Place, traffic: Traffic, calls: Calls, divert: Divert, chains: Chains, proc_divert: Proc
) -> None:
    """There is no port that T1 could spare: the rule behind takes it, of whatever port."""
    socket = divert(PORT)
    chains.append(*(place.rule(f"DIVERT {PORT}") for _ in range(2)))
    flow = traffic.send(place.path, "udp")
    taken = socket.take()
    calls.ok("socket", "unbound", "inet", "raw", 254)
    calls.ok("sendto", "unbound", f"hex:{taken.data.hex()}", taken.address)
    again = socket.take()
    assert again.data == taken.data
    calls.ok("sendto", "unbound", f"hex:{again.data.hex()}", again.address)
    assert socket.rest() == []
    arrived = traffic.arrived([flow])
    assert arrived == [taken.data if place.path == "out" else flow.arrives_as()]
    assert set(proc_divert().ports) == {PORT}


@statement("I6/closed", "S10/read")
@places
@pytest.mark.parametrize("end", ["close", "exit"])
def test_what_a_closed_socket_has_read_is_stale(
    end: str,
    place: Place,
    traffic: Traffic,
    shell: Shell,
    divert: Divert,
    chains: Chains,
    proc_divert: Proc,
) -> None:
    reader = Calls(shell)
    socket, other = DivertSocket(reader, PORT), divert(PORT + 1)
    chains.append(place.rule(f"DIVERT {PORT}"))
    flows = [traffic.send(place.path, "udp") for _ in range(2)]
    first, second = socket.take(), socket.take()
    other.give_back(first)
    if end == "close":
        socket.close()
    else:
        reader.begin("exit")
        deadline = Deadline(10, "end of the program that has read them")
        while PORT in proc_divert().ports:
            deadline.check()
    for taken in (second, first):
        assert other.refused(taken.data, taken.address) == "ESTALE"
    arrived = traffic.arrived(flows)
    assert arrived == [first.data if place.path == "out" else flows[0].arrives_as()]


@statement("I6/closed", "S10/read", "S10/next")
@places
def test_what_was_read_by_the_socket_before_on_its_port_is_stale(
    place: Place, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    """Whoever gives it back; what the next one has read itself is its own."""
    before, other = divert(PORT), divert(PORT + 1)
    chains.append(place.rule(f"DIVERT {PORT}"))
    flows = [traffic.send(place.path, "udp")]
    taken = before.take()
    before.close()
    next_one = divert(PORT)
    flows.append(traffic.send(place.path, "udp"))
    own = next_one.take()
    for socket in (next_one, other):
        assert socket.refused(taken.data, taken.address) == "ESTALE"
    other.give_back(own)
    arrived = traffic.arrived(flows)
    assert arrived == [own.data if place.path == "out" else flows[1].arrives_as()]


@statement("I6/interface-gone", "M11/device")
@pytest.mark.parametrize("chain", ["input", "forward"])
def test_packet_whose_interface_has_gone_is_stale(
    chain: str,
    guest: Machine,
    shell: Shell,
    calls: Calls,
    far: Wire,
    divert: Divert,
    chains: Chains,
    namespaces: Callable[[], Namespace],
) -> None:
    load(shell, *VETH)
    links, other = Links(calls), namespaces()
    pair(shell, links, other)
    other.shell.check(f"route add -net 198.51.100.0 netmask 255.255.255.0 gw {HERE}")
    socket = divert(PORT)
    chains.append(f"{chain} -p UDP -j DIVERT {PORT}")
    other.calls.ok("socket", "sender", "inet", "dgram", 17)
    other.calls.ok("sendto", "sender", "text:late", f"in:{FAR.host_ip}:{UDP_PORT}")
    taken = socket.take()
    links.delete("veth0")
    assert socket.refused(taken.data, taken.address) == "ESTALE"
    assert left(guest, far) == []


# How much.


@statement("I6/forgotten", "S9/bounds")
def test_oldest_is_forgotten_where_there_are_too_many(
    guest: Machine, shell: Shell, near: Wire, far: Wire, divert: Divert, chains: Chains
) -> None:
    bound_to(shell, pending_packets=4)
    socket = divert(PORT)
    taken = forwarded(near, chains, socket, range(1, 8))
    for each in taken[:3]:
        assert socket.refused(each.data, each.address) == "ESTALE"
    for each in taken[3:]:
        socket.give_back(each)
    assert left(guest, far) == [hop(datagram(number)) for number in range(4, 8)]
    # What has gone on counts no more: its stub goes before anything whole does.
    more = forwarded(near, chains, socket, range(11, 15))
    for each in more:
        socket.give_back(each)
    assert left(guest, far) == [hop(datagram(number)) for number in range(11, 15)]


@statement("I6/forgotten", "S9/bounds")
def test_oldest_is_forgotten_where_there_are_too_many_bytes(
    guest: Machine, shell: Shell, near: Wire, far: Wire, divert: Divert, chains: Chains
) -> None:
    """Bytes of memory: a packet takes more than it carries."""
    bound_to(shell, pending_bytes=20_000)
    socket = divert(PORT)
    taken = forwarded(near, chains, socket, range(1, 41), size=1000)
    stale = [each for each in taken if not gives_back(socket, each)]
    assert stale == taken[: len(stale)], "the oldest"
    kept = len(taken) - len(stale)
    assert 2 <= kept <= 20_000 // 1028
    assert len(left(guest, far)) == kept


@statement("I6/forgotten", "S9/namespace")
@pytest.mark.parametrize("name", ["net_pending_packets", "net_pending_bytes"])
def test_sockets_of_a_namespace_are_bounded_together(
    name: str, guest: Machine, shell: Shell, near: Wire, far: Wire, divert: Divert, chains: Chains
) -> None:
    bound_to(shell, **{name: 6 if name.endswith("packets") else 12_000})
    sockets = [divert(PORT + number) for number in range(3)]
    taken = []
    for number, socket in enumerate(sockets):
        numbers = range(10 * number + 1, 10 * number + 9)
        taken += [(socket, each) for each in forwarded(near, chains, socket, numbers)]
    went = [gives_back(socket, each) for socket, each in taken]
    assert 2 <= sum(went) <= (6 if name.endswith("packets") else 20)
    assert went[-1]
    assert len(left(guest, far)) == sum(went)


def gives_back(socket: DivertSocket, taken: Taken) -> bool:
    """Whether a packet can be given back; else it is stale."""
    row = socket.send(taken.data, taken.address)
    assert row.get("error", "ESTALE") == "ESTALE", row
    return bool(row["result"] >= 0)


@statement("S9/read", "I6/forgotten")
def test_program_that_never_gives_back(
    shell: Shell, calls: Calls, chains: Chains, proc_divert: Proc
) -> None:
    """It reads 200,000 packets; none is dropped, and the machine's memory stays level."""
    rounds, each = 100, 2000
    shell.check("echo 4000000 >/proc/sys/net/core/rmem_max")
    filler = Filler(calls, chains, PORT)
    socket = "reader"
    bound(calls, socket, PORT)
    calls.ok("setsockopt", socket, "socket", "rcvbuf", "int:4000000")
    filler.send(20)
    first = calls.ok("recvfrom", socket, LARGEST, "dontwait")
    levels = []
    for number in range(rounds):
        filler.send(20, each)
        row = calls("repeat", each, "recvfrom", socket, LARGEST, "dontwait")
        assert row["succeeded"] == each, (number, row)
        if number % 10 == 9:
            levels.append(available(shell))
    filler.send(20)
    last = calls.ok("recvfrom", socket, LARGEST, "dontwait")["from"]
    assert proc_divert().ports[PORT].dropped == 0
    # The first rounds fill what is bounded by packets and bytes; from then on nothing comes to it.
    assert min(levels[3:]) > levels[2] - 2_000, levels
    stale, fresh = f"hex:{first['from']['hex']}", f"hex:{last['hex']}"
    assert calls.error("sendto", socket, f"hex:{first['hex']}", stale) == "ESTALE"
    calls.ok("sendto", socket, f"hex:{first['hex']}", fresh)


def available(shell: Shell) -> int:
    """How many KiB of memory can be had; 2.2.12 tells of those that nothing uses."""
    lines = shell.check("cat /proc/meminfo").splitlines()
    told = {line.split()[0]: int(line.split()[1]) for line in lines if line.startswith("Mem")}
    return told.get("MemAvailable:", told["MemFree:"])


@statement("S9/entries", "I6/forgotten")
@pytest.mark.parametrize("readers", [1, 2])
def test_so_many_can_be_given_back_and_no_more(readers: int, calls: Calls, chains: Chains) -> None:
    """As the option's help text says: the oldest of all goes, whoever has read it."""
    filler = Filler(calls, chains, PORT)
    for number in range(readers):
        bound(calls, f"reader-{number}", PORT + number)
    last = f"reader-{readers - 1}"

    def read(name: str) -> list[str]:
        """One packet, as words of a call that gives it back."""
        filler.send(20)
        row = calls.ok("recvfrom", name, LARGEST, "dontwait")
        return [f"hex:{row['hex']}", f"hex:{row['from']['hex']}"]

    def read_many(name: str, number: int) -> None:
        for each in (256,) * (number // 256) + (number % 256,):
            filler.send(20, each)
            row = calls("repeat", each, "recvfrom", name, LARGEST, "dontwait")
            assert row["succeeded"] == each

    first = read("reader-0")
    if readers == 2:
        chains.flush()
        chains.append(f"input -i {NEAR.interface} -p {FILLER} -j DIVERT {PORT + 1}")
    second = read(last)
    read_many(last, PENDING - 2)
    calls.ok("sendto", last, *first)
    read(last)
    for name in {"reader-0", last}:
        assert calls.error("sendto", name, *first) == "ESTALE"
    calls.ok("sendto", "reader-0", *second)


@statement("S9/shaper")
def test_program_that_holds_many_small_packets(
    guest: Machine, shell: Shell, calls: Calls, far: Wire, chains: Chains
) -> None:
    """As many as its owner allows it: all go on, in order, with what the kernel knew."""
    count = 3000
    bound_to(
        shell,
        pending_packets=count,
        pending_bytes=100_000_000,
        net_pending_packets=count,
        net_pending_bytes=100_000_000,
    )
    shell.check("echo 4000000 >/proc/sys/net/core/rmem_max")
    bound(calls, "shaper", PORT)
    calls.ok("setsockopt", "shaper", "socket", "rcvbuf", "int:4000000")
    chains.append(f"output -i {FAR.interface} -p UDP -j DIVERT {PORT}")
    calls.ok("socket", "sender", "inet", "dgram", 17)
    for _ in range(count // 1000):
        row = calls("repeat", 1000, "sendto", "sender", "text:small", f"in:{FAR.host_ip}:9")
        assert row["succeeded"] == 1000
        assert calls.ok("hold", "shaper", 2000)["result"] == 1000
    assert left(guest, far) == []
    released = calls.ok("release", "shaper")
    assert (released["result"], released["value"]) == (count, 0)
    # Of so many a card may drop some.
    assert calls.error("recv", "shaper", 100, "dontwait") == "EAGAIN"
