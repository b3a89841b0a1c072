# SPDX-License-Identifier: GPL-2.0-only
"""F4. The header of a local datagram that is whole, and of its fragments."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP

from harness.machine import Machine
from harness.shell import Shell
from harness.wire import Wire
from tests.guest.chains import Chains
from tests.guest.conftest import Divert
from tests.guest.datagrams import PATTERN, glue, open_receiver, pattern, udp
from tests.guest.divert import left
from tests.guest.programs import Calls
from tests.guest.traffic import NEAR, PLACES, header_is_right

statement = pytest.mark.statement
OUTPUT = PLACES[4]

PORT = 1234
GROUP = "239.1.2.3"


@statement("F4/header")
def test_header_is_that_of_the_socket(
    guest: Machine, near: Wire, calls: Calls, chains: Chains, divert: Divert
) -> None:
    """TOS, TTL and options; one option belongs into every fragment, one into the first."""
    options = "940400000707080102030400"
    socket = divert(PORT)
    chains.append(OUTPUT.rule(f"DIVERT {PORT}"))
    udp(
        calls,
        4000,
        ("ip", "tos", "int:16"),
        ("ip", "ttl", "int:7"),
        ("ip", "options", f"hex:{options}"),
    )
    taken = socket.take()
    header = IP(taken.data)
    assert (header.tos, header.ttl, header.ihl, header.frag, int(header.flags)) == (16, 7, 8, 0, 0)
    assert taken.data[20:24] == bytes.fromhex(options[:8])
    chains.flush()
    fill = f"fill:3972:{PATTERN.hex()}"
    calls.ok("sendto", "u", fill, f"in:{NEAR.host_ip}:4000")
    first, *rest = left(guest, near)
    assert first[20:27] == taken.data[20:27]
    for each in rest:
        assert header_is_right(each)
        assert (each[1], each[8]) == (16, 7)
        assert each[20:24] == bytes.fromhex(options[:8])
        assert each[24:32] in (b"\1" * 7 + b"\0", b"\1" * 8)
    payload = b"".join(each[32:] for each in (first, *rest))
    assert payload[8:] == pattern(3972)


@statement("F4/header", "F4/local-udp")
def test_whole_datagram_has_its_checksum_when_the_chain_sees_it(
    guest: Machine, near: Wire, calls: Calls, chains: Chains
) -> None:
    """A rule that copies to the firewall netlink shows what the chain sees."""
    calls.ok("socket", "netlink", "netlink", "raw", 3)
    calls.ok("bind", "netlink", "nl:0:1")
    chains.append(f"{OUTPUT.chain} {OUTPUT.match} -p UDP -o 65535")
    udp(calls, 4000)
    (copy,) = calls.drain("netlink")
    whole = copy[24:]
    assert len(whole) == 4000
    assert header_is_right(whole)
    assert glue(left(guest, near))[0][20:] == whole[20:]


@statement("F4/header")
def test_multicast_has_the_time_to_live_of_multicasts(
    guest: Machine, near: Wire, calls: Calls, chains: Chains, divert: Divert
) -> None:
    socket = divert(PORT)
    chains.append(OUTPUT.rule(f"DIVERT {PORT}"))
    calls.ok("socket", "m", "inet", "dgram", 17)
    calls.ok("setsockopt", "m", "ip", "multicast_if", f"ip:{NEAR.guest_ip}")
    calls.ok("setsockopt", "m", "ip", "multicast_ttl", "int:3")
    calls.ok("sendto", "m", f"fill:3972:{PATTERN.hex()}", f"in:{GROUP}:4000")
    taken = socket.take()
    assert (IP(taken.data).ttl, len(taken.data)) == (3, 4000)
    socket.give_back(taken)
    assert glue(left(guest, near)) == [taken.data]


@statement("F4/header", "F4/cut-again")
@pytest.mark.parametrize("loop", [0, 1], ids=["no-loop", "loop"])
@pytest.mark.parametrize("taken", [False, True], ids=["plain", "diverted"])
def test_multicast_is_looped_back_if_its_sender_wants_that(
    loop: int,
    taken: bool,
    guest: Machine,
    near: Wire,
    shell: Shell,
    calls: Calls,
    chains: Chains,
    divert: Divert,
) -> None:
    """To a member of the group on this host; and it leaves, in any case."""
    open_receiver(shell, calls)
    calls.ok("setsockopt", "receiver", "ip", "add_membership", f"mreq:{GROUP}:{NEAR.guest_ip}")
    calls.ok("socket", "m", "inet", "dgram", 17)
    calls.ok("setsockopt", "m", "ip", "multicast_if", f"ip:{NEAR.guest_ip}")
    calls.ok("setsockopt", "m", "ip", "multicast_loop", f"int:{loop}")
    socket = divert(PORT)
    if taken:
        chains.append(f"output {OUTPUT.match} -p UDP -j DIVERT {PORT}")
    calls.ok("sendto", "m", f"fill:3972:{PATTERN.hex()}", f"in:{GROUP}:4000")
    if taken:
        socket.give_back(socket.take())
    (whole,) = glue([data for data in left(guest, near) if data[9] == 17])
    assert whole[28:] == pattern(3972)
    assert calls.drain("receiver") == [pattern(3972)] * loop
