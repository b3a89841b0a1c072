# SPDX-License-Identifier: GPL-2.0-only
"""IPsec in the guest, by an algorithm that changes nothing, so that what is inside can be compared.

It is told by PF_KEY (RFC 2367, linux/pfkeyv2.h, ipsec.h), which is the same for 32-bit programs.
"""

from __future__ import annotations

import socket
import struct

from scapy.layers.inet import IP

from tests.guest.programs import Calls

# Of harness/data/kernels.toml, in the order of loading.
MODULES = ("crypto_null", "ecb", "authenc", "xfrm_algo", "esp4", "af_key")

ESP = 50
SPI = 0x1234
_FAMILY, _VERSION = 15, 2
_ADD, _ADD_POLICY = 3, 14
_ESP, _NULL_CIPHER, _MATURE = 3, 11, 1
_SA, _SOURCE, _DESTINATION, _KEY, _POLICY, _SA2 = 1, 5, 6, 9, 18, 19
_TUNNEL, _REQUIRE, _IPSEC, _OUTBOUND, _ANY = 2, 2, 2, 2, 255
# ESP: SPI and number in front; behind padding, its length, the protocol inside.
_HEAD, _TAIL = 8, 2


def _inet(address: str) -> bytes:
    return struct.pack("=H2x4s8x", socket.AF_INET, socket.inet_aton(address))


def _address(kind: int, address: str, prefix: int) -> bytes:
    return struct.pack("=HHBB2x", 3, kind, _ANY, prefix) + _inet(address)


class Ipsec:
    """The policies of a network namespace."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        calls.ok("socket", "key", _FAMILY, "raw", _VERSION)

    def tunnel(self, to: str, begin: str, end: str) -> None:
        """What goes to this address goes through a tunnel of ESP between two others."""
        self._ask(
            *(_ADD, _ESP),
            struct.pack("=HHIBBBBI", 2, _SA, socket.htonl(SPI), 0, _MATURE, 0, _NULL_CIPHER, 0),
            struct.pack("=HHB3xII", 2, _SA2, _TUNNEL, 0, 0),
            struct.pack("=HHH2x", 1, _KEY, 0),
            _address(_SOURCE, begin, 32),
            _address(_DESTINATION, end, 32),
        )
        request = struct.pack("=HHBB2xII", 48, ESP, _TUNNEL, _REQUIRE, 0, 0)
        self._ask(
            *(_ADD_POLICY, 0),
            struct.pack("=HHHBxII", 8, _POLICY, _IPSEC, _OUTBOUND, 0, 0)
            + (request + _inet(begin) + _inet(end)),
            _address(_SOURCE, "0.0.0.0", 0),
            _address(_DESTINATION, to, 32),
        )

    def _ask(self, kind: int, protocol: int, *extensions: bytes) -> None:
        body = b"".join(extensions)
        words = 2 + len(body) // 8
        message = struct.pack("=BBBBH2xII", _VERSION, kind, 0, protocol, words, 0, 0) + body
        self._calls.ok("send", "key", f"hex:{message.hex()}")
        answer = bytes.fromhex(self._calls.ok("recv", "key", 4096)["hex"])
        assert answer[1:3] == bytes((kind, 0)), f"PF_KEY answers with error {answer[2]}"


def inside(packet: bytes) -> bytes:
    """The packet that one of ESP protects, if that is of `Ipsec.tunnel`."""
    outer = IP(packet)
    assert outer.proto == ESP, f"it is not protected: {outer.summary()}"
    data = packet[outer.ihl * 4 :]
    assert int.from_bytes(data[:4], "big") == SPI
    padding, protocol = data[-_TAIL:]
    assert protocol == socket.IPPROTO_IPIP
    return data[_HEAD : -_TAIL - padding]
