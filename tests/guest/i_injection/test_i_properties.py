# SPDX-License-Identifier: GPL-2.0-only
"""I. Injection, for random packets and rules: what is given back unchanged changes nothing.

Each example sends its packets twice, first without a rule, then with its rules and a program on
each port that gives everything back; what leaves by the wires, and what a socket of the guest's
hears, has to be the same. The guest is not restored between examples: the rules are flushed. All
is drawn from the run's seed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, configuration, given, settings

from divert_reference.chains import Chains
from divert_reference.fixtures import Listen
from divert_reference.programs import Calls, ProcDivert
from divert_reference.traffic import UDP_PORT, ip_packets
from harness.base.deadline import Deadline
from harness.base.errors import GuestError
from harness.guest.machine import Machine
from harness.network.addresses import LINKS
from harness.run.worker import WorkerSpec
from tests.guest.support.examples import KEPT, PORTS, Example, Own, Sent, examples

statement = pytest.mark.statement

# About 0.1 s each.
EXAMPLES = 20
SETTLED_SECONDS = 10.0
# Offsets in an IP header.
IDENTIFICATION, CHECKSUM = slice(4, 6), slice(10, 12)


class Bench:
    """Runs examples, one after another, in one guest."""

    def __init__(self, guest: Machine, calls: Calls, chains: Chains) -> None:
        self._guest = guest
        self._calls = calls
        self._chains = chains
        self._identifications = itertools.count(0x1000)
        self._lost: GuestError | None = None
        # How many packets were seen on each wire, and by the receiver.
        self.seen = [0] * (len(LINKS) + 1)
        for name in ("receiver", "sender"):
            calls.ok("socket", name, "inet", "dgram", 17)
        calls.ok("bind", "receiver", f"in:0.0.0.0:{UDP_PORT}")
        chains("-N user")

    def check(self, example: Example) -> None:
        """Send the packets without the rules and with them."""
        if self._lost:
            # Of no use any more: let the search for a smaller example end at once.
            raise self._lost
        try:
            self._compare(example)
        except GuestError as error:
            self._lost = error
            raise

    def _compare(self, example: Example) -> None:
        sent = [(each, self._frames(each)) for each in example.packets]
        without = self._outcome(sent)
        self.seen = [seen + len(now) for seen, now in zip(self.seen, without, strict=True)]
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
    listeners = [listen(port, "--reinject", limit=None) for port in PORTS]
    yield Bench(guest, calls, chains)
    for listener in listeners:
        assert all(seen.error is None for seen in listener.finish())


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
        report_multiple_bugs=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(examples)
    def no_difference(example: Example) -> None:
        bench.check(example)

    no_difference()
    taken = [counts.delivered for counts in bench.counts().ports.values()]
    assert sum(taken) >= len(KEPT), "no packet met a rule"
    assert all(bench.seen), "nothing was ever seen there"
