# SPDX-License-Identifier: GPL-2.0-only
"""R2. The table: every chain on every path, x protocol x size x listener."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP

from divert_reference.chains import Chains
from divert_reference.divert import DivertSocket, Taken, built
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls, ProcDivert
from divert_reference.traffic import FAR, NEAR, OTHER, PLACES, Place, hop, ip_packets
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from tests.guest.support.datagrams import LARGEST, body, cut, glue
from tests.guest.support.sockets import hexed

statement = pytest.mark.statement

PORT = 1234
# On the loopback a packet meets output, then input.
LOOPBACK = "127.0.0.1"
TABLE_PLACES = (
    *PLACES,
    Place("output-loopback", "output", "lo", "-i lo", "0.0.0.0"),
    Place("input-loopback", "input", "lo", "-i lo", LOOPBACK),
)
# Without transport header, the smallest of each protocol, odd ones, and those that just fit.
SIZES = (28, 41, 576, 1499, 1500)
# Nothing that the guest's stack answers, which would come by the same wire.
TRANSPORTS = {
    1: ICMP(type=0, id=5, seq=6),
    17: UDP(sport=3000, dport=4000),
    6: TCP(sport=3000, dport=4000, flags="R"),
    OTHER: b"",
}
ENDS = {
    "in": (NEAR.host_ip, NEAR.guest_ip),
    "through": (NEAR.host_ip, FAR.host_ip),
    "out": (NEAR.guest_ip, NEAR.host_ip),
    "lo": (LOOPBACK, LOOPBACK),
}
FIRST_ID = 0x7100


def packets(path: str, sizes: tuple[int, ...]) -> list[bytes]:
    """A packet of each protocol and size; the smallest of TCP has 40 bytes."""
    source, destination = ENDS[path]
    numbers = itertools.count(FIRST_ID)
    made = []
    for protocol, transport in TRANSPORTS.items():
        for size in sizes:
            header = IP(src=source, dst=destination, id=next(numbers), ttl=9, proto=protocol)
            smallest = built(header / transport)
            made.append(built(header / transport / body(max(0, size - len(smallest)))))
    return made


def describe(data: bytes) -> str:
    """A cell of the table, for a failure."""
    return f"protocol {data[9]}, {len(data)} bytes, id {IP(data).id:#x}"


class Ends:
    """Sends packets into a path, and looks what comes out at its end."""

    def __init__(self, guest: Machine, calls: Calls, path: str) -> None:
        self._guest = guest
        self._calls = calls
        self._path = path
        calls.ok("socket", "sender", "inet", "raw", "raw")
        if path in ("in", "lo"):
            # So that the stack answers no datagram.
            calls.ok("socket", "sink", "inet", "dgram", 17)
            calls.ok("bind", "sink", "in:0.0.0.0:4000")
            for protocol in TRANSPORTS:
                calls.ok("socket", f"end-{protocol}", "inet", "raw", protocol)
                calls.ok("bind", f"end-{protocol}", f"in:{ENDS[path][1]}:0")
                calls.ok("setsockopt", f"end-{protocol}", "socket", "rcvbuf", "int:262144")

    def send(self, made: list[bytes]) -> list[str]:
        """Send them; what the sender was told of each, which a wire's is not."""
        if self._path in ("in", "through"):
            near = self._guest.wires[0]
            near.send_all(IP(part) for data in made for part in pieces(data))
            return [""] * len(made)
        to = f"in:{ENDS[self._path][1]}:0"
        rows = [self._calls("sendto", "sender", hexed(data), to) for data in made]
        return [row.get("error", "") for row in rows]

    def arrived(self) -> list[bytes]:
        """What came out since the last look, whole, in the order of identifications."""
        self._guest.barrier()
        found: list[bytes] = []
        if self._path in ("in", "lo"):
            for protocol in TRANSPORTS:
                found += self._calls.drain(f"end-{protocol}")
        else:
            wire = self._guest.wires[1 if self._path == "through" else 0]
            found = glue_large(ip_packets(wire.captured()))
            wire.clear()
        # Answers of the guest's have other identifications.
        ours = [data for data in found if IP(data).id >= FIRST_ID]
        return sorted(ours, key=lambda data: int(IP(data).id))


def pieces(data: bytes) -> list[bytes]:
    """A packet as it comes by a wire."""
    return cut(data) if len(data) > 1500 else [data]


def glue_large(found: list[bytes]) -> list[bytes]:
    """Packets, and wholes of those that are fragments."""
    parts = [data for data in found if data[6] & 0x3F or data[7]]
    return [data for data in found if data not in parts] + glue(parts)


def take_all(socket: DivertSocket, expected: list[bytes]) -> list[Taken]:
    """Everything that waits, which has to be this."""
    taken = [socket.take() for _ in expected]
    assert socket.rest() == []
    for each, wanted in zip(taken, expected, strict=True):
        assert each.data == wanted, describe(wanted)
    return taken


Outcome = Callable[[str], str]
tables = pytest.mark.parametrize("place", TABLE_PLACES, ids=lambda place: place.name)


@statement("R2/table", "R2/hooks", "T4", "P3/comes", "P3/goes")
@tables
def test_table(
    place: Place,
    guest: Machine,
    calls: Calls,
    divert: Divert,
    chains: Chains,
    proc_divert: Callable[[], ProcDivert],
    expected: Outcome,
) -> None:
    """No listener, one, two, and one that dies, one after the other, for the same packets."""
    made = packets(place.path, SIZES)
    # In the middle of the path, and at its end.
    seen = made if place.path != "through" or place.chain == "input" else list(map(hop, made))
    last = list(map(hop, made)) if place.path == "through" else made
    ends = Ends(guest, calls, place.path)
    rule = f"{place.chain} {place.match}"
    source = f"-s {ENDS[place.path][0]}"
    chains.append(f"{rule} {source} -j DIVERT {PORT}", f"{rule} {source} -j DIVERT {PORT + 1}")
    # Nobody listens: both rules ask, or the first one's answer is the end.
    passes = expected("no-listener") == "passes"
    errors = ends.send(made)
    denied = place.chain == "output" and place.path in ("out", "lo") and not passes
    assert errors == ["EPERM" if denied else ""] * len(made)
    assert ends.arrived() == (last if passes else [])
    assert proc_divert().no_listener == len(made) * (2 if passes else 1)
    # One, which gives back; the second rule finds nobody, so there is none of it.
    first = divert(PORT)
    chains(f"-D {place.chain} 2")
    assert ends.send(made) == [""] * len(made)
    assert ends.arrived() == []
    for each in take_all(first, seen):
        assert each.interface == place.interface
        first.reinject(each)
    assert ends.arrived() == last
    # Two, one behind the other.
    second = divert(PORT + 1)
    chains.append(f"{rule} {source} -j DIVERT {PORT + 1}")
    ends.send(made)
    for each in take_all(first, seen):
        first.reinject(each)
    assert ends.arrived() == []
    for each in take_all(second, seen):
        second.reinject(each)
    assert ends.arrived() == last
    # One that dies with all of them, and then is missed.
    chains(f"-D {place.chain} 2")
    ends.send(made)
    assert proc_divert().ports[PORT].delivered == 3 * len(made)
    first.close()
    assert ends.arrived() == []
    ends.send(made[:1])
    assert ends.arrived() == (last[:1] if passes else [])
    assert second.rest() == []


@statement("R2/large", "F4/largest", "T4")
@tables
def test_table_of_the_largest(
    place: Place,
    guest: Machine,
    calls: Calls,
    divert: Divert,
    chains: Chains,
    shell: Shell,
    expected: Outcome,
) -> None:
    """One by one, for each fills the queue."""
    shell.check("echo 262144 >/proc/sys/net/core/rmem_max")
    ends = Ends(guest, calls, place.path)
    rule = f"{place.chain} {place.match} -s {ENDS[place.path][0]} -j DIVERT {PORT}"
    chains.append(rule)
    sizes = packets(place.path, (LARGEST,))
    for made in sizes:
        last = hop(made) if place.path == "through" else made
        ends.send([made])
        assert ends.arrived() == ([last] if expected("no-listener") == "passes" else [])
    socket = divert(PORT)
    for made in sizes:
        last = hop(made) if place.path == "through" else made
        assert ends.send([made]) == [""]
        assert ends.arrived() == []
        (taken,) = take_all(socket, [made if place.chain == "input" else last])
        socket.reinject(taken)
        assert ends.arrived() == [last], describe(made)
    assert socket.rest() == []
