# SPDX-License-Identifier: GPL-2.0-only
"""M8. Kept packets: what is read stays in the kernel until the program says what becomes of it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from scapy.layers.inet import IP, UDP, IPOption

from divert_reference.chains import Chains
from divert_reference.divert import DivertSocket, Taken, built, left
from divert_reference.programs import Calls, Counters, ProcDivert
from divert_reference.traffic import (
    FAR,
    NEAR,
    PLACES,
    PROTOCOLS,
    Place,
    Traffic,
    header_is_right,
    hop,
)
from harness.guest import memory
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.kept import (
    ACCEPT,
    DROP,
    EMPTY,
    KEEP,
    LEVEL,
    READ,
    TOLD,
    VERDICT,
    Keeper,
    number,
)
from tests.guest.support.sockets import LARGEST, SMALL, Filler
from tests.guest.support.streams import BYTES, stream

statement = pytest.mark.statement
needs = pytest.mark.needs
places = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
Proc = Callable[[], ProcDivert]

PORT = 1234


@pytest.fixture
def keeper(calls: Calls) -> Keeper:
    """A socket that keeps, on PORT."""
    return Keeper(calls, PORT)


def numbered(near: Wire, count: int, body: bytes = b"one of many") -> list[bytes]:
    """Datagrams through the guest, told by their identification, sent in order."""
    sent = [Traffic.packet("through", "udp", body, each) for each in range(count)]
    for packet in sent:
        near.send(packet)
    return [bytes(packet) for packet in sent]


@statement("M8/same", "M8/numbers")
@places
@pytest.mark.parametrize("late", [False, True], ids=["", "queued-before"])
def test_kept_packet_goes_on_as_it_was(
    late: bool,
    place: Place,
    traffic: Traffic,
    keeper: Keeper,
    chains: Chains,
    proc_divert: Proc,
) -> None:
    """Also one that was queued before the option was set: it has less room in front."""
    chains.append(place.rule(f"DIVERT {PORT}"))
    keeper.keep(0 if late else TOLD)
    flows = [traffic.send(place.path, protocol) for protocol in PROTOCOLS]
    assert traffic.arrived(flows) == []
    keeper.keep(TOLD)
    taken = [keeper.take() for _ in flows]
    assert {packet.interface for packet in taken} == {place.interface}
    assert traffic.arrived(flows) == []
    for packet in taken:
        keeper.go_on(packet)
    if place.path == "out":
        assert traffic.arrived(flows) == [packet.data for packet in taken]
    else:
        assert traffic.arrived(flows) == [flow.arrives_as() for flow in flows]
    assert [number(packet) for packet in taken] == list(range(len(PROTOCOLS)))
    assert proc_divert().ports[PORT] == Counters(0, len(PROTOCOLS), 0, len(PROTOCOLS))
    assert {keeper.not_kept(packet) for packet in taken} == {"ENOENT"}


@statement("M8/same")
@pytest.mark.parametrize("place", PLACES[1:4], ids=lambda place: place.name)
def test_as_its_bytes_would(
    place: Place, guest: Machine, calls: Calls, chains: Chains, near: Wire, far: Wire
) -> None:
    """Options, a mark that rules change, no identification: beside the same packet, sent again."""
    plain, keeper = DivertSocket(calls, PORT + 1), Keeper(calls, PORT)
    route = [IPOption(b"\x07\x0b\x04" + bytes(8)), IPOption(b"\x01")]
    sent = [
        built(IP(src=NEAR.host_ip, dst=FAR.host_ip, ttl=9, **fields) / UDP(dport=7) / b"same")
        for fields in ({"id": 7}, {"id": 8, "options": route}, {"id": 0, "flags": "DF"})
    ]
    found = []
    for socket in (plain, keeper):
        chains.flush()
        # The second rule sees what goes on after the first (T3), and what both have marked.
        chains.append(f"{place.chain} {place.match} -m 5 -j DIVERT {socket.port}")
        chains.append(f"{place.chain} {place.match} -t 0xff 0x10")
        for packet in sent:
            near.send(IP(packet))
        for _ in sent:
            taken = socket.take()
            keeper.go_on(taken) if socket is keeper else plain.reinject(taken)
        came = left(guest, far)
        assert all(header_is_right(data) and data[4:6] != b"\0\0" for data in came)
        # Identifications that are filled in differ (I5), and the checksum with them.
        found.append([(data[:4], data[6:10], data[12:]) for data in came])
        assert chains.counts(place.chain)[1] == len(sent)
    assert len(found[0]) == len(sent)
    assert found[0] == found[1]


@statement("M8/same")
@pytest.mark.parametrize("length", [20, 60], ids=["copied", "not-copied"])
@pytest.mark.parametrize("chain", ["forward", "output"])
def test_by_a_route_that_is_there(
    chain: str,
    length: int,
    guest: Machine,
    shell: Shell,
    keeper: Keeper,
    chains: Chains,
    near: Wire,
    far: Wire,
) -> None:
    """Not by the one that was there when it was taken, if that has changed since.

    What is so short that its buffer is more than twice what it needs is copied, and has none.
    """
    chains.append(f"{chain} -p UDP -j DIVERT {PORT}")
    before, after = numbered(near, 2, bytes(length))
    first, second = keeper.take(), keeper.take()
    keeper.go_on(first)
    assert left(guest, far) == [hop(before)]
    shell.check(f"route add -host {FAR.host_ip} gw {NEAR.host_ip}")
    near.clear()
    keeper.go_on(second)
    assert left(guest, near) == [hop(after)]
    assert left(guest, far) == []


@statement("M8/many", "M8/dropped")
def test_verdict_on_many(
    guest: Machine, keeper: Keeper, chains: Chains, near: Wire, far: Wire, proc_divert: Proc
) -> None:
    chains.append(f"forward -p UDP -j DIVERT {PORT}")
    sent = numbered(near, 12)
    taken = [keeper.take() for _ in sent]
    assert [number(packet) for packet in taken] == list(range(12))
    keeper.settle(ACCEPT, 3, 6)
    keeper.settle(DROP, 5, 8)
    keeper.settle(ACCEPT, -1000, 1)
    keeper.go_on(taken[10])
    # In the order in which they were read, whatever has gone on before.
    keeper.settle(ACCEPT, 2, 2**31 - 1)
    order = [3, 4, 5, 6, 0, 1, 10, 2, 9, 11]
    assert left(guest, far) == [hop(sent[each]) for each in order]
    assert proc_divert().ports[PORT] == Counters(0, 12, 0, len(order))


@statement("M8/changed")
def test_other_bytes_go_in_its_place(
    guest: Machine, keeper: Keeper, chains: Chains, near: Wire, far: Wire, proc_divert: Proc
) -> None:
    chains.append(f"forward -p UDP -j DIVERT {PORT}")
    (packet,) = numbered(near, 1)
    taken = keeper.take()
    changed = IP(hop(packet))
    changed.tos = 0x10
    del changed.chksum
    # A refused one leaves it where it is.
    assert keeper.refused(b"\x65" + taken.data[1:], taken.address) == "EINVAL"
    assert keeper.refused(taken.data[:19], taken.address) == "EINVAL"
    keeper.reinject(taken, bytes(changed))
    assert left(guest, far) == [bytes(changed)]
    assert keeper.not_kept(taken) == "ENOENT"
    assert keeper.refused(taken.data, taken.address) == "ENOENT"
    assert left(guest, far) == []
    assert proc_divert().ports[PORT].injected == 1


@statement("M8/read", "M8/dropped")
def test_what_nothing_is_said_of_goes_on_at_the_next_read(
    guest: Machine, keeper: Keeper, calls: Calls, chains: Chains, near: Wire, far: Wire
) -> None:
    chains.append(f"forward -p UDP -j DIVERT {PORT}")
    keeper.keep(READ)
    sent = [hop(packet) for packet in numbered(near, 4)]
    assert keeper.take().data == sent[0]
    calls.ok("recvfrom", keeper.name, LARGEST, "peek")
    assert left(guest, far) == []
    assert keeper.take().data == sent[1]
    assert left(guest, far) == sent[:1]
    keeper.settle(DROP, 1, 1)
    assert keeper.take().data == sent[2]
    assert keeper.take().data == sent[3]
    assert left(guest, far) == sent[2:3]
    assert keeper.rest() == []
    assert left(guest, far) == sent[3:]


@needs("mmsg")
@statement("M8/read")
def test_of_packets_read_by_one_call_those_that_another_read_followed_have_gone_on(
    guest: Machine, keeper: Keeper, calls: Calls, chains: Chains, near: Wire, far: Wire
) -> None:
    """Each is the next read of the one before it, before the program has seen either."""
    chains.append(f"forward -p UDP -j DIVERT {PORT}")
    keeper.keep(READ)
    sent = [hop(packet) for packet in numbered(near, 3)]
    guest.barrier()
    row = calls.ok("recvmmsg", keeper.name, 8)
    # It has looked for a fourth, which is a read, too: of what is kept nothing is left.
    assert (row["result"], bytes.fromhex(row["hex"])) == (3, b"".join(sent))
    assert left(guest, far) == sent
    numbered(near, 2)
    guest.barrier()
    row = calls.ok("recvmmsg", keeper.name, 2)
    assert left(guest, far) == sent[:1]
    assert calls.ok("sendto", keeper.name, EMPTY, f"hex:{row['from']['hex']}")["result"] == 0
    assert left(guest, far) == sent[1:2]


@statement("M8/charged", "M8/dropped")
def test_what_is_kept_fills_the_queue(calls: Calls, chains: Chains, proc_divert: Proc) -> None:
    filler = Filler(calls, chains, PORT)
    fits = filler.fits()
    keeper = Keeper(calls, PORT)
    first = proc_divert().ports[PORT].delivered
    filler.send(SMALL, fits)
    taken = [keeper.take() for _ in range(3)]
    filler.send(SMALL, 5)
    assert proc_divert().ports[PORT] == Counters(fits * SMALL, first + fits, 5, 0)
    keeper.settle(DROP, number(taken[0]), number(taken[1]))
    filler.send(SMALL, 5)
    assert proc_divert().ports[PORT] == Counters(fits * SMALL, first + fits + 2, 8, 0)
    # Without the option what is kept is gone, and what is read as before.
    keeper.keep(0)
    filler.send(SMALL, 5)
    assert proc_divert().ports[PORT] == Counters(fits * SMALL, first + fits + 3, 12, 0)
    assert keeper.not_kept(taken[2]) == "ENOENT"
    keeper.take()
    filler.send(SMALL, 5)
    assert proc_divert().ports[PORT] == Counters(fits * SMALL, first + fits + 4, 16, 0)


@statement("M8/dropped")
def test_close_frees_what_is_kept(shell: Shell, calls: Calls, chains: Chains) -> None:
    filler = Filler(calls, chains, PORT)
    fits = filler.fits()
    before = memory.in_use(shell)
    for _ in range(3):
        keeper = Keeper(calls, PORT)
        for verdict in (DROP, None):
            filler.send(SMALL, fits)
            row = calls("repeat", fits, "recvfrom", keeper.name, LARGEST, "dontwait")
            assert row["succeeded"] == fits
            if verdict is not None:
                keeper.settle(verdict, 0, fits - 1)
        full = memory.in_use(shell)
        assert abs(full.buffers - before.buffers - fits) <= before.slack[memory.BUFFERS]
        keeper.close()
    assert memory.lost(before, memory.in_use(shell)) == {}


@statement("M8/numbers")
def test_only_what_is_read_has_a_number(
    guest: Machine, keeper: Keeper, calls: Calls, chains: Chains, near: Wire, far: Wire
) -> None:
    """Not what is looked at with MSG_PEEK; and it is the number of one socket."""
    chains.append(f"forward -p UDP -j DIVERT {PORT}")
    (packet, _) = numbered(near, 2)
    guest.barrier()
    for _ in range(2):
        looked = calls.ok("recvfrom", keeper.name, LARGEST, "peek")
        assert bytes.fromhex(looked["hex"]) == hop(packet)
    peeked = Taken(hop(packet), "", f"hex:{looked['from']['hex']}")
    # Its address is that of a packet that is not kept: no bytes are no packet.
    assert keeper.not_kept(peeked) == "EINVAL"
    first, second = keeper.take(), keeper.take()
    assert (number(first), number(second)) == (0, 1)
    other = Keeper(calls, PORT + 1)
    assert other.not_kept(first) == "ENOENT"
    assert other.refused(first.data, first.address) == "ENOENT"
    keeper.settle(ACCEPT, 0, 1)
    assert len(left(guest, far)) == 2


@statement("M8/errors")
def test_errors(keeper: Keeper, calls: Calls) -> None:
    plain = DivertSocket(calls, PORT + 1)
    for words, error in (
        (keeper.words(ACCEPT, 0, 5), "ENOENT"),
        (keeper.words(DROP, 0, 5), "ENOENT"),
        (keeper.words(2, 0, 5), "EINVAL"),
        (keeper.words(ACCEPT, 5, 4), "EINVAL"),
        (("setsockopt", keeper.name, LEVEL, VERDICT, "zero:8"), "EINVAL"),
        (("setsockopt", keeper.name, LEVEL, VERDICT, "zero:16"), "EINVAL"),
        (("setsockopt", keeper.name, LEVEL, KEEP, "zero:3"), "EINVAL"),
        (("setsockopt", keeper.name, LEVEL, KEEP, "int:3"), "EINVAL"),
        (("setsockopt", keeper.name, LEVEL, KEEP, "int:-1"), "EINVAL"),
        (("setsockopt", keeper.name, LEVEL, KEEP, "null:4"), "EFAULT"),
        (("setsockopt", keeper.name, LEVEL, VERDICT, "null:12"), "EFAULT"),
        (("setsockopt", keeper.name, LEVEL, 3, "int:1"), "ENOPROTOOPT"),
        (("getsockopt", keeper.name, LEVEL, VERDICT, 12), "ENOPROTOOPT"),
        (("getsockopt", keeper.name, LEVEL, KEEP, 3), "EINVAL"),
        (("sendto", plain.name, EMPTY, "none"), "EINVAL"),
    ):
        assert calls.error(*words) == error, words
    assert calls.ok("getsockopt", keeper.name, LEVEL, KEEP, 4)["value"] == 1
    assert calls.ok("getsockopt", plain.name, LEVEL, KEEP, 8)["value"] == 0


@statement("M8/stream", "M8/many")
@pytest.mark.parametrize("words", ["--keep", "--keep --batch 32", "--read"])
@pytest.mark.parametrize("chain", ["output", "input"])
def test_stream_by_a_program_that_keeps(
    chain: str, words: str, shell: Shell, calls: Calls, chains: Chains, proc_divert: Proc
) -> None:
    """TCP reads and frees its own segments meanwhile; these are copies, with room in front."""
    program = shell.start(f"bench-reinject {words} {PORT}", ready='"ready"')
    chains.append(f"{chain} -i lo -p TCP -j DIVERT {PORT}")
    stream(Calls(shell), calls, "127.0.0.1")
    chains.flush()
    program.signal("TERM")
    said = json.loads(program.wait().stdout.splitlines()[-1])
    assert said["packets"] > BYTES / LARGEST
    assert said["calls"] <= said["packets"]
    assert proc_divert().ports == {}
