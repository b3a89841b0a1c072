# SPDX-License-Identifier: GPL-2.0-only
"""IPsec in the guest, by algorithms that change nothing, so that what is inside can be compared.

Numbers and structures are those of linux/xfrm.h for 32-bit programs, which a 64-bit kernel
translates (xfrm_compat).
"""

from __future__ import annotations

import socket
import struct

from scapy.layers.inet import IP

from tests.guest.netlink import ACK, Netlink, attribute, message
from tests.guest.programs import Calls

# Of harness/data/kernels.toml, in the order of loading.
MODULES = ("ecb", "authenc", "xfrm_algo", "xfrm_user", "xfrm_compat", "esp4")

ESP = 50
SPI = 0x1234
_PROTOCOL = 6
_NEW_STATE, _NEW_POLICY = 0x10, 0x13
_CIPHER, _TEMPLATE = 2, 5
_OUT, _TUNNEL, _REQUEST = 1, 1, 7
_FOREVER = struct.pack("=8Q", *[2**64 - 1] * 4, *[0] * 4)
_UNUSED = bytes(32)
# ESP: SPI and number in front; behind padding, its length, the protocol inside.
_HEAD, _TAIL = 8, 2


def _address(text: str) -> bytes:
    return socket.inet_aton(text) + bytes(12)


def _selector(to: str) -> bytes:
    return struct.pack("=16s16s4HH3B3xiI", _address(to), bytes(16), *[0] * 4, 2, 32, 0, 0, 0, 0)


def _identity(to: str) -> bytes:
    return struct.pack("=16sIB3x", _address(to), socket.htonl(SPI), ESP)


class Ipsec:
    """The policies of a network namespace."""

    def __init__(self, calls: Calls) -> None:
        self._netlink = Netlink(calls, _PROTOCOL)

    def tunnel(self, to: str, begin: str, end: str) -> None:
        """What goes to this address goes through a tunnel of ESP between two others."""
        cipher = b"ecb(cipher_null)".ljust(64, b"\0") + struct.pack("=I", 0)
        state = b"".join(
            (
                *(bytes(56), _identity(end), _address(begin), _FOREVER, _UNUSED, bytes(12)),
                struct.pack("=IIHBBB3x", 0, _REQUEST, 2, _TUNNEL, 0, 0),
            )
        )
        self._netlink.ask(message(_NEW_STATE, ACK, state + attribute(_CIPHER, cipher)))
        policy = b"".join(
            (_selector(to), _FOREVER, _UNUSED, struct.pack("=IIBBBB", 0, 0, _OUT, 0, 0, 0))
        )
        template = b"".join(
            (
                *(_identity(end), struct.pack("=H2x", 2), _address(begin)),
                struct.pack("=IBBBxIII", _REQUEST, _TUNNEL, 0, 0, *[2**32 - 1] * 3),
            )
        )
        self._netlink.ask(message(_NEW_POLICY, ACK, policy + attribute(_TEMPLATE, template)))


def inside(packet: bytes) -> bytes:
    """The packet that one of ESP protects, if that is with the key of `Ipsec.tunnel`."""
    outer = IP(packet)
    assert outer.proto == ESP, f"it is not protected: {outer.summary()}"
    data = packet[outer.ihl * 4 :]
    assert int.from_bytes(data[:4], "big") == SPI
    padding, protocol = data[-_TAIL:]
    assert protocol == socket.IPPROTO_IPIP
    return data[_HEAD : -_TAIL - padding]
