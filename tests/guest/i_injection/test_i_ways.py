# SPDX-License-Identifier: GPL-2.0-only
"""I2. The way out that was chosen for a packet stays its own, however many programs take it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from socket import inet_aton

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import Ether

from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.conftest import Divert
from tests.guest.i_injection.test_i_routes import rewritten
from tests.guest.support.chains import Chains
from tests.guest.support.divert import built, left
from tests.guest.support.journey import readdressed
from tests.guest.support.netlink import Links
from tests.guest.support.outcome import about
from tests.guest.support.policy import Policy
from tests.guest.support.programs import Calls
from tests.guest.support.traffic import FAR, NEAR, UDP_PORT, hop

statement = pytest.mark.statement
pytestmark = pytest.mark.needs("rtnetlink", "policy-routing", "mark-routing", "multicast")

PORT = 1234
# Behind the hosts of both wires; the main table leads to the first wire's.
BEYOND, BESIDE = "203.0.113.7", "203.0.113.9"
MAIN = ("203.0.113.0/24", "via", NEAR.host_ip)
OTHER = ("default", "via", FAR.host_ip, "table", "100")
BY_DEVICE = f"hex:{FAR.interface.encode().hex()}00"


@dataclass(frozen=True)
class Way:
    """What has chosen the second wire: routes, a rule of the policy, rules of the firewall."""

    name: str
    routes: tuple[tuple[str, ...], ...] = (MAIN, OTHER)
    rule: tuple[str, ...] = ()
    marks: str = ""
    device: bool = False
    answers: bool = False

    def prepare(self, guest: Machine, calls: Calls, chains: Chains) -> None:
        """Make routes and rules."""
        policy = Policy(calls)
        for route in self.routes:
            policy.route(*route)
        if self.rule:
            policy.rule(*self.rule)
        if self.marks:
            chains.append(self.marks)
        if self.answers:
            for address in (BEYOND, BESIDE):
                guest.wires[1].add_address(address)


SENT = (
    Way("device", (MAIN, ("203.0.0.0/16", "via", FAR.host_ip)), device=True),
    Way("device-alone", (), device=True, answers=True),
    Way("source", rule=("from", NEAR.guest_ip, "table", "100")),
)
FORWARDED = (
    Way("mark", rule=("fwmark", "5", "table", "100"), marks="input -p UDP -m 5"),
    Way("source", rule=("from", NEAR.host_ip, "table", "100")),
    Way("interface", rule=("iif", NEAR.interface, "table", "100")),
)
STATEMENTS = {"device": "way-device", "device-alone": "way-device", "mark": "way-mark"}


def ways(given: tuple[Way, ...]) -> pytest.MarkDecorator:
    """A test for each of these ways, with the cases that it proves."""
    return pytest.mark.parametrize(
        "way",
        [
            pytest.param(
                each,
                id=each.name,
                marks=statement(f"I2/{STATEMENTS.get(each.name, f'way-{each.name}')}", "T4"),
            )
            for each in given
        ],
    )


def with_data(data: bytes) -> bytes:
    """A datagram with other data, and right sums."""
    packet = IP(data)
    packet[UDP].remove_payload()
    del packet.chksum, packet.len, packet[UDP].chksum, packet[UDP].len
    return built(packet / b"changed on its way")


DOINGS: dict[str, Callable[[bytes], bytes]] = {
    "given-back": lambda data: data,
    "payload": with_data,
    "address": lambda data: readdressed(data, BESIDE),
}
doings = pytest.mark.parametrize("doing", DOINGS)


def passed_on(
    divert: Divert, chains: Chains, hooks: str, send: Callable[[], None], doing: str
) -> bytes:
    """A packet that programs take, one a hook, the first of which does something with it.

    Returns what the last of them has given back.
    """
    sockets = [divert(PORT + number) for number, _ in enumerate(hooks.split())]
    for hook, socket in zip(hooks.split(), sockets, strict=True):
        chains.append(f"{hook} -p UDP -j DIVERT {socket.port}")
    send()
    data, change = b"", DOINGS[doing]
    for socket in sockets:
        taken = socket.take()
        data = change(taken.data)
        socket.give_back(taken, data)
        change = DOINGS["given-back"]
    assert [socket.rest() for socket in sockets] == [[] for _ in sockets]
    return data


@ways(SENT)
@doings
@pytest.mark.parametrize("hooks", ["output", "output output"])
def test_sent(
    hooks: str,
    doing: str,
    way: Way,
    guest: Machine,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    way.prepare(guest, calls, chains)
    calls.ok("socket", "sender", "inet", "dgram", 17)
    if way.device:
        calls.ok("setsockopt", "sender", "socket", "bindtodevice", BY_DEVICE)
    calls.ok("bind", "sender", f"in:{NEAR.guest_ip}:0")

    def send() -> None:
        calls.ok("sendto", "sender", "text:away", f"in:{BEYOND}:{UDP_PORT}")

    send()
    assert len(left(guest, far)) == 1, "so it goes without a rule"
    data = passed_on(divert, chains, hooks, send, doing)
    assert left(guest, far) == [data]
    assert left(guest, near) == []


@statement("I2/way-source", "I2/changed")
@pytest.mark.parametrize("source", [FAR.guest_ip, FAR.host_ip], ids=["of-ours", "foreign"])
def test_source_that_it_is_changed_to_chooses_if_it_is_ours(
    source: str,
    guest: Machine,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    policy = Policy(calls)
    policy.route(*MAIN)
    policy.route(*OTHER)
    policy.rule("from", source, "table", "100")
    socket = divert(PORT)
    chains.append(f"output -p UDP -j DIVERT {PORT}")
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("bind", "sender", f"in:{NEAR.guest_ip}:0")
    calls.ok("sendto", "sender", "text:away", f"in:{BEYOND}:{UDP_PORT}")
    taken = socket.take()
    changed = rewritten(taken.data, src=source)
    socket.give_back(taken, changed)
    by_rule = source == FAR.guest_ip
    assert left(guest, far) == [changed] * by_rule
    assert left(guest, near) == [changed] * (not by_rule)


@pytest.mark.parametrize("tos", [0, 8])
@pytest.mark.parametrize(
    "doing",
    [
        pytest.param("given-back", marks=statement("I2/way-source", "T4")),
        pytest.param("payload", marks=statement("I2/way-source", "T4")),
        pytest.param("address", marks=statement("I2/way-chosen", "T4")),
    ],
)
def test_source_that_the_way_chose_does_not_choose_the_way(
    doing: str,
    tos: int,
    guest: Machine,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """Its sender is not bound to an address: the rule for that is no rule for what it sends."""
    by_source = next(way for way in SENT if way.name == "source")
    by_source.prepare(guest, calls, chains)
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("setsockopt", "sender", "ip", "tos", f"int:{tos}")

    def send() -> None:
        calls.ok("sendto", "sender", "text:away", f"in:{BEYOND}:{UDP_PORT}")

    send()
    assert IP(left(guest, near)[0]).src == NEAR.guest_ip, "so it goes without a rule"
    data = passed_on(divert, chains, "output", send, doing)
    assert left(guest, near) == [data]
    assert left(guest, far) == []


@statement("I2/way-chosen")
@pytest.mark.parametrize("named", [True, False], ids=["named", "not-named"])
@pytest.mark.parametrize("sender", ["datagram", "header"])
@pytest.mark.parametrize("doing", ["given-back", "address"])
def test_way_that_is_looked_up_anew(
    doing: str,
    sender: str,
    named: bool,
    guest: Machine,
    shell: Shell,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """By a source if its sender's look-up had it: who is not bound may have named it for this
    datagram alone. The routes have changed meanwhile, but not these.
    """
    next(way for way in SENT if way.name == "source").prepare(guest, calls, chains)
    to = f"in:{BEYOND}:{UDP_PORT}"
    if sender == "datagram":
        calls.ok("socket", "sender", "inet", "dgram", 17)
        words = ["sendto", "sender", "text:away", to]
    else:
        # Whatever the header's source is, it is not looked up by that.
        data = built(IP(src=NEAR.guest_ip, dst=BEYOND, id=7) / UDP(dport=UDP_PORT) / b"away")
        calls.ok("socket", "sender", "inet", "raw", 255)
        words = ["sendto", "sender", f"hex:{data.hex()}", to]
    if named:
        source = bytes(4) + inet_aton(NEAR.guest_ip) + bytes(4)
        words = ["sendabout", *words[1:], "ip", "pktinfo", f"hex:{source.hex()}"]
    calls.ok(*words)
    assert [len(left(guest, wire)) for wire in (near, far)] == [not named, named]
    socket = divert(PORT)
    chains.append(f"output -p UDP -j DIVERT {PORT}")
    calls.ok(*words)
    taken = socket.take()
    Policy(calls).route("198.18.0.0/24", "via", FAR.host_ip)
    shell.check("echo 0 >/proc/sys/net/ipv4/route/flush")
    data = DOINGS[doing](taken.data)
    socket.give_back(taken, data)
    assert left(guest, near) == [data] * (not named)
    assert left(guest, far) == [data] * named


# On 2.2.12 the outer packet meets no output chain.
@statement("I2/way-device", "T1/tunnel")
@pytest.mark.needs("modern-stack")
def test_device_of_who_sends_into_a_tunnel_is_not_that_of_the_outer_packet(
    guest: Machine, shell: Shell, calls: Calls, far: Wire, divert: Divert, chains: Chains
) -> None:
    """That is the tunnel's own: its route is looked up as the tunnel does."""
    Links(calls).tunnel("out", FAR.guest_ip, FAR.host_ip)
    shell.check("ifconfig out 10.9.9.1 pointopoint 10.9.9.2 up")
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("setsockopt", "sender", "socket", "bindtodevice", f"hex:{b'out'.hex()}00")
    socket = divert(PORT)
    chains.append(f"output -p 4 -j DIVERT {PORT}")
    calls.ok("sendto", "sender", "text:inside", f"in:10.9.9.2:{UDP_PORT}")
    taken = socket.take()
    far.add_address("198.51.100.77")
    changed = rewritten(taken.data, dst="198.51.100.77")
    socket.give_back(taken, changed)
    assert left(guest, far) == [changed]


@ways(FORWARDED)
@doings
@pytest.mark.parametrize(
    "hooks", ["input", "forward", "output", "output output", "forward output", "forward forward"]
)
def test_forwarded(
    hooks: str,
    doing: str,
    way: Way,
    guest: Machine,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    way.prepare(guest, calls, chains)
    packet = IP(src=NEAR.host_ip, dst=BEYOND, id=7, ttl=9) / UDP(sport=9, dport=9) / b"beyond"
    near.send(packet)
    assert left(guest, far) == [hop(built(packet))], "so it goes without a rule"
    data = passed_on(divert, chains, hooks, lambda: near.send(packet), doing)
    assert left(guest, far) == [hop(data) if hooks == "input" else data]
    assert left(guest, near) == []


@statement("I2/way-mark", "T3/tos")
@pytest.mark.parametrize("hook", ["input", "forward", "output"])
def test_it_has_the_mark_that_it_had(
    hook: str,
    guest: Machine,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """Marks are added up (-m +N): those of rules before the one that took it count once.

    Behind it another program sees to it that the mark is looked at.
    """
    policy = Policy(calls)
    policy.route(*MAIN)
    policy.route(*OTHER)
    policy.rule("fwmark", "5", "table", "100")
    chains.append("input -p UDP -m +3")
    sockets = [divert(PORT), divert(PORT + 1)]
    for socket in sockets[: 1 if hook != "input" else 2]:
        chains.append(f"input -p UDP -j DIVERT {socket.port}")
    chains.append("input -p UDP -m +2")
    if hook != "input":
        chains.append(f"{hook} -p UDP -j DIVERT {sockets[1].port}")
    packet = IP(src=NEAR.host_ip, dst=BEYOND, id=7, ttl=9) / UDP(sport=9, dport=9) / b"beyond"
    near.send(packet)
    for socket in sockets:
        socket.give_back(socket.take())
    assert left(guest, far) == [hop(built(packet))]
    assert left(guest, near) == []


@statement("I2/way-mark", "T4")
@pytest.mark.parametrize("hook", ["forward", "output"])
def test_mark_that_it_was_given_later_does_not_choose(
    hook: str,
    guest: Machine,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    by_mark = next(way for way in FORWARDED if way.name == "mark")
    by_mark.prepare(guest, calls, chains)
    chains.append(f"{hook} -p UDP -m 9")
    packet = IP(src=NEAR.host_ip, dst=BEYOND, id=7, ttl=9) / UDP(sport=9, dport=9) / b"beyond"
    data = passed_on(divert, chains, f"{hook} {hook}", lambda: near.send(packet), "given-back")
    assert left(guest, far) == [data]
    assert left(guest, near) == []


BY_TOS = Way("tos", rule=("tos", "8", "table", "100"))


@statement("I2/way-tos", "I2/changed")
@pytest.mark.parametrize("given_back", [0, 8])
@pytest.mark.parametrize("sent", [0, 8])
def test_sent_by_its_type_of_service(
    sent: int,
    given_back: int,
    guest: Machine,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """As it is; and what a program has changed."""
    BY_TOS.prepare(guest, calls, chains)
    socket = divert(PORT)
    chains.append(f"output -p UDP -j DIVERT {PORT}")
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("setsockopt", "sender", "ip", "tos", f"int:{sent}")
    calls.ok("sendto", "sender", "text:away", f"in:{BEYOND}:{UDP_PORT}")
    taken = socket.take()
    packet = IP(taken.data)
    packet.tos = given_back
    del packet.chksum
    changed = built(packet)
    socket.give_back(taken, changed)
    assert left(guest, far) == [changed] * (given_back == 8)
    assert left(guest, near) == [changed] * (given_back == 0)


@statement("I2/way-tos", "T3/tos")
@pytest.mark.parametrize("hooks", ["forward", "output", "forward forward", "output output"])
def test_forwarded_by_the_type_of_service_that_it_came_with(
    hooks: str,
    guest: Machine,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """A rule has given it another before it was taken."""
    BY_TOS.prepare(guest, calls, chains)
    chains.append(f"{hooks.split(maxsplit=1)[0]} -p UDP -t 01 10")
    header = IP(src=NEAR.host_ip, dst=BEYOND, id=7, ttl=9, tos=8)
    packet = header / UDP(sport=9, dport=9) / b"beyond"
    data = passed_on(divert, chains, hooks, lambda: near.send(packet), "given-back")
    assert data[1] == 0x10
    assert left(guest, far) == [data]
    assert left(guest, near) == []


@statement("I7/tagged", "I8")
@pytest.mark.parametrize("to", ["239.1.2.3", "255.255.255.255"], ids=["group", "all"])
def test_group_from_a_source_that_is_not_ours(
    to: str, guest: Machine, calls: Calls, near: Wire, far: Wire, divert: Divert, chains: Chains
) -> None:
    """The source that its sender was bound to has chosen the interface, and has been changed."""
    socket = divert(PORT)
    chains.append(f"output -p UDP -j DIVERT {PORT}")
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("setsockopt", "sender", "socket", "broadcast", "int:1")
    calls.ok("bind", "sender", f"in:{FAR.guest_ip}:0")
    calls.ok("sendto", "sender", "text:group", f"in:{to}:{UDP_PORT}")
    taken = socket.take()
    changed = rewritten(taken.data, src=BESIDE)
    socket.give_back(taken, changed)
    assert left(guest, far) == [changed]
    assert left(guest, near) == []


# Forwarded, and changed to what would not be let in like that (I8).


@statement("I2/changed", "I8")
@pytest.mark.parametrize("hook", ["forward", "output"])
@pytest.mark.parametrize("source", [NEAR.guest_ip, FAR.host_ip], ids=["of-ours", "elsewhere"])
def test_forwarded_with_a_source_that_its_interface_would_not_let_in(
    source: str,
    hook: str,
    guest: Machine,
    shell: Shell,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """With reverse-path filtering on: on forward only a source that is ours goes on."""
    shell.check("for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 1 >$f; done")
    far.add_address("198.51.100.77")
    socket = divert(PORT)
    chains.append(f"{hook} -p UDP -j DIVERT {PORT}")
    header = IP(src=NEAR.host_ip, dst="198.51.100.77", id=7, ttl=9)
    near.send(header / UDP(sport=9, dport=9) / b"changed")
    taken = socket.take()
    changed = rewritten(taken.data, src=source)
    socket.give_back(taken, changed)
    goes = source == NEAR.guest_ip or hook == "output"
    assert left(guest, far) == [changed] * goes
    assert left(guest, near) == []


@statement("I2/table-forwarded", "I2/changed")
def test_forwarded_and_on_output_changed_to_be_for_this_host(
    guest: Machine, calls: Calls, near: Wire, far: Wire, divert: Divert, chains: Chains
) -> None:
    """It has left the router's code already: it comes back by the loopback."""
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", f"in:0.0.0.0:{UDP_PORT}")
    socket = divert(PORT)
    chains.append(f"output -p UDP -j DIVERT {PORT}", "output -i lo -p UDP")
    header = IP(src=NEAR.host_ip, dst=FAR.host_ip, id=7, ttl=9)
    near.send(header / UDP(sport=9, dport=UDP_PORT) / b"for here")
    taken = socket.take()
    socket.give_back(taken, readdressed(taken.data, NEAR.guest_ip))
    assert left(guest, far) == left(guest, near) == []
    assert chains.counts("output") == [1, 1]


# What the second of two programs has to find.


@statement("I2/second", "T3/in-order")
@pytest.mark.parametrize("programs", [1, 2, 3])
def test_sender_is_told_of_what_several_programs_took(
    programs: int, guest: Machine, near: Wire, divert: Divert, chains: Chains, icmp_errors: None
) -> None:
    """Forwarded, taken on output one after the other, and rejected behind them."""
    sockets = [divert(PORT + number) for number in range(programs)]
    output = f"output -i {FAR.interface} -p UDP"
    chains.append(*(f"{output} -j DIVERT {each.port}" for each in sockets), f"{output} -j REJECT")
    packet = IP(src=NEAR.host_ip, dst=FAR.host_ip, id=7, ttl=9) / UDP(sport=9, dport=9) / b"no"
    near.send(packet)
    for socket in sockets[:-1]:
        socket.give_back(socket.take())
    last = sockets[-1].take()
    assert sockets[-1].refused(last.data, last.address) == "EPERM"
    (error,) = (IP(data) for data in left(guest, near) if data[9] == 1)
    assert error.dst == NEAR.host_ip
    assert error[ICMP].type == 3


@statement("I2/second", "I7/loop")
@pytest.mark.parametrize("loop", [0, 1])
def test_group_of_which_this_host_is(
    loop: int, guest: Machine, calls: Calls, far: Wire, divert: Divert, chains: Chains
) -> None:
    """Its sender wants a copy for this host, or none, and both programs leave it at that."""
    group = "239.1.2.3"
    calls.ok("socket", "member", "inet", "dgram", 17)
    calls.ok("bind", "member", f"in:0.0.0.0:{UDP_PORT}")
    calls.ok("setsockopt", "member", "ip", "add_membership", f"mreq:{group}:{FAR.guest_ip}")
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("setsockopt", "sender", "ip", "multicast_if", f"ip:{FAR.guest_ip}")
    calls.ok("setsockopt", "sender", "ip", "multicast_loop", f"int:{loop}")
    left(guest, far)

    def send() -> None:
        calls.ok("sendto", "sender", "text:all", f"in:{group}:{UDP_PORT}")

    data = passed_on(divert, chains, "output output", send, "given-back")
    assert [each for each in left(guest, far) if each[9] == 17] == [data]
    assert calls.drain("member") == [b"all"] * loop


# What a program that receives it can ask for.


@dataclass(frozen=True)
class Arrival:
    """How a datagram comes to a program of this host."""

    name: str
    to: str
    frame: str = ""
    by: str = "wire"


GROUP = "239.1.2.3"
IP_RECVTTL, IP_RECVTOS = 12, 13
ARRIVALS = (
    Arrival("wire", NEAR.guest_ip),
    Arrival("other-address", FAR.guest_ip),
    Arrival("broadcast", "192.0.2.255", "ff:ff:ff:ff:ff:ff"),
    Arrival("limited-broadcast", "255.255.255.255", "ff:ff:ff:ff:ff:ff"),
    Arrival("group", GROUP, "01:00:5e:01:02:03"),
    Arrival("loopback", "127.0.0.9", by="loopback"),
    Arrival("itself", FAR.guest_ip, by="loopback"),
    Arrival("copy", GROUP, by="copy"),
)


@statement("I2/asked", "T4")
@pytest.mark.parametrize("programs", [1, 2])
@pytest.mark.parametrize("arrival", ARRIVALS, ids=lambda arrival: arrival.name)
def test_receiver_is_told_the_same(
    arrival: Arrival,
    programs: int,
    guest: Machine,
    calls: Calls,
    near: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """The interface that it came by, and the address that it came to (IP_PKTINFO)."""
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", f"in:0.0.0.0:{UDP_PORT}")
    for option in ("pktinfo", IP_RECVTTL, IP_RECVTOS):
        calls.ok("setsockopt", "receiver", "ip", option, "int:1")
    link = FAR if arrival.by == "copy" else NEAR
    calls.ok("setsockopt", "receiver", "ip", "add_membership", f"mreq:{GROUP}:{link.guest_ip}")
    calls.ok("socket", "sender", "inet", "dgram", 17)
    if arrival.by == "copy":
        calls.ok("setsockopt", "sender", "ip", "multicast_if", f"ip:{FAR.guest_ip}")

    def send() -> None:
        if arrival.by == "wire":
            packet = IP(src=NEAR.host_ip, dst=arrival.to, id=7, ttl=9, tos=8)
            frame = Ether(src=near.host_mac, dst=arrival.frame or near.guest_mac)
            near.send(bytes(frame / packet / UDP(sport=9, dport=UDP_PORT) / b"asked"))
        else:
            calls.ok("sendto", "sender", "text:asked", f"in:{arrival.to}:{UDP_PORT}")
        guest.barrier()

    def told() -> list[object]:
        row = calls.ok("recvmsg", "receiver", 100, "dontwait")
        return [row["hex"], row["from"]["ip"], list(about(row["control"]))]

    send()
    without = told()
    passed_on(divert, chains, " ".join(["input"] * programs), send, "given-back")
    assert told() == without
    assert calls.drain("receiver") == []
