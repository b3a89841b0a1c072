# SPDX-License-Identifier: GPL-2.0-only
"""F4. With always-defragment this host's own datagrams meet the output chain whole."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import ICMP, IP

from divert_reference.chains import Chains
from divert_reference.divert import left
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls, ProcDivert
from divert_reference.traffic import NEAR, OTHER, PLACES, header_is_right
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.datagrams import (
    LARGEST,
    PATTERN,
    ROOM,
    body,
    glue,
    open_receiver,
    pattern,
    statistics,
    udp,
)
from tests.guest.support.sockets import smallest, transport_is_right

statement = pytest.mark.statement
OUTPUT = PLACES[4]

PORT = 1234


def icmp(calls: Calls, size: int) -> dict[str, object]:
    """The guest sends an echo request, as ping does."""
    calls.ok("socket", "i", "inet", "raw", 1)
    message = bytes(ICMP(type=8, id=9, seq=1) / body(size - 28))
    return calls("sendto", "i", f"hex:{message.hex()}", f"in:{NEAR.host_ip}:0")


def raw(calls: Calls, size: int) -> dict[str, object]:
    """The guest sends a packet of a protocol that no stack knows."""
    calls.ok("socket", "r", "inet", "raw", OTHER)
    fill = f"fill:{size - 20}:{PATTERN.hex()}"
    return calls("sendto", "r", fill, f"in:{NEAR.host_ip}:0")


Sender = Callable[[Calls, int], dict[str, object]]
senders = pytest.mark.parametrize(
    "sender",
    [
        pytest.param(udp, id="udp", marks=statement("F4/local-udp")),
        pytest.param(icmp, id="icmp", marks=statement("F4/local-icmp")),
        pytest.param(raw, id="raw", marks=statement("F4/local-raw")),
    ],
)


@statement("F4/cut-again", "I2/bytes", "T4")
@senders
@pytest.mark.parametrize("size", [1501, 4000, 32768, 65535])
def test_local_datagram_is_taken_whole_and_leaves_in_fragments(
    sender: Sender,
    size: int,
    guest: Machine,
    near: Wire,
    calls: Calls,
    divert: Divert,
    chains: Chains,
) -> None:
    socket = divert(PORT)
    chains.append(OUTPUT.rule(f"DIVERT {PORT}"), f"output {OUTPUT.match} -f")
    assert sender(calls, size).get("error", "") == ""
    assert left(guest, near) == []
    taken = socket.take()
    assert len(taken.data) == size
    assert header_is_right(taken.data)
    assert IP(taken.data).src == NEAR.guest_ip
    assert IP(taken.data).id != 0
    if taken.data[9] != OTHER:
        assert transport_is_right(taken.data)
    socket.reinject(taken)
    found = left(guest, near)
    assert len(found) == -(-(size - 20) // ROOM)
    assert max(map(len, found)) == 1500
    assert glue(found) == [taken.data]
    assert socket.rest() == []
    assert chains.counts("output") == [1, 0]


@statement("F4/cut-again", "F4/once")
@senders
def test_local_datagram_without_divert_rule(
    sender: Sender, guest: Machine, near: Wire, calls: Calls, chains: Chains
) -> None:
    """Counted once, as the whole that it is; lowest offset first on the wire."""
    chains.append(f"output {OUTPUT.match}", f"output {OUTPUT.match} -f")
    assert sender(calls, 4000).get("error", "") == ""
    found = left(guest, near)
    assert [IP(data).frag for data in found] == [0, 185, 370]
    (whole,) = glue(found)
    assert len(whole) == 4000
    assert [row[:2] for row in chains.rows("output")] == [["1", "4000"], ["0", "0"]]


@statement("F4/largest", "F4/local-udp")
def test_what_the_largest_datagram_says(
    guest: Machine, near: Wire, calls: Calls, chains: Chains, divert: Divert
) -> None:
    socket = divert(PORT)
    chains.append(OUTPUT.rule(f"DIVERT {PORT}"))
    # 65,507 bytes is the most that sendto() takes; one more is no datagram.
    assert udp(calls, LARGEST)["result"] == LARGEST - 28
    fill = f"fill:{LARGEST - 27}:{PATTERN.hex()}"
    assert calls.error("sendto", "u", fill, f"in:{NEAR.host_ip}:4000") == "EMSGSIZE"
    guest.barrier()
    (whole,) = socket.rest()
    assert whole[28:] == pattern(LARGEST - 28)


@statement("F4/sndbuf")
@pytest.mark.parametrize("size", ["2048", "32768"])
def test_sender_with_a_small_send_buffer(
    size: str,
    guest: Machine,
    near: Wire,
    calls: Calls,
    chains: Chains,
    divert: Divert,
    expected: Callable[[str], str],
) -> None:
    """Not even its fragments, 44 at once in one buffer's room, are too many for it."""
    socket = divert(PORT)
    chains.append(OUTPUT.rule(f"DIVERT {PORT}"))
    row = udp(calls, LARGEST, ("socket", "sndbuf", f"int:{size}"))
    if size == "2048" and expected("largest-from-a-small-buffer") == "ENOBUFS":
        assert row["error"] == "ENOBUFS"
        assert socket.rest() == left(guest, near) == []
        return
    assert row["result"] == LARGEST - 28
    taken = socket.take()
    assert taken.data[28:] == pattern(LARGEST - 28)
    socket.reinject(taken)
    assert glue(left(guest, near)) == [taken.data]
    # And without the rule, again and again: nothing stays charged.
    chains.flush()
    fill = f"fill:{LARGEST - 28}:{PATTERN.hex()}"
    for _ in range(3):
        calls.ok("sendto", "u", fill, f"in:{NEAR.host_ip}:4000")
        (whole,) = glue(left(guest, near))
        assert whole[28:] == pattern(LARGEST - 28)
    told = calls.ok("ioctl", "u", "outq")["value"]
    room = calls.ok("getsockopt", "u", "socket", "sndbuf", 4)["value"]
    assert told == {"free": room, "in use": 0}[expected("outq")]


@statement("F4/ports", "F4/once")
def test_rule_with_ports_takes_the_whole(
    guest: Machine, near: Wire, calls: Calls, chains: Chains, divert: Divert
) -> None:
    socket = divert(PORT)
    chains.append(
        f"output -p UDP -d 0/0 4001 -j DIVERT {PORT}",
        f"output -p UDP -d 0/0 4000 -j DIVERT {PORT}",
        f"output -i {NEAR.interface}",
    )
    udp(calls, 4000)
    assert left(guest, near) == []
    (whole,) = socket.rest()
    assert len(whole) == 4000
    assert chains.counts("output") == [0, 1, 0]


@statement("F4/refused")
@pytest.mark.parametrize("target", ["DENY", "REJECT"])
def test_chain_that_refuses_it(
    target: str, guest: Machine, near: Wire, shell: Shell, calls: Calls, chains: Chains
) -> None:
    """The sender is told, as with one that needs no fragments, and nothing of it leaves."""
    chains.append(f"output {OUTPUT.match} -p UDP -d 0/0 4000 -j {target}")
    discarded = statistics(shell)["OutDiscards"]
    assert udp(calls, 4000)["error"] == "EPERM"
    assert left(guest, near) == []
    assert statistics(shell)["OutDiscards"] == discarded + 1
    chains.flush()
    calls.ok("sendto", "u", f"fill:3972:{PATTERN.hex()}", f"in:{NEAR.host_ip}:4000")
    assert len(left(guest, near)) == 3


@statement("F4/refused", "S9/sender")
def test_sender_into_a_full_queue_sees_success(
    guest: Machine,
    near: Wire,
    calls: Calls,
    chains: Chains,
    divert: Divert,
    proc_divert: Callable[[], ProcDivert],
) -> None:
    socket = divert(PORT)
    smallest(calls, socket.name)
    chains.append(OUTPUT.rule(f"DIVERT {PORT}"))
    udp(calls, LARGEST)
    calls.ok("sendto", "u", f"fill:3972:{PATTERN.hex()}", f"in:{NEAR.host_ip}:4000")
    assert left(guest, near) == []
    assert [len(data) for data in socket.rest()] == [LARGEST]
    assert proc_divert().ports[PORT].dropped == 1


@statement("F4/dont-fragment")
def test_sender_that_wants_no_fragments(
    guest: Machine, near: Wire, calls: Calls, chains: Chains
) -> None:
    """IP_MTU_DISCOVER: 2.2.12 itself refuses, on every kernel."""
    chains.append(f"output {OUTPUT.match} -p UDP")
    assert udp(calls, 1501, ("ip", "mtu_discover", "int:2"))["error"] == "EMSGSIZE"
    assert left(guest, near) == []
    assert chains.counts("output") == [0]
    calls.ok("sendto", "u", f"fill:1472:{PATTERN.hex()}", f"in:{NEAR.host_ip}:4000")
    (found,) = left(guest, near)
    assert (len(found), IP(found).flags) == (1500, "DF")


@statement("F4/fault")
def test_datagram_that_cannot_be_read(
    guest: Machine, near: Wire, shell: Shell, calls: Calls, chains: Chains
) -> None:
    """EFAULT, and nothing leaves; the next one does."""
    chains.append(f"output {OUTPUT.match} -p UDP")
    calls.ok("socket", "u", "inet", "dgram", 17)
    assert calls.error("sendto", "u", "null:4000", f"in:{NEAR.host_ip}:4000") == "EFAULT"
    assert left(guest, near) == []
    open_receiver(shell, calls)
    calls.ok("sendto", "u", f"fill:3972:{PATTERN.hex()}", f"in:{NEAR.host_ip}:4000")
    assert len(left(guest, near)) == 3
