# SPDX-License-Identifier: GPL-2.0-only
"""I. Injection, for random packets and rules: what is given back unchanged changes nothing.

Each example sends its packets twice, first without a rule, then with its rules and a program on
each port that gives everything back; what leaves by the wires, and what a socket of the guest's
hears, has to be the same. The guest is not restored between examples: the rules are flushed. All
is drawn from the run's seed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, configuration, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from harness.deadline import Deadline
from harness.errors import GuestError
from harness.machine import Machine
from harness.network import LINKS
from harness.worker import WorkerSpec
from tests.guest.chains import Chains
from tests.guest.conftest import Listen
from tests.guest.divert import built
from tests.guest.programs import Calls, ProcDivert
from tests.guest.traffic import FAR, NEAR, UDP_PORT, ip_packets

statement = pytest.mark.statement

# About 0.1 s each.
EXAMPLES = 20
SETTLED_SECONDS = 10.0
PORTS = (1001, 1002, 1003)
PROTOCOLS = {"udp": 17, "tcp": 6, "icmp": 1, "other": 99}
# Nobody has it and no route leads there; from there anybody may come.
FOREIGN = "203.0.113.7"
# Offsets in an IP header.
IDENTIFICATION, CHECKSUM = slice(4, 6), slice(10, 12)


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
    match draw(st.sampled_from([*PROTOCOLS])):
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
    packets=st.lists(st.one_of(sent(), sent(), sent(), own), min_size=4, max_size=9).map(tuple),
    rules=st.lists(rules(), min_size=3, max_size=8).map(tuple),
)


class Bench:
    """Runs examples, one after another, in one guest."""

    def __init__(self, guest: Machine, calls: Calls, chains: Chains) -> None:
        self._guest = guest
        self._calls = calls
        self._chains = chains
        self._identifications = itertools.count(0x1000)
        for name in ("receiver", "sender"):
            calls.ok("socket", name, "inet", "dgram", 17)
        calls.ok("bind", "receiver", f"in:0.0.0.0:{UDP_PORT}")
        chains("-N user")

    def check(self, example: Example) -> None:
        """Send the packets without the rules and with them."""
        sent = [(each, self._frames(each)) for each in example.packets]
        without = self._outcome(sent)
        words = " && ipchains -A ".join(example.rules)
        self._chains(f"-A {words}")
        try:
            assert self._outcome(sent) == without
        finally:
            self._chains("-F")

    def _frames(self, packet: Sent | Own) -> list[bytes]:
        return packet.frames(next(self._identifications)) if isinstance(packet, Sent) else []

    def _outcome(self, packets: list[tuple[Sent | Own, list[bytes]]]) -> list[list[bytes]]:
        for wire in self._guest.wires:
            wire.clear()
        for packet, frames in packets:
            if isinstance(packet, Own):
                to = f"in:{LINKS[packet.wire].host_ip}:9"
                self._calls.ok("sendto", "sender", f"zero:{packet.length}", to)
            else:
                self._guest.wires[packet.wire].send_all(frames)
        self._settle()
        left = [sorted(map(plain, ip_packets(wire.captured()))) for wire in self._guest.wires]
        return [*left, sorted(self._calls.drain("receiver"))]

    def _settle(self) -> None:
        """Wait until the programs have given back all that they were given, and it has left."""
        deadline = Deadline(SETTLED_SECONDS, "all packets given back")
        self._guest.barrier()
        while any(
            counts.queued or counts.delivered != counts.injected
            for counts in self.counts().ports.values()
        ):
            if deadline.expired:
                raise GuestError(f"not {deadline.what} within {deadline.seconds:g} s")
        self._guest.barrier()

    def counts(self) -> ProcDivert:
        self._calls.ok("open", "counts", "/proc/net/divert", "read")
        return ProcDivert.parse(
            bytes.fromhex(self._calls.ok("read", "counts", 4096)["hex"]).decode()
        )


def plain(data: bytes) -> bytes:
    """A packet; of the guest's own without what is never twice the same.

    That is the identification, and in an ICMP error what 2.2.12 quotes from behind the end of the
    packet, with the checksum over it.
    """
    if data[12:16] not in OWN_ADDRESSES:
        return data
    cleared = bytearray(data)
    cleared[IDENTIFICATION] = cleared[CHECKSUM] = b"\0\0"
    icmp = (data[0] & 15) * 4
    if data[9] == 1 and data[icmp] in ICMP_ERRORS:
        cleared[icmp + 2 : icmp + 4] = b"\0\0"
        quoted = icmp + 8
        del cleared[quoted + int.from_bytes(data[quoted + 2 : quoted + 4], "big") :]
    return bytes(cleared)


# Unreachable, redirect, time exceeded, parameter problem (RFC 792).
ICMP_ERRORS = {3, 5, 11, 12}
OWN_ADDRESSES = {bytes(map(int, link.guest_ip.split("."))) for link in LINKS}


@pytest.fixture
def bench(
    guest: Machine, calls: Calls, chains: Chains, listen: Listen, icmp_errors: None
) -> Iterator[Bench]:
    listeners = [listen(port, "--reinject", "--limit", "0") for port in PORTS]
    yield Bench(guest, calls, chains)
    for listener in listeners:
        assert all(seen.error is None for seen in listener.finish())


# What this test found, shrunk.
KEPT: tuple[Example, ...] = ()


@statement("I2/property")
def test_no_difference_for_random_packets_and_rules(
    bench: Bench, worker_spec: WorkerSpec, artifacts: Path
) -> None:
    configuration.set_hypothesis_home_dir(artifacts)
    for example in KEPT:
        bench.check(example)

    @hypothesis.seed(worker_spec.seed)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(examples)
    def no_difference(example: Example) -> None:
        bench.check(example)

    no_difference()
    taken = [counts.delivered for counts in bench.counts().ports.values()]
    assert sum(taken) > EXAMPLES, "hardly a packet met a rule"
