# SPDX-License-Identifier: GPL-2.0-only
"""A packet without what two kernels may rightly choose in packets of their own.

What that is, and why, is said in harness/matrix/differences.toml: `own-packets`, `quoted-packet`.
"""

from __future__ import annotations

from harness.model.packet import HEADER_BYTES, ICMP, TCP, UDP, Packet, checksum
from harness.model.ways import ADDRESSES

# Unreachable, time exceeded, parameter problem (RFC 792).
_ERRORS = (3, 11, 12)
_QUOTED = 8
# Where in a transport header its checksum is.
_CHECKSUMS = {UDP: 6, TCP: 16}
_DO_NOT_FRAGMENT = 0x4000


def packet(data: bytes) -> bytes:
    """The bytes of a packet, its checksum summed anew; of an own one without what kernels choose.

    What is no packet, or has a wrong checksum, is left as it is.
    """
    if len(data) < HEADER_BYTES or data[0] >> 4 != 4 or checksum(data[:HEADER_BYTES]) != 0:
        return data
    here = _without_choices(Packet.of(data))
    if here.identification is not None:
        return here.data
    here = here.changed(ttl=0)
    if here.protocol == ICMP and here.body[0] in _ERRORS:
        here = here.changed(body=_without_more(here.body))
    return here.data


def _without_choices(here: Packet) -> Packet:
    """Without ID and DF, if it is an own one."""
    if here.source not in ADDRESSES.values():
        return here
    return here.changed(identification=None, fragment=here.fragment & ~_DO_NOT_FRAGMENT)


def _without_more(body: bytes) -> bytes:
    """An ICMP error, its checksum right, with no more than the packet that it is about.

    An own one that is quoted has the checksum of its transport only if that was summed already.
    """
    quoted = body[_QUOTED:]
    if checksum(body) != 0 or len(quoted) < HEADER_BYTES:
        return body
    quoted = quoted[: int.from_bytes(quoted[2:4], "big")]
    about = _without_choices(Packet.of(quoted))
    if about.identification is None and (at := _CHECKSUMS.get(about.protocol)):
        about = about.changed(body=about.body[:at] + b"\0\0" + about.body[at + 2 :])
    data = about.data
    quoted = quoted[:2] + data[2:10] + b"\0\0" + data[12:]  # its header's checksum
    return body[:2] + b"\0\0" + body[4:_QUOTED] + quoted
