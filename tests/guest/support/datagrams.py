# SPDX-License-Identifier: GPL-2.0-only
"""Datagrams and their fragments, made, put together, and received in the guest."""

from __future__ import annotations

import re
from collections import defaultdict

from scapy.layers.inet import IP, UDP

from divert_reference.programs import Calls
from divert_reference.traffic import NEAR, header_is_right
from harness.guest.shell import Shell
from harness.network.frames import checksum

# What fits behind a header of 20 bytes into an Ethernet's 1,500, in units of 8.
ROOM = 1480
LARGEST = 65535
# The header of a UDP datagram: IP's 20 bytes, UDP's 8.
HEADERS = 28
MORE = 0x2000
RECEIVER_PORT = 4000


def body(size: int) -> bytes:
    """So many bytes that tell their places."""
    return b"".join(n.to_bytes(4, "big") for n in range(size // 4 + 1))[:size]


def datagram(
    destination: str,
    size: int,
    number: int = 0x6000,
    source: str = NEAR.host_ip,
    flags: str = "",
) -> bytes:
    """A whole UDP packet of `size` bytes, header included, with a body that tells its places."""
    header = IP(src=source, dst=destination, id=number, ttl=50, flags=flags)
    udp = UDP(sport=3000, dport=RECEIVER_PORT)
    return bytes(IP(bytes(header / udp / body(size - HEADERS))))


def piece(whole: bytes, start: int, end: int, more: bool) -> bytes:
    """The fragment that has the bytes from `start` to `end` of what is behind the header."""
    data = bytearray(whole[:20] + whole[20 + start : 20 + end])
    data[2:4] = len(data).to_bytes(2, "big")
    data[6:8] = (start // 8 | (MORE if more else 0)).to_bytes(2, "big")
    data[10:12] = bytes(2)
    data[10:12] = checksum(bytes(data[:20])).to_bytes(2, "big")
    return bytes(data)


def cut(whole: bytes, room: int = ROOM) -> list[bytes]:
    """Its fragments, in order, as a host on an Ethernet sends them."""
    length = len(whole) - 20
    return [
        piece(whole, start, min(start + room, length), start + room < length)
        for start in range(0, length, room)
    ]


def glue(packets: list[bytes]) -> list[bytes]:
    """What a host makes of these fragments, which have to fit together; all headers valid."""
    parts: dict[bytes, dict[int, bytes]] = defaultdict(dict)
    lasts: dict[bytes, int] = {}
    for data in packets:
        assert header_is_right(data)
        key = data[4:6] + data[9:10] + data[12:20]
        place = int.from_bytes(data[6:8], "big")
        start = (place & 0x1FFF) * 8
        assert start not in parts[key], "twice the same fragment"
        parts[key][start] = data
        if not place & MORE:
            lasts[key] = start
    return [_glued(found, lasts[key]) for key, found in parts.items()]


def _glued(found: dict[int, bytes], last: int) -> bytes:
    whole = b""
    for start, data in sorted(found.items()):
        assert start == len(whole), "a hole"
        whole += data[20:]
    assert max(found) == last
    first = bytearray(found[0][:20] + whole)
    first[2:4] = len(first).to_bytes(2, "big")
    first[6:8] = bytes(2)
    first[10:12] = bytes(2)
    first[10:12] = checksum(bytes(first[:20])).to_bytes(2, "big")
    return bytes(first)


def normal(data: bytes) -> bytes:
    """A packet without its identification and header checksum, which the guest makes up."""
    assert header_is_right(data)
    return data[:4] + data[6:10] + data[12:]


def open_receiver(shell: Shell, calls: Calls) -> None:
    """Open a UDP socket `receiver` on port 4000, with room for the largest datagram."""
    # 2.2.12 lets a socket ask for 32,767 bytes and gives twice that: less than one such buffer.
    shell.check("echo 262144 >/proc/sys/net/core/rmem_max")
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("setsockopt", "receiver", "socket", "rcvbuf", "int:262144")
    calls.ok("bind", "receiver", f"in:0.0.0.0:{RECEIVER_PORT}")


def statistics(shell: Shell, protocol: str = "Ip") -> dict[str, int]:
    """The counters of a protocol (Ip, Tcp, ...) in /proc/net/snmp, by name."""
    text = shell.check("cat /proc/net/snmp")
    names, numbers = re.findall(rf"^{protocol}: (.*)$", text, re.MULTILINE)
    return dict(zip(names.split(), map(int, numbers.split()), strict=True))


# No part of a datagram looks like another: a frame's room is no multiple of its length.
PATTERN = bytes(range(1, 33))


def pattern(size: int) -> bytes:
    """What `fill:size:...` gives in `calls`."""
    return (PATTERN * (size // len(PATTERN) + 1))[:size]


def udp(calls: Calls, size: int, *options: tuple[str, str, str]) -> dict[str, object]:
    """The guest sends a UDP datagram of `size` bytes, headers included; what the call answered."""
    calls.ok("socket", "u", "inet", "dgram", 17)
    for option in options:
        calls.ok("setsockopt", "u", *option)
    fill = f"fill:{size - 28}:{PATTERN.hex()}"
    return calls("sendto", "u", fill, f"in:{NEAR.host_ip}:4000")
