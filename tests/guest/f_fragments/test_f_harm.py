# SPDX-License-Identifier: GPL-2.0-only
"""F6. Fragments that overlap, repeat, miss, or come too late: no harm beyond 2.2.12's own.

The table says what stock 2.2.12 makes of them, its faults included; `stock` and `off` are held to
it as all others are.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import IP

from divert_reference.chains import Chains
from divert_reference.divert import left
from divert_reference.fixtures import Divert, Listen
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, OTHER
from harness.guest.machine import Machine
from harness.network.wire import Wire
from tests.guest.support.letters import UNIT, delivered, fragments, open_raw, spelled

statement = pytest.mark.statement

PORT = 1234
# Name, fragments as they come ("3:BBB+": at three units, more to follow), what is delivered.
TABLE = (
    ("in order", "0:AAA+ 3:BBB+ 6:CC", "AAABBBCC"),
    ("reversed", "6:CC 3:BBB+ 0:AAA+", "AAABBBCC"),
    ("shuffled", "3:BBB+ 6:CC 0:AAA+", "AAABBBCC"),
    ("duplicate of the first: the later one holds", "0:AAA+ 0:DDD+ 3:BB", "DDDBB"),
    ("duplicate of the middle", "0:AA+ 2:BB+ 2:DD+ 4:CC", "AADDCC"),
    ("duplicate of the last", "2:BB 2:DD 0:AA+", "AADD"),
    ("overlaps the one before: the earlier one holds", "0:AAAA+ 2:BBBB", "AAAABB"),
    ("overlaps the one behind: the later one holds", "3:BBB 0:AAAA+", "AAAABB"),
    ("covers two", "2:BB+ 4:CC+ 0:AAAAAA+ 6:D", "AAAAAAD"),
    ("inside another", "0:AAAA+ 1:BB+ 4:CC", "AAAACC"),
    ("inside another, at its end", "0:AAAA+ 2:BB+ 4:CC", "AAAACC"),
    ("inside the last, as teardrop does", "0:AAAA+ 1:BB", ""),
    ("a hole in the middle", "0:AAA+ 6:CC", ""),
    ("no first", "3:BBB+ 6:CC", ""),
    ("no last", "0:AAA+ 3:BBB+", ""),
    ("two that are last, the shorter one later", "6:CC 3:BB 0:AAA+", ""),
    ("longer than the last allows", "5:C 3:BBBB+ 0:AAA+", ""),
    ("a fragment without a byte", "0:AAA+ 3:+ 3:BBB", "AAABBB"),
    ("replaced by an unfragmented copy", "0:AAA+ 0:WWWWW", "WWWWW"),
    ("beyond the largest packet", "0:AAA+ 8189:ZZZ 3:BBB", "AAABBB"),
)


def table_of(found: dict[int, bytes], first: int = 1) -> dict[str, str]:
    """Deliveries in the table's letters, by the names of its rows."""
    named = {}
    for number, (name, _, _) in enumerate(TABLE, first):
        data = found.get(number, b"")
        named[name] = data[::UNIT].decode()
        assert spelled(named[name]) == data, name
    return named


# Since 5.0, and in 4.19's last ones: what repeats is dropped, and the first holds; what overlaps in
# part, is empty, or lies beyond the largest packet, drops all of its datagram (CVE-2018-5391).
SINCE = {
    "duplicate of the first: the later one holds": "AAABB",
    "duplicate of the middle": "AABBCC",
    "duplicate of the last": "AABB",
    "overlaps the one before: the earlier one holds": "",
    "overlaps the one behind: the later one holds": "",
    "covers two": "",
    "a fragment without a byte": "",
    "beyond the largest packet": "",
}


@pytest.fixture
def table(expected: Callable[[str], str]) -> dict[str, str]:
    """What this kernel delivers of each row."""
    of_2_2 = {name: delivered for name, _, delivered in TABLE}
    return of_2_2 if expected("overlapping-fragments") == "as 2.2.12" else of_2_2 | SINCE


@statement("F6/stock")
def test_what_2_2_12_makes_of_them(
    guest: Machine, near: Wire, calls: Calls, table: dict[str, str]
) -> None:
    open_raw(calls)
    send_table(near)
    assert table_of(delivered(calls)) == table


def send_table(near: Wire, destination: str = NEAR.guest_ip) -> list[bytes]:
    """Send all of the table's fragments; what was sent."""
    sent: list[bytes] = []
    for number, (_, text, _) in enumerate(TABLE, 1):
        sent += fragments(text, number, destination)
    near.send_all(map(IP, sent))
    return sent


DIVERT = f"input -i {NEAR.interface} -p {OTHER} -j DIVERT {PORT}"


@statement("F1/any", "I2/bytes")
def test_taken_and_given_back_as_they_came(
    guest: Machine, near: Wire, calls: Calls, listen: Listen, chains: Chains, table: dict[str, str]
) -> None:
    open_raw(calls)
    listener = listen(PORT, "--reinject", limit=None)
    chains.append(DIVERT)
    sent = send_table(near)
    assert [seen.data for seen in listener.take(len(sent))] == sent
    guest.barrier()
    assert table_of(delivered(calls)) == table
    assert len(listener.finish()) == len(sent)


@statement("F6/diverted")
def test_diverted_and_given_back(
    guest: Machine,
    near: Wire,
    calls: Calls,
    listen: Listen,
    chains: Chains,
    expected: Callable[[str], str],
    table: dict[str, str],
) -> None:
    """With always-defragment the program too is given no more than 2.2.12 delivers."""
    open_raw(calls)
    listener = listen(PORT, "--reinject", limit=None)
    chains.append(DIVERT)
    sent = send_table(near)
    whole = expected("forwarded-fragments") == "whole"
    taken = [
        seen.data for seen in listener.take(sum(map(bool, table.values())) if whole else len(sent))
    ]
    guest.barrier()
    assert table_of(delivered(calls)) == table
    if whole:
        assert table_of({IP(data).id: data[20:] for data in taken}) == table
    assert len(listener.finish()) == len(taken)


@statement("F6/injected")
def test_injected_as_received_here(
    guest: Machine, calls: Calls, divert: Divert, table: dict[str, str]
) -> None:
    """Through a socket that never received one."""
    open_raw(calls)
    socket = divert(PORT)
    for number, (_, text, _) in enumerate(TABLE, 1):
        for each in fragments(text, number):
            socket.inject(each, f"in:{NEAR.guest_ip}:0")
    guest.barrier()
    assert table_of(delivered(calls)) == table


@statement("F6/forwarded")
def test_forwarded(
    guest: Machine, near: Wire, far: Wire, expected: Callable[[str], str], table: dict[str, str]
) -> None:
    """As they came; with always-defragment, what a host would make of them and no more."""
    sent = send_table(near, FAR.host_ip)
    found = left(guest, far)
    if expected("forwarded-fragments") == "whole":
        assert table_of({IP(data).id: data[20:] for data in found}) == table
        assert all(IP(data).frag == 0 for data in found)
    else:
        assert [data[20:] for data in found] == [data[20:] for data in sent]
        assert [data[4:8] for data in found] == [data[4:8] for data in sent]


@statement("F6/interleaved")
def test_two_datagrams_at_once(guest: Machine, near: Wire, calls: Calls) -> None:
    """Told apart by identification, source and protocol."""
    open_raw(calls)
    one, two = fragments("0:AA+ 2:BB", 1), fragments("0:CC+ 2:DD", 2)
    other = []
    for each in fragments("0:EE+ 2:FF", 1):
        packet = IP(each)
        packet.src = "192.0.2.9"
        del packet.chksum
        other.append(bytes(packet))
    for number in (1, 0):
        for some in (one, two, other):
            near.send(IP(some[number]))
    guest.barrier()
    found = sorted((IP(data).src, data[20::UNIT]) for data in calls.drain("receiver"))
    assert found == [("192.0.2.2", b"AABB"), ("192.0.2.2", b"CCDD"), ("192.0.2.9", b"EEFF")]
