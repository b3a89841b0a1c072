# SPDX-License-Identifier: GPL-2.0-only
"""IPsec in the guest, by an algorithm that changes nothing, so that what is inside can be compared.

It is told by PF_KEY (RFC 2367, linux/pfkeyv2.h, ipsec.h), which is the same for 32-bit programs.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from scapy.layers.inet import IP

from divert_reference.programs import Calls
from harness.guest.shell import Shell
from tests.guest.support.stack import load

# Of harness/matrix/kernels.toml, in the order of loading.
MODULES = ("crypto_null", "ecb", "authenc", "xfrm_algo", "esp4", "af_key")

ESP = 50
SPI = 0x1234
_FAMILY, _VERSION = 15, 2
_AF_ALG, _SEQPACKET = 38, 5
_ADD, _ADD_POLICY = 3, 14
_ESP, _NULL_CIPHER, _MATURE = 3, 11, 1
_SA, _SOURCE, _DESTINATION, _KEY, _POLICY, _SA2 = 1, 5, 6, 9, 18, 19
_TRANSPORT, _TUNNEL = 1, 2
_REQUIRE, _IPSEC = 2, 2
ANY = 255
_INBOUND, _OUTBOUND = 1, 2
# ESP: SPI and number in front; behind padding, its length, the protocol inside.
_HEAD, _TAIL = 8, 2


def _inet(address: str, port: int = 0) -> bytes:
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + _padded(address)


def _padded(address: str) -> bytes:
    return socket.inet_aton(address) + bytes(8)


@dataclass(frozen=True)
class Selected:
    """What a policy is for: two networks, a protocol or any, and a port that it goes to or any."""

    source: str = "0.0.0.0/0"
    to: str = "0.0.0.0/0"
    protocol: int = ANY
    port: int = 0

    def addresses(self) -> bytes:
        """As a message has it."""
        found = b""
        for kind, net, port in ((_SOURCE, self.source, 0), (_DESTINATION, self.to, self.port)):
            address, _, prefix = net.partition("/")
            head = struct.pack("=HHBB2x", 3, kind, self.protocol, int(prefix or 32))
            found += head + _inet(address, port)
        return found


class Ipsec:
    """The policies of a network namespace."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        calls.ok("socket", "key", _FAMILY, "raw", _VERSION)

    def tunnel(self, to: str, begin: str, end: str) -> None:
        """What goes to this address goes through a tunnel of ESP between two others."""
        self.through(Selected(to=f"{to}/32"), begin, end)

    def through(self, selected: Selected, begin: str, end: str, *, inbound: bool = False) -> None:
        """What is selected goes, or has to have come, through a tunnel of ESP."""
        self._associate(_TUNNEL, begin, end)
        request = struct.pack("=HHBB2xII", 48, ESP, _TUNNEL, _REQUIRE, 0, 0)
        ends = _inet(begin) + _inet(end)
        self._policy(selected, request + ends, _INBOUND if inbound else _OUTBOUND)

    def between(self, selected: Selected, begin: str, end: str) -> None:
        """What is selected, of what goes from one host to another, is protected by ESP."""
        self._associate(_TRANSPORT, begin, end)
        request = struct.pack("=HHBB2xII", 16, ESP, _TRANSPORT, _REQUIRE, 0, 0)
        self._policy(selected, request, _OUTBOUND)

    def _associate(self, mode: int, begin: str, end: str) -> None:
        self._ask(
            *(_ADD, _ESP),
            struct.pack("=HHIBBBBI", 2, _SA, socket.htonl(SPI), 0, _MATURE, 0, _NULL_CIPHER, 0),
            struct.pack("=HHB3xII", 2, _SA2, mode, 0, 0),
            struct.pack("=HHH2x", 1, _KEY, 0),
            Selected(f"{begin}/32", f"{end}/32").addresses(),
        )

    def _policy(self, selected: Selected, request: bytes, direction: int) -> None:
        length = (16 + len(request)) // 8
        self._ask(
            *(_ADD_POLICY, 0),
            struct.pack("=HHHBxII", length, _POLICY, _IPSEC, direction, 0, 0) + request,
            selected.addresses(),
        )

    def _ask(self, kind: int, protocol: int, *extensions: bytes) -> None:
        body = b"".join(extensions)
        words = 2 + len(body) // 8
        message = struct.pack("=BBBBH2xII", _VERSION, kind, 0, protocol, words, 0, 0) + body
        self._calls.ok("send", "key", f"hex:{message.hex()}")
        answer = bytes.fromhex(self._calls.ok("recv", "key", 4096)["hex"])
        assert answer[1:3] == bytes((kind, 0)), f"PF_KEY answers with error {answer[2]}"


def later(shell: Shell, calls: Calls) -> None:
    """Have what ESP does to packets done by another task, by and by; before there is any of it.

    AF_ALG (linux/if_alg.h) asks for the algorithm with cryptd around, which is then preferred.
    """
    load(shell, "crypto_null", "cryptd", "af_alg", "algif_skcipher")
    calls.ok("socket", "algorithm", _AF_ALG, _SEQPACKET, 0)
    name = struct.pack("=H14sII64s", _AF_ALG, b"skcipher", 0, 0, b"cryptd(ecb-cipher_null)")
    calls.ok("bind", "algorithm", f"hex:{name.hex()}")


def around(packet: bytes, begin: str, end: str) -> bytes:
    """A packet in one of ESP, from one end of `Ipsec.through` to the other."""
    padding = -(len(packet) + _TAIL) % 4
    tail = bytes(range(1, padding + 1)) + bytes((padding, socket.IPPROTO_IPIP))
    head = struct.pack("!II", SPI, 1)
    return bytes(IP(src=begin, dst=end, proto=ESP, id=0x78, ttl=9) / (head + packet + tail))


def inside(packet: bytes) -> bytes:
    """The packet that one of ESP protects, if that is of `Ipsec.tunnel`."""
    outer = IP(packet)
    assert outer.proto == ESP, f"it is not protected: {outer.summary()}"
    data = packet[outer.ihl * 4 :]
    assert int.from_bytes(data[:4], "big") == SPI
    padding, protocol = data[-_TAIL:]
    assert protocol == socket.IPPROTO_IPIP
    return data[_HEAD : -_TAIL - padding]
