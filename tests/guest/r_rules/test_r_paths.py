# SPDX-License-Identifier: GPL-2.0-only
"""R2. Which hooks a packet meets, in which order, and which packets meet none."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP

from divert_reference.chains import Chains
from divert_reference.divert import built, left
from divert_reference.fixtures import Divert, Listen
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, PLACES, Traffic, hop
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire

statement = pytest.mark.statement
needs = pytest.mark.needs
INPUT, INPUT_THROUGH, FORWARD, OUTPUT_THROUGH, OUTPUT = PLACES

PORT = 1234
CHAINS = ("input", "forward", "output")


@statement("R2/path")
@pytest.mark.parametrize(
    ("path", "counts"), [("in", (1, 0, 0)), ("through", (1, 1, 1)), ("out", (0, 0, 1))]
)
def test_path_through_the_chains(
    path: str, counts: tuple[int, int, int], traffic: Traffic, chains: Chains
) -> None:
    """A rule without a target counts, and the packet goes on: 2.2.12's own path."""
    chains.append(
        f"input -i {NEAR.interface} -p UDP",
        f"forward -i {FAR.interface} -p UDP",
        f"output -i {FAR.interface if path == 'through' else NEAR.interface} -p UDP",
    )
    flow = traffic.send(path, "udp")
    assert len(traffic.arrived([flow])) == 1
    assert tuple(chains.counts(name)[0] for name in CHAINS) == counts


@statement("R2/path")
def test_path_on_the_loopback(guest: Machine, calls: Calls, chains: Chains) -> None:
    """Output, then input."""
    chains.append(*(f"{name} -i lo -p UDP" for name in CHAINS))
    calls.ok("socket", "u", "inet", "dgram", 17)
    calls.ok("bind", "u", "in:127.0.0.1:4000")
    calls.ok("sendto", "u", "text:home", "in:127.0.0.1:4000")
    assert calls.drain("u") == [b"home"]
    assert [chains.counts(name) for name in CHAINS] == [[1], [0], [1]]


HOST_UNREACHABLE, PORT_UNREACHABLE = 1, 3


@pytest.mark.usefixtures("icmp_errors")
@statement("R2/path")
@pytest.mark.parametrize(
    ("rule", "destination", "code"),
    [
        (f"input -i {NEAR.interface}", NEAR.guest_ip, PORT_UNREACHABLE),
        (f"input -i {NEAR.interface}", FAR.host_ip, PORT_UNREACHABLE),
        (f"forward -i {FAR.interface}", FAR.host_ip, HOST_UNREACHABLE),
        (f"output -i {FAR.interface}", FAR.host_ip, HOST_UNREACHABLE),
    ],
)
def test_who_sent_what_is_rejected_is_told_once(
    rule: str, destination: str, code: int, guest: Machine, near: Wire, chains: Chains
) -> None:
    chains.append(f"{rule} -p UDP -j REJECT")
    near.send(IP(src=NEAR.host_ip, dst=destination, id=7) / UDP(sport=3000, dport=4000) / b"told")
    (error,) = left(guest, near)
    assert (IP(error).src, IP(error).dst) == (NEAR.guest_ip, NEAR.host_ip)
    assert error[20:22] == bytes([3, code])
    assert error[24:28] == bytes(4)  # of this kind nobody uses them (RFC 792)
    assert left(guest, guest.wires[1]) == []


@pytest.mark.usefixtures("icmp_errors")
@statement("R2/path")
def test_a_program_is_told_what_is_rejected_on_the_loopback(calls: Calls, chains: Chains) -> None:
    """It comes in with the route by which it went out."""
    chains.append("input -i lo -p UDP -j REJECT")
    calls.ok("socket", "here", "inet", "dgram", 17)
    calls.ok("bind", "here", "in:127.0.0.1:4000")
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("connect", "sender", "in:127.0.0.1:4000")
    calls.ok("send", "sender", "text:home")
    assert calls.error("recv", "sender", 100, "dontwait") == "ECONNREFUSED"
    assert calls.error("recv", "here", 100, "dontwait") == "EAGAIN"
    chains.flush()
    calls.ok("send", "sender", "text:home")
    assert calls.drain("here") == [b"home"]


@statement("R2/user-chains")
@pytest.mark.parametrize("chain", CHAINS)
def test_works_in_chains_reached_from_them(
    chain: str, traffic: Traffic, listen: Listen, chains: Chains
) -> None:
    listener = listen(PORT)
    place = next(place for place in PLACES if place.chain == chain and place.path == "through")
    chains("-N first")
    chains("-N second")
    chains.append(place.rule("first"), "first -p UDP -j second", f"second -j DIVERT {PORT}")
    udp, icmp = traffic.send("through", "udp"), traffic.send("through", "icmp")
    assert listener.next().data == udp.at(chain)
    assert traffic.arrived([udp, icmp]) == [icmp.arrives_as()]
    assert len(listener.finish()) == 1


@statement("R2/order", "R2/hooks", "T2")
def test_forwarded_packet_meets_input_then_forward_then_output(
    traffic: Traffic, listen: Listen, chains: Chains
) -> None:
    listeners = {name: listen(port, "--reinject") for port, name in enumerate(CHAINS, PORT)}
    chains.append(
        f"input -i {NEAR.interface} -j DIVERT {PORT}",
        f"forward -i {FAR.interface} -j DIVERT {PORT + 1}",
        f"output -i {FAR.interface} -j DIVERT {PORT + 2}",
    )
    flow = traffic.send("through", "udp")
    for name, listener in listeners.items():
        assert listener.next().data == flow.at(name)
    assert traffic.arrived([flow]) == [flow.arrives_as()]
    for listener in listeners.values():
        assert len(listener.finish()) == 1


GROUP = "239.1.2.3"
# A query of all groups, to be answered within a tenth of a second.
QUERY = built(
    IP(src=NEAR.host_ip, dst="224.0.0.1", ttl=1, proto=2) / bytes.fromhex("1101eefe00000000")
)
REPORT, LEAVE = 0x16, 0x17


@statement("R2/igmp")
@needs("multicast")
def test_igmp_meets_no_output_chain(
    guest: Machine, near: Wire, shell: Shell, calls: Calls, chains: Chains
) -> None:
    """A report, asked for, and the leaving of a group: past a chain that denies everything."""
    chains.append(f"output -i {NEAR.interface} -j DENY", f"input -i {NEAR.interface} -p 2")
    calls.ok("socket", "u", "inet", "dgram", 17)
    calls.ok("setsockopt", "u", "ip", "add_membership", f"mreq:{GROUP}:{NEAR.guest_ip}")
    near.send(IP(QUERY))
    near.expect(lambda frame: is_igmp(frame, REPORT), seconds=5.0, what="IGMP report")
    calls.ok("close", "u")
    near.expect(lambda frame: is_igmp(frame, LEAVE), seconds=5.0, what="IGMP leave")
    assert chains.counts("output") == [0]
    assert chains.counts("input") == [2], "the query, and this host's own report"


def is_igmp(frame: Any, kind: int) -> bool:
    """Whether a frame has an IGMP message of this kind from the guest."""
    return IP in frame and frame[IP].proto == 2 and bytes(frame[IP].payload)[0] == kind


# A network behind the tunnel; the tunnel's other end is wire 1's host.
BEHIND, BEHIND_HOST = "203.0.113.0", "203.0.113.5"


@pytest.fixture
def tunnel(shell: Shell, calls: Calls) -> str:
    """A route to a network through an IPIP tunnel to wire 1's host; the interface's name."""
    shell.check("ifconfig tunl0 10.9.9.1 netmask 255.255.255.255 up")
    calls.ok("socket", "routes", "netlink", "raw", 0)
    calls.ok("bind", "routes", "nl:0:0")
    calls.ok("socket", "any", "inet", "dgram", 17)
    index = calls.ok("ifindex", "any", "tunl0")["value"]
    calls.ok("sendto", "routes", f"hex:{add_route(index).hex()}", "nl:0:0")
    answer = bytes.fromhex(calls.ok("recvfrom", "routes", 4096)["hex"])
    assert struct.unpack_from("<i", answer, 16) == (0,), "the route was refused"
    return "tunl0"


def add_route(interface: int) -> bytes:
    """A message of rtnetlink: a route whose gateway, wire 1's host, is taken to be on-link."""
    address = IP(src=BEHIND, dst=FAR.host_ip)
    attributes = b"".join(
        struct.pack("<HH", 8, kind) + value
        for kind, value in (
            (1, bytes(address)[12:16]),  # RTA_DST
            (4, struct.pack("<I", interface)),  # RTA_OIF
            (5, bytes(address)[16:20]),  # RTA_GATEWAY
        )
    )
    # struct rtmsg: AF_INET, 24 bits, table main, by boot, universe, unicast, RTNH_F_ONLINK.
    route = struct.pack("<8BI", 2, 24, 0, 0, 254, 3, 0, 1, 4) + attributes
    # struct nlmsghdr: RTM_NEWROUTE; a request to create, answered.
    return struct.pack("<IHHII", 16 + len(route), 24, 0x405, 1, 0) + route


INNER = built(
    IP(src=NEAR.host_ip, dst=BEHIND_HOST, id=0x99, ttl=9) / UDP(sport=1, dport=2) / b"inner"
)


@statement("R2/tunnel")
@needs("tunnels", "rtnetlink")
def test_outer_packet_of_a_tunnel_meets_no_output_chain(
    guest: Machine,
    near: Wire,
    far: Wire,
    chains: Chains,
    tunnel: str,
    expected: Callable[[str], str],
) -> None:
    chains.append(f"output -i {tunnel}", f"output -i {FAR.interface}", f"forward -i {tunnel}")
    near.send(IP(INNER))
    (outer,) = (IP(data) for data in left(guest, far))
    assert (outer.src, outer.dst, outer.proto) == (FAR.guest_ip, FAR.host_ip, 4)
    assert bytes(outer.payload) == hop(INNER)
    meets = {"no output chain": 0, "the output chain": 1}[expected("outer-packet")]
    assert chains.counts("output") == [1, meets]
    assert chains.counts("forward") == [1]
    chains(f"-R output 2 -i {FAR.interface} -j DENY")
    near.send(IP(INNER))
    assert len(left(guest, far)) == 1 - meets


@statement("R2/tunnel-divert", "R2/hooks")
@pytest.mark.parametrize("chain", CHAINS)
@needs("tunnels", "rtnetlink")
def test_what_is_diverted_before_a_tunnel_goes_through_it(
    chain: str,
    guest: Machine,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
    tunnel: str,
    expected: Callable[[str], str],
) -> None:
    """And its outer packet is taken as any that meets the output chain, or by no rule at all."""
    socket, other = divert(PORT), divert(PORT + 1)
    interface = NEAR.interface if chain == "input" else tunnel
    chains.append(f"{chain} -i {interface} -j DIVERT {PORT}")
    chains.append(f"output -i {FAR.interface} -j DIVERT {PORT + 1}")
    near.send(IP(INNER))
    taken = socket.take()
    assert taken.data == (INNER if chain == "input" else hop(INNER))
    assert left(guest, far) == []
    socket.reinject(taken)
    if expected("outer-packet") == "the output chain":
        taken = other.take()
        assert bytes(IP(taken.data).payload) == hop(INNER)
        assert left(guest, far) == []
        other.reinject(taken)
    (outer,) = (IP(data) for data in left(guest, far))
    assert bytes(outer.payload) == hop(INNER)
    assert socket.rest() == other.rest() == []


@statement("R2/special", "R2/hooks", "I2/ttl", "I2/options", "I2/dont-fragment")
@pytest.mark.parametrize(
    ("fields", "hooks", "told", "arrives"),
    [
        pytest.param({"ttl": 1}, "input", (11, 0), False, id="ttl-1"),
        pytest.param({"ttl": 2}, "input forward output", None, True, id="ttl-2"),
        pytest.param({"options": b"\1" * 7 + b"\0"}, "input forward output", None, True, id="nops"),
        pytest.param({"options": b"\x94\4\0\0"}, "input forward output", None, True, id="alert"),
        pytest.param({"flags": "DF"}, "input", (3, 4), False, id="dont-fragment"),
        pytest.param({"dst": "203.0.113.9"}, "input", (3, 0), False, id="no-route"),
        pytest.param({"dst": "192.0.2.255"}, "input", None, False, id="broadcast"),
        pytest.param({"dst": "255.255.255.255"}, "input", None, False, id="limited"),
        # Without the option 2.2.12 leaves to chance whether the card lets a group's frames in: of
        # each group's entry `loaded` is not initialized (igmp.c, ip_mc_inc_group).
        pytest.param(
            {"dst": "224.0.0.1"}, "input", None, False, id="multicast", marks=needs("multicast")
        ),
        pytest.param({"dst": "192.0.2.50"}, "input", None, False, id="alias"),
        pytest.param({"dst": FAR.guest_ip}, "input", None, False, id="other-address"),
    ],
)
@needs("aliases")
def test_hooks_that_a_packet_meets(
    fields: dict[str, Any],
    hooks: str,
    told: tuple[int, int] | None,
    arrives: bool,
    guest: Machine,
    near: Wire,
    far: Wire,
    shell: Shell,
    divert: Divert,
    chains: Chains,
    icmp_errors: None,
) -> None:
    """Given back at each, it ends as it does without the rules: once, and told of once."""
    mtu = 600 if "flags" in fields else 1500
    shell.check(f"ifconfig eth1:0 192.0.2.50 netmask 255.255.255.0 && ifconfig eth2 mtu {mtu}")
    header = {"src": NEAR.host_ip, "dst": FAR.host_ip, "id": 0x99, "ttl": 9, "proto": 99, **fields}
    packet = built(IP(**header) / bytes(700))

    def ends() -> tuple[list[bytes], list[bytes]]:
        # An ICMP error of the guest's has an identification of its own.
        return left(guest, far), [data[20:] for data in left(guest, near)]

    near.send(IP(packet))
    without = ends()
    sockets = {chain: divert(PORT + n) for n, chain in enumerate(CHAINS)}
    chains.append(
        f"input -i {NEAR.interface} -p 99 -j DIVERT {PORT}",
        f"forward -p 99 -j DIVERT {PORT + 1}",
        f"output -i {FAR.interface} -p 99 -j DIVERT {PORT + 2}",
    )
    near.send(IP(packet))
    for chain in hooks.split():
        socket = sockets[chain]
        socket.reinject(socket.take())
    sent, errors = ends()
    assert (sent, errors) == without
    assert sent == ([hop(packet)] if arrives else [])
    told_of = [(data[0], data[1]) for data in errors if data[0] in (3, 11) and data[1] != 2]
    assert told_of == ([told] if told else [])
    assert all(socket.rest() == [] for socket in sockets.values())
