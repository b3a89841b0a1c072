# SPDX-License-Identifier: GPL-2.0-only
"""IP packets in words: what a failed comparison, and the report, show beside the bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from scapy.error import Scapy_Exception
from scapy.layers.inet import IP
from scapy.utils import PcapReader

_HEX_BYTES = 64
_SHOWN = 12


def is_packet(data: object) -> bool:
    """Whether these are the bytes of a whole IPv4 packet."""
    return (
        isinstance(data, bytes)
        and len(data) >= 20
        and data[0] >> 4 == 4
        and 20 <= (data[0] & 15) * 4 <= len(data)
        and int.from_bytes(data[2:4], "big") == len(data)
    )


def words(data: bytes) -> str:
    """One line: source, destination, protocol, ports, and what of the header is not plain."""
    packet: Any = IP(data)
    notes = [f"id {packet.id:#06x}", f"ttl {packet.ttl}"]
    notes += [f"tos {packet.tos:#04x}"] if packet.tos else []
    notes += [f"flags {packet.flags}"] if packet.flags else []
    notes += [f"offset {packet.frag * 8}"] if packet.frag else []
    notes += [f"options {data[20 : packet.ihl * 4].hex()}"] if packet.ihl > 5 else []
    return f"{packet.summary()} [{len(data)} bytes, {', '.join(notes)}]"


def difference(seen: bytes, expected: bytes) -> str:
    """Where two packets differ: the first byte, and how many more."""
    if len(seen) != len(expected):
        return f"{len(seen)} bytes, {len(expected)} expected"
    places = [n for n, (a, b) in enumerate(zip(seen, expected, strict=True)) if a != b]
    first = places[0]
    more = f", and {len(places) - 1} more" if len(places) > 1 else ""
    return f"byte {first} is {seen[first]:#04x}, {expected[first]:#04x} expected{more}"


def compared(seen: Sequence[bytes], expected: Sequence[bytes]) -> list[str]:
    """Two lists of packets beside each other, for a person."""
    lines = [f"{len(seen)} packets seen, {len(expected)} expected"]
    for number, (left, right) in enumerate(zip_longest(seen, expected), 1):
        if number > _SHOWN:
            lines.append("...")
            break
        if left == right:
            lines.append(f"  {number}: as expected: {words(right)}")
            continue
        lines += [f"  {number}: seen      {words(left) if left is not None else 'nothing'}"]
        lines += [f"  {number}: expected  {words(right) if right is not None else 'nothing'}"]
        if left is not None and right is not None:
            lines.append(f"  {number}: {difference(left, right)}")
            lines += [f"     seen      {_hex(left)}", f"     expected  {_hex(right)}"]
    return lines


def packets(value: object) -> list[bytes] | None:
    """The packets that a value of a test is or has in a list; None if it is something else."""
    if isinstance(value, bytes):
        return [value] if is_packet(value) else None
    if isinstance(value, (list, tuple)) and all(is_packet(each) for each in value):
        return list(value)
    return None


def capture(path: Path) -> list[str]:
    """The frames of a pcap file, a line each, with the seconds since the first of them.

    A file that is not there, or is none, gives one line that says so.
    """
    try:
        with PcapReader(str(path)) as reader:
            return list(_frames(reader))
    except (OSError, Scapy_Exception, EOFError) as error:
        return [f"{path.name} cannot be read: {error}"]


def _frames(reader: Iterable[Any]) -> Iterable[str]:
    begin: float | None = None
    for frame in reader:
        begin = float(frame.time) if begin is None else begin
        inside = words(bytes(frame[IP])) if frame.haslayer(IP) else frame.summary()
        yield f"{float(frame.time) - begin:9.6f}  {frame.src} > {frame.dst}  {inside}"


def _hex(data: bytes) -> str:
    return data[:_HEX_BYTES].hex(" ") + (" ..." if len(data) > _HEX_BYTES else "")
