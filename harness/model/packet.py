# SPDX-License-Identifier: GPL-2.0-only
"""An IPv4 packet as the model knows it: its header's fields, and the bytes behind the header."""

from __future__ import annotations

import dataclasses
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

ICMP, TCP, UDP = 1, 6, 17
# Nobody's protocol, for which the guest has a raw socket.
OTHER = 99

HEADER_BYTES = 20
_HEADER = "!BBHHHBBH4s4s"
MORE_FRAGMENTS = 0x2000
OFFSET = 0x1FFF
# So much of the transport header has to be there to see its ports (R1).
_NEEDED = {TCP: 16, UDP: 8, ICMP: 8}
_IDENTIFICATION, _CHECKSUM = slice(4, 6), slice(10, 12)


@dataclass(frozen=True)
class Packet:
    """One packet. `identification` is None where the host itself chose it, and may be any.

    `fragment` is that header word: flags, and the offset in units of 8 bytes. `body` is all behind
    the header, which has no options.
    """

    source: str
    destination: str
    protocol: int
    body: bytes
    identification: int | None = 0
    ttl: int = 64
    tos: int = 0
    fragment: int = 0

    @staticmethod
    def of(data: bytes) -> Packet:
        """The packet that these bytes are; options are part of `body` here."""
        _, tos, _, identification, fragment, ttl, protocol, _, source, destination = (
            struct.unpack_from(_HEADER, data)
        )
        return Packet(
            socket.inet_ntoa(source),
            socket.inet_ntoa(destination),
            protocol,
            data[HEADER_BYTES:],
            identification,
            ttl,
            tos,
            fragment,
        )

    def changed(self, **fields: object) -> Packet:
        """With these fields in place of its own."""
        return dataclasses.replace(self, **fields)  # type: ignore[arg-type]

    @property
    def length(self) -> int:
        """The total length, in bytes."""
        return HEADER_BYTES + len(self.body)

    @property
    def data(self) -> bytes:
        """The packet as it is on a wire, its checksum right; with 0 for what may be any."""
        header = struct.pack(
            _HEADER,
            0x45,
            self.tos,
            self.length,
            self.identification or 0,
            self.fragment,
            self.ttl,
            self.protocol,
            0,
            socket.inet_aton(self.source),
            socket.inet_aton(self.destination),
        )
        return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + self.body

    def is_seen_as(self, data: bytes) -> bool:
        """Whether `data` is this packet, its header's checksum right."""
        if len(data) < HEADER_BYTES or checksum(data[:HEADER_BYTES]) != 0:
            return False
        return self.masked(data) == self.masked(self.data)

    def masked(self, data: bytes) -> bytes:
        """`data` without what may be any in this packet: a right checksum of 0 can be 0xffff, too.

        Who lowers the TTL and adds that to it (RFC 1624) comes to the other one than who sums anew.
        """
        cleared = bytearray(data)
        cleared[_CHECKSUM] = b"\0\0"
        if self.identification is None:
            cleared[_IDENTIFICATION] = b"\0\0"
        return bytes(cleared)

    @property
    def is_later_fragment(self) -> bool:
        """Whether it is a fragment but the first."""
        return bool(self.fragment & OFFSET)

    @property
    def is_fragment(self) -> bool:
        """Whether rules take it for a fragment: a later one, or one too short to have ports."""
        return self.is_later_fragment or len(self.body) < _NEEDED.get(self.protocol, 0)

    @property
    def is_suspect(self) -> bool:
        """Whether 2.2.12 blocks it before any rule (R1)."""
        offset = self.fragment & OFFSET
        if offset == 1 and self.protocol == TCP:
            return True
        return not offset and self.is_fragment and bool(self.fragment & MORE_FRAGMENTS)

    @property
    def ports(self) -> tuple[int, int]:
        """What rules compare with their ports: source and destination; ICMP's type and code."""
        if self.is_fragment:
            return 0xFFFF, 0xFFFF
        if self.protocol in (TCP, UDP):
            first, second = struct.unpack_from("!HH", self.body)
            return int(first), int(second)
        if self.protocol == ICMP:
            return self.body[0], self.body[1]
        return 0xFFFF, 0xFFFF

    @property
    def is_syn(self) -> bool:
        """Whether it is TCP's SYN without ACK and RST."""
        if self.protocol != TCP or self.is_fragment:
            return False
        return self.body[13] & 0b010110 == 0b000010


def whole(parts: Sequence[Packet]) -> Packet:
    """F4: the datagram that these fragments are of."""
    in_order = sorted(parts, key=lambda part: part.fragment & OFFSET)
    return in_order[0].changed(body=b"".join(part.body for part in in_order), fragment=0)


def completed(packet: Packet) -> Packet:
    """I5: an ID of 0 is filled in, but not in a fragment."""
    if packet.identification == 0 and not packet.fragment & 0x3FFF:
        return packet.changed(identification=None)
    return packet


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071); 0 over a header whose own is right."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def body(
    protocol: int, source: str, destination: str, ports: tuple[int, int], payload: bytes
) -> bytes:
    """A transport header, with a right checksum, and what it carries.

    `ports` are ICMP's type and code for that protocol; TCP is a SYN.
    """
    first, second = ports
    if protocol == ICMP:
        head = struct.pack("!BBHI", first, second, 0, 0)
        return _summed(head + payload, 2, b"")
    length = {UDP: 8, TCP: 20}.get(protocol, 0) + len(payload)
    pseudo = socket.inet_aton(source) + socket.inet_aton(destination)
    pseudo += struct.pack("!HH", protocol, length)
    if protocol == UDP:
        return _summed(struct.pack("!HHHH", first, second, length, 0) + payload, 6, pseudo)
    if protocol == TCP:
        head = struct.pack("!HHIIBBHHH", first, second, 7, 0, 0x50, 2, 512, 0, 0)
        return _summed(head + payload, 16, pseudo)
    return payload


def _summed(data: bytes, at: int, pseudo: bytes) -> bytes:
    value = checksum(pseudo + data) or (0xFFFF if pseudo else 0)
    return data[:at] + struct.pack("!H", value) + data[at + 2 :]
