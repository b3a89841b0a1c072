# SPDX-License-Identifier: GPL-2.0-only
"""F6. Fragments that overlap, repeat, miss, or come too late: no harm beyond 2.2.12's own.

The table says what stock 2.2.12 makes of them, its faults included; `stock` and `off` are held to
it as all others are.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from scapy.layers.inet import IP

from harness.deadline import Deadline
from harness.machine import Machine
from harness.shell import Shell
from harness.wire import Wire
from tests.guest.chains import Chains
from tests.guest.conftest import Divert, Listen
from tests.guest.datagrams import piece, statistics
from tests.guest.divert import left
from tests.guest.programs import Calls
from tests.guest.traffic import FAR, NEAR, OTHER

statement = pytest.mark.statement

PORT = 1234
# A letter of the table stands for so many bytes: what an offset counts.
UNIT = 8

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
COMPLETE = sum(bool(delivered) for _, _, delivered in TABLE)


def fragments(text: str, number: int, destination: str = NEAR.guest_ip) -> list[bytes]:
    """The packets that a row of the table tells of."""
    packets = []
    for word in text.split():
        offset, letters = word.split(":")
        letters, more = letters.removesuffix("+"), letters.endswith("+")
        header = IP(src=NEAR.host_ip, dst=destination, id=number, ttl=50, proto=OTHER, len=20)
        start = int(offset) * UNIT
        whole = bytes(header) + bytes(start) + spelled(letters)
        packets.append(piece(whole, start, start + len(letters) * UNIT, more))
    return packets


def spelled(letters: str) -> bytes:
    """What letters of the table stand for."""
    return b"".join(letter.encode() * UNIT for letter in letters)


def open_raw(calls: Calls) -> None:
    """A raw socket of the guest's that receives what the stack delivers."""
    calls.ok("socket", "receiver", "inet", "raw", OTHER)
    calls.ok("bind", "receiver", f"in:{NEAR.guest_ip}:0")


def delivered(calls: Calls) -> dict[int, bytes]:
    """What it received, without headers, by identification; none twice."""
    packets = calls.drain("receiver")
    found = {IP(data).id: data[20:] for data in packets}
    assert len(found) == len(packets), "delivered twice"
    for data in packets:
        assert len(data) == int.from_bytes(data[2:4], "big")
    return found


def table_of(found: dict[int, bytes], first: int = 1) -> dict[str, str]:
    """Deliveries in the table's letters, by the names of its rows."""
    named = {}
    for number, (name, _, _) in enumerate(TABLE, first):
        data = found.get(number, b"")
        named[name] = data[::UNIT].decode()
        assert spelled(named[name]) == data, name
    return named


EXPECTED = {name: delivered for name, _, delivered in TABLE}


@statement("F6/stock")
def test_what_2_2_12_makes_of_them(guest: Machine, near: Wire, calls: Calls) -> None:
    open_raw(calls)
    for number, (_, text, _) in enumerate(TABLE, 1):
        near.send_all(map(IP, fragments(text, number)))
    assert table_of(delivered(calls)) == EXPECTED


@statement("F6/diverted", "F1/any", "I2/bytes")
def test_given_back_as_they_came(
    guest: Machine,
    near: Wire,
    calls: Calls,
    listen: Listen,
    chains: Chains,
    expected: Callable[[str], str],
) -> None:
    open_raw(calls)
    listener = listen(PORT, "--reinject", "--limit", "0")
    chains.append(f"input -i {NEAR.interface} -p {OTHER} -j DIVERT {PORT}")
    sent: list[bytes] = []
    for number, (_, text, _) in enumerate(TABLE, 1):
        sent += fragments(text, number)
        near.send_all(map(IP, fragments(text, number)))
    whole = expected("forwarded-fragments") == "whole"
    taken = [seen.data for seen in listener.take(COMPLETE if whole else len(sent))]
    guest.barrier()
    assert table_of(delivered(calls)) == EXPECTED
    if whole:
        assert table_of({IP(data).id: data[20:] for data in taken}) == EXPECTED
    else:
        assert taken == sent
    assert len(listener.finish()) == len(taken)


@statement("F6/injected")
def test_injected_as_received_here(guest: Machine, calls: Calls, divert: Divert) -> None:
    """Through a socket that never received one."""
    open_raw(calls)
    socket = divert(PORT)
    for number, (_, text, _) in enumerate(TABLE, 1):
        for each in fragments(text, number):
            socket.inject(each, f"in:{NEAR.guest_ip}:0")
    guest.barrier()
    assert table_of(delivered(calls)) == EXPECTED


@statement("F6/forwarded")
def test_forwarded(guest: Machine, near: Wire, far: Wire, expected: Callable[[str], str]) -> None:
    """As they came; with always-defragment, what a host would make of them and no more."""
    sent: list[bytes] = []
    for number, (_, text, _) in enumerate(TABLE, 1):
        sent += fragments(text, number, FAR.host_ip)
        near.send_all(map(IP, fragments(text, number, FAR.host_ip)))
    found = left(guest, far)
    if expected("forwarded-fragments") == "whole":
        assert table_of({IP(data).id: data[20:] for data in found}) == EXPECTED
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


# Buffers that a look at the guest's memory, and its connection, may take or have freed.
SLACK = 8


def memory(shell: Shell) -> dict[str, int]:
    """What of those sorts of memory that fragments take is in use."""
    text = shell.check("cat /proc/slabinfo")
    rows = re.findall(r"^(skbuff_head_cache|size-(?:32|64|128|2048)) +(\d+)", text, re.MULTILINE)
    return {name: int(number) for name, number in rows}


def grown(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """What there is more of, beyond what the look itself may take."""
    more = {name: after[name] - number for name, number in before.items()}
    return {name: number for name, number in more.items() if number > SLACK}


INCOMPLETE = 40
# Long enough on a busy host; it takes 10 milliseconds.
EXPIRE_SECONDS = 5.0


def expire(shell: Shell, count: int) -> None:
    """Wait until so many datagrams have timed out."""
    deadline = Deadline(EXPIRE_SECONDS, f"{count} datagrams timed out")
    while statistics(shell)["ReasmTimeout"] < count:
        assert not deadline.expired, deadline.what


@statement("F6/timed-out")
def test_datagrams_that_time_out(
    guest: Machine,
    near: Wire,
    shell: Shell,
    calls: Calls,
    icmp_errors: None,
    expected: Callable[[str], str],
) -> None:
    """What they took is free again; a first fragment's sender is told, if the kernel does that."""
    open_raw(calls)
    shell.check("echo 0 >/proc/sys/net/ipv4/ipfrag_time")
    before = memory(shell)
    for number in range(1, INCOMPLETE + 1):
        near.send(IP(fragments("0:AAA+", number)[0]))
        near.send(IP(fragments("6:C", 1000 + number)[0]))
    guest.barrier()
    expire(shell, 2 * INCOMPLETE)
    assert delivered(calls) == {}
    told = left(guest, near)
    assert {tuple(data[20:22]) for data in told} <= {(11, 1)}
    assert sorted(IP(data[28:]).id for data in told) == (
        list(range(1, INCOMPLETE + 1)) if expected("reassembly-timeout") == "told" else []
    )
    assert grown(before, memory(shell)) == {}
    # What comes too late is a datagram of its own, and the next one is received.
    shell.check("echo 30 >/proc/sys/net/ipv4/ipfrag_time")
    near.send_all(map(IP, fragments("3:BBB", 1) + fragments("0:AAA+ 3:BBB", 2)))
    assert delivered(calls) == {2: spelled("AAABBB")}


@statement("F6/taken-too-late")
def test_given_back_after_the_rest_timed_out(
    guest: Machine, near: Wire, shell: Shell, calls: Calls, divert: Divert, chains: Chains
) -> None:
    """A program that keeps a fragment too long loses the datagram, nothing else."""
    open_raw(calls)
    socket = divert(PORT)
    chains.append(f"input -i {NEAR.interface} -p {OTHER} -f -j DIVERT {PORT}")
    shell.check("echo 0 >/proc/sys/net/ipv4/ipfrag_time")
    before = memory(shell)
    near.send_all(map(IP, fragments("0:AAA+ 3:BBB", 1)))
    expire(shell, 1)
    socket.give_back(socket.take())
    expire(shell, 2)
    assert delivered(calls) == {}
    assert grown(before, memory(shell)) == {}


@statement("F6/memory")
def test_memory_for_fragments_is_bounded(
    guest: Machine, near: Wire, shell: Shell, calls: Calls
) -> None:
    """Above a threshold the oldest go; what is whole is still received."""
    open_raw(calls)
    limits = "/proc/sys/net/ipv4/ipfrag"
    shell.check(f"echo 32768 >{limits}_high_thresh && echo 16384 >{limits}_low_thresh")
    before = memory(shell)
    letters = "Q" * 180
    near.send_all(IP(fragments(f"0:{letters}+", number)[0]) for number in range(1, 200))
    buffers = memory(shell)["skbuff_head_cache"] - before["skbuff_head_cache"]
    assert buffers <= 32768 // 1500 + SLACK
    near.send_all(map(IP, fragments("0:AAA+ 3:BBB", 1000)))
    assert delivered(calls) == {1000: spelled("AAABBB")}


@statement("F6/memory", "S10/close")
def test_fragments_with_no_listener_or_one_that_dies_are_freed(
    guest: Machine, near: Wire, shell: Shell, calls: Calls, divert: Divert, chains: Chains
) -> None:
    shell.check("echo 0 >/proc/sys/net/ipv4/ipfrag_time")
    before = memory(shell)
    chains.append(f"input -i {NEAR.interface} -p {OTHER} -j DIVERT {PORT}")
    for number in range(INCOMPLETE):
        near.send_all(map(IP, fragments("0:AAA+ 3:BBB", number + 1)))
    socket = divert(PORT)
    for number in range(INCOMPLETE):
        near.send_all(map(IP, fragments("0:AAA+ 3:BBB", number + 1)))
    socket.close()
    guest.barrier()
    assert grown(before, memory(shell)) == {}
