# SPDX-License-Identifier: GPL-2.0-only
"""IP packets in words: what a failed comparison, and the report, show beside the bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from harness.network.addresses import LINKS
from harness.network.packets import inet

_HEX_BYTES = 64
_GUEST = frozenset(link.guest_mac for link in LINKS)
# Where fields begin, behind the header before; an empty name is the end of those that have one.
_IP_FIELDS = {
    0: "version and length of the header",
    1: "TOS",
    2: "total length",
    4: "identification",
    6: "flags and fragment offset",
    8: "TTL",
    9: "protocol",
    10: "header checksum",
    12: "source",
    16: "destination",
    20: "",
}
_FIELDS = {
    1: {0: "ICMP type", 1: "ICMP code", 2: "ICMP checksum", 4: ""},
    6: {
        0: "TCP source port",
        2: "TCP destination port",
        4: "TCP sequence number",
        8: "TCP acknowledgment number",
        12: "TCP data offset and flags",
        14: "TCP window",
        16: "TCP checksum",
        18: "TCP urgent pointer",
        20: "",
    },
    17: {
        0: "UDP source port",
        2: "UDP destination port",
        4: "UDP length",
        6: "UDP checksum",
        8: "",
    },
}
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
    packet = inet().IP(data)
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
    name = field(expected, first)
    return f"byte {first} ({name}) is {seen[first]:#04x}, {expected[first]:#04x} expected{more}"


def field(packet: bytes, place: int) -> str:
    """What a byte of an IP packet is of, as RFC 791 and those of ICMP, TCP and UDP name it."""
    header = (packet[0] & 15) * 4
    fragment = int.from_bytes(packet[6:8], "big") & 0x1FFF
    if place < header:
        return _name(_IP_FIELDS, place, "options")
    behind = place - header
    # A fragment that is not the first has no header of a protocol.
    fields = {} if fragment else _FIELDS.get(packet[9], {})
    return _name(fields, behind, f"byte {behind} of the data")


def _name(fields: Mapping[int, str], place: int, otherwise: str) -> str:
    """The name of the field that has a byte: each begins at a place, and ends where the next does;
    an empty name ends the last.
    """
    names = [name for begin, name in fields.items() if begin <= place]
    return (names[-1] if names else "") or otherwise


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


def captures(paths: Sequence[Path]) -> list[str]:
    """The frames of several wires' pcap files in the order of time, a line each: the seconds since
    the first of them, the wire, whether to the guest or from it, the packet.

    A file that is not there, or is none, gives a line at the end that says so.
    """
    # As inet(): not before somebody wants it, since that takes half a second.
    from scapy.error import Scapy_Exception  # noqa: PLC0415
    from scapy.utils import PcapReader  # noqa: PLC0415

    inet()
    found: list[tuple[float, str]] = []
    broken = []
    for path in paths:
        try:
            with PcapReader(str(path)) as reader:
                found += [(float(frame.time), _frame(path.stem, frame)) for frame in reader]
        except (OSError, Scapy_Exception, EOFError) as error:
            broken.append(f"{path.name} cannot be read: {error}")
    # What is noted at one moment stays in the order of the files.
    found.sort(key=lambda each: each[0])
    return [f"{time - found[0][0]:9.6f}  {line}" for time, line in found] + broken


def _frame(wire: str, frame: Any) -> str:
    way = "from the guest" if frame.src in _GUEST else "to the guest"
    layer = inet().IP
    inside = words(bytes(frame[layer])) if frame.haslayer(layer) else frame.summary()
    return f"{wire}  {way:14}  {inside}"


def _hex(data: bytes) -> str:
    return data[:_HEX_BYTES].hex(" ") + (" ..." if len(data) > _HEX_BYTES else "")
