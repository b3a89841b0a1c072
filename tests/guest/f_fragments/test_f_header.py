# SPDX-License-Identifier: GPL-2.0-only
"""F4. The header of a local datagram that is whole, and of its fragments."""

from __future__ import annotations

import itertools
import socket

import pytest
from scapy.layers.inet import ICMP, IP, UDP, IPOption, fragment

from divert_reference.chains import Chains
from divert_reference.divert import Injector, built, left
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, PLACES, header_is_right
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.datagrams import PATTERN, body, glue, open_receiver, pattern, udp

statement = pytest.mark.statement
needs = pytest.mark.needs
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


def options_of(routes: int) -> str:
    """A router alert, which every fragment has, and room to record so many routes, as hex."""
    return f"9404000007{3 + 4 * routes:02x}04{'00' * (4 * routes + 1)}"


# None of them is out of the ordinary. 2.2.12's ip_options_fragment() begins at the header, where
# the type of service is what it takes for an option's length.
TOSES = (0, 2, 4, 8, 16, 24)
ROUTES = (0, 1, 3, 5, 8)


@statement("F4/options")
def test_large_datagrams_with_options_arrive(shell: Shell, calls: Calls) -> None:
    """With every type of service, over the loopback."""
    open_receiver(shell, calls)
    lost = []
    for tos, routes in itertools.product(TOSES, ROUTES):
        calls.ok("socket", "u", "inet", "dgram", 17)
        calls.ok("setsockopt", "u", "ip", "tos", f"int:{tos}")
        calls.ok("setsockopt", "u", "ip", "options", f"hex:{options_of(routes)}")
        calls.ok("sendto", "u", f"fill:9000:{PATTERN.hex()}", "in:127.0.0.1:4000")
        if calls.drain("receiver") != [pattern(9000)]:
            lost.append((tos, routes))
    assert lost == []


@statement("F4/options")
@pytest.mark.parametrize("tos", TOSES)
def test_fragments_have_the_options_that_stock_gives_them(
    tos: int, guest: Machine, near: Wire, calls: Calls
) -> None:
    options = ("ip", "options", f"hex:{options_of(2)}")
    udp(calls, 4000, ("ip", "tos", f"int:{tos}"), options)
    first, *rest = left(guest, near)
    ours = b"\7\x0b\x08" + socket.inet_aton(NEAR.guest_ip)
    assert first[20:36] == b"\x94\4\0\0" + ours + bytes(5)
    for each in rest:
        assert each[20:36] == b"\x94\4\0\0" + b"\1" * 11 + b"\0"
    for each in (first, *rest):
        assert header_is_right(each)
        assert (each[0], each[1], each[9]) == (0x49, tos, 17)
    assert b"".join(each[36:] for each in (first, *rest))[8:] == pattern(3972)


@statement("F4/options")
def test_echo_reply_with_options_arrives(guest: Machine, near: Wire) -> None:
    """A large echo request that records its route, with the type of service 8."""
    options = IPOption(bytes.fromhex(options_of(3)[8:]))
    header = IP(src=NEAR.host_ip, dst=NEAR.guest_ip, tos=8, id=7, options=options)
    for each in fragment(header / ICMP(type=8, id=9, seq=1) / body(3000), 1400):
        near.send(each)
    replies = left(guest, near)
    assert [each[0] for each in replies] == [0x49] * len(replies)
    assert all(header_is_right(each) for each in replies)
    assert b"".join(each[36:] for each in replies)[8:] == body(3000)


@statement("F4/options")
@pytest.mark.parametrize("hook", ["", "input", "forward", "output"])
@pytest.mark.parametrize("tos", TOSES)
def test_forwarded_datagram_keeps_its_options(
    tos: int,
    hook: str,
    guest: Machine,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """Put together and cut again, whether a program has taken the whole or not; the first fragment
    has what this router records.
    """
    taker = divert(PORT)
    if hook:
        chains.append(f"{hook} -p UDP -j DIVERT {taker.port}")
    options = IPOption(bytes.fromhex(options_of(2)))
    header = IP(src=NEAR.host_ip, dst=FAR.host_ip, tos=tos, id=7, ttl=9, options=options)
    for each in fragment(header / UDP(sport=9, dport=9) / body(3000), 1400):
        near.send(each)
    if hook:
        taker.reinject(taker.take())
    first, *rest = left(guest, far)
    ours = b"\7\x0b\x08" + socket.inet_aton(FAR.guest_ip)
    assert first[20:36] == b"\x94\4\0\0" + ours + bytes(5)
    for each in rest:
        assert each[20:36] == b"\x94\4\0\0" + b"\1" * 11 + b"\0"
    for each in (first, *rest):
        assert header_is_right(each)
        assert (each[0], each[1], each[8], each[9]) == (0x49, tos, 8, 17)
    assert b"".join(each[36:] for each in (first, *rest))[8:] == body(3000)


# What a program may write as options, and what its later fragments then have: those that are
# copied, and all from where they are no options any more.
WRITTEN = {
    "one-of-two": ("940400000707080102030400", "940400000101010101010100"),
    "no-operation-first": ("010707080102030494040000", "010101010101010194040000"),
    "of-no-length": ("940400000700000094040000", "940400000700000094040000"),
    "longer-than-the-header": ("07070801020304010109ff09", "01010101010101010109ff09"),
    "cut-off": ("070708010203040101010107", "010101010101010101010107"),
    "behind-the-end": ("000707080102030494040000", "000707080102030494040000"),
}


@statement("F4/options", "F5/outbound")
@pytest.mark.parametrize("words", WRITTEN)
def test_injected_datagram_is_cut_with_its_options(
    words: str, inject: Injector, near: Wire
) -> None:
    given, later = (bytes.fromhex(each) for each in WRITTEN[words])
    header = IP(src=NEAR.guest_ip, dst=NEAR.host_ip, id=7, options=IPOption(given))
    inject(built(header / UDP(sport=9, dport=9) / body(3000)), "in:0.0.0.0:0")
    first, *rest = inject.left(near)
    assert len(rest) == 2
    assert first[20:32] == given
    assert [each[20:32] for each in rest] == [later, later]
    assert all(header_is_right(each) for each in (first, *rest))
    assert b"".join(each[32:] for each in (first, *rest))[8:] == body(3000)


@statement("F4/header", "F4/local-udp")
@needs("netlink-firewall")
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
    socket.reinject(taken)
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
        socket.reinject(socket.take())
    (whole,) = glue([data for data in left(guest, near) if data[9] == 17])
    assert whole[28:] == pattern(3972)
    assert calls.drain("receiver") == [pattern(3972)] * loop
