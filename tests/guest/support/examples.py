# SPDX-License-Identifier: GPL-2.0-only
"""Random packets and random rules for the property tests, and those examples that are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption, fragment
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from divert_reference.divert import built
from divert_reference.traffic import FAR, NEAR, UDP_PORT
from harness.network.addresses import LINKS

PORTS = (1001, 1002, 1003)
# Nobody has it and no route leads there; from there anybody may come.
FOREIGN = "203.0.113.7"


@dataclass(frozen=True)
class Sent:
    """A packet that a wire's host sends, in one frame or, if `cut`, in fragments.

    Its identification is given when it is sent: no two datagrams are to be taken for one.
    """

    wire: int
    packet: bytes
    to_all: bool
    cut: int
    backwards: bool

    def frames(self, identification: int) -> list[bytes]:
        """The frames on the wire."""
        link = LINKS[self.wire]
        mac = "ff:ff:ff:ff:ff:ff" if self.to_all else link.guest_mac
        parts = [IP(self.packet)]
        parts[0].id = identification
        del parts[0].chksum
        if self.cut:
            parts = fragment(parts[0], self.cut)
        if self.backwards:
            parts.reverse()
        header = bytes(Ether(src=link.host_mac, dst=mac, type=0x0800))
        return [header + built(part) for part in parts]


@dataclass(frozen=True)
class Own:
    """A datagram that the guest itself sends."""

    wire: int
    length: int


options = st.sampled_from(
    [
        b"",
        b"\x01\x01\x01\x00",  # no operation
        b"\x07\x0b\x04" + bytes(8) + b"\x00",  # record route, room for two
        b"\x94\x04\x00\x00",  # router alert
        b"\x86\x04ab",  # a security option, to be copied into fragments
    ]
)


@st.composite
def payloads(draw: Callable[..., Any]) -> Any:
    """What is in a packet, its checksums right."""
    body = Raw(draw(st.binary(max_size=40)) + bytes(draw(st.sampled_from([0, 0, 0, 700, 1400]))))
    port = st.sampled_from([9, UDP_PORT, UDP_PORT])
    match draw(st.sampled_from(["udp", "tcp", "icmp", "other"])):
        case "udp":
            return 17, UDP(sport=draw(port), dport=draw(port)) / body
        case "tcp":
            flags = draw(st.sampled_from(["S", "A", "PA", "R", "FA", ""]))
            return 6, TCP(
                sport=draw(port), dport=9, seq=draw(st.integers(0, 9)), flags=flags
            ) / body
        case "icmp":
            return 1, ICMP(type=draw(st.sampled_from([8, 8, 0, 77])), id=1, seq=2) / body
        case _:
            return 99, body


@st.composite
def sent(draw: Callable[..., Any]) -> Sent:
    """A packet of a wire's host, to the guest or through it."""
    wire = draw(st.sampled_from([0, 0, 1]))
    here, there = LINKS[wire], LINKS[1 - wire]
    header = IP(
        src=draw(st.sampled_from([here.host_ip, here.host_ip, FOREIGN])),
        dst=draw(
            st.sampled_from(
                [
                    there.host_ip,
                    there.host_ip,
                    here.guest_ip,
                    there.guest_ip,
                    "192.0.2.255",
                    FOREIGN,
                ]
            )
        ),
        ttl=draw(st.sampled_from([64, 1, 2, 255])),
        tos=draw(st.integers(0, 255)),
    )
    header.options = draw(options)
    header.proto, payload = draw(payloads())
    # Four fragments at the most: no packet of an example is to be lost in the guest's card.
    cut = 24 if len(payload) < 100 else 400
    if not draw(st.sampled_from([False, False, True])):
        cut = 0
        header.flags = draw(st.sampled_from([0, "DF"]))
    return Sent(
        wire=wire,
        packet=built(header / payload),
        to_all=draw(st.integers(0, 7)) == 7,
        cut=cut,
        backwards=draw(st.booleans()),
    )


own = st.builds(Own, wire=st.sampled_from([0, 1]), length=st.sampled_from([0, 100, 1472, 4000]))


@st.composite
def rules(draw: Callable[..., Any]) -> str:
    """A rule that takes packets of the wires, or counts them, or jumps to the user's chain."""
    chain = draw(st.sampled_from(["input", "forward", "output", "user"]))
    words = [chain, "-i", draw(st.sampled_from(["eth1", "eth2"]))]
    words += draw(st.sampled_from(["", "", "", "", "-p 17", "-p 6", "-p 1", "-p 99"])).split()
    if side := draw(st.sampled_from(["", "", "", "-s", "-d", "-s !", "-d !"])):
        address = draw(st.sampled_from([NEAR.host_ip, FAR.host_ip, "192.0.2.0/24"]))
        words += [*side.split(), address]
    words += draw(st.sampled_from(["", "", "", "", "-f", "! -f"])).split()
    targets = [f"DIVERT {port}" for port in PORTS] * 2 + [""]
    if chain != "user":
        targets += ["user"] * 2
    if target := draw(st.sampled_from(targets)):
        words += ["-j", target]
    return " ".join(words)


@dataclass(frozen=True)
class Example:
    """What is sent, and the rules that make no difference."""

    packets: tuple[Sent | Own, ...]
    rules: tuple[str, ...]


examples = st.builds(
    Example,
    packets=st.lists(st.one_of(sent(), sent(), sent(), own), min_size=2, max_size=9).map(tuple),
    rules=st.lists(rules(), min_size=2, max_size=8).map(tuple),
)


def kept(packet: IP, *rules: str, to_all: bool = False, cut: int = 0) -> Example:
    """An example of one packet of wire 0's host, its fragments backwards."""
    return Example((Sent(0, built(packet), to_all, cut, backwards=True),), rules)


# What has once made a difference, in the kernel or by a fault of this test, shrunk.
RECORD = b"\x07\x0b\x04" + bytes(8) + b"\x00"
KEPT = (
    # A quoted option in an error with the option.
    kept(
        IP(src=NEAR.host_ip, dst=FOREIGN, options=IPOption(RECORD)) / UDP(dport=9),
        f"input -i eth1 -j DIVERT {PORTS[0]}",
    ),
    # Fragments of a broadcast of the other wire, with an option.
    kept(
        IP(src=FOREIGN, dst="198.51.100.255", options=IPOption(RECORD))
        / UDP(dport=UDP_PORT)
        / bytes(900),
        f"input -i eth1 -j DIVERT {PORTS[0]}",
        f"input -i eth1 -j DIVERT {PORTS[1]}",
        cut=400,
    ),
    # Two ports in a chain that is come by twice: once an endless loop.
    kept(
        IP(src=NEAR.host_ip, dst=FAR.host_ip) / UDP(dport=9),
        f"user -i eth1 -j DIVERT {PORTS[0]}",
        f"user -i eth1 -j DIVERT {PORTS[1]}",
        "input -i eth1 -j user",
        "input -i eth1 -j user",
    ),
    # A datagram that this host sends in fragments.
    Example(
        (Own(wire=0, length=4000),),
        (f"output -i eth1 -f -j DIVERT {PORTS[0]}", f"output -i eth1 -j DIVERT {PORTS[1]}"),
    ),
)
