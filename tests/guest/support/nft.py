# SPDX-License-Identifier: GPL-2.0-only
"""nftables in the guest, by netlink: there is no nft(8).

Numbers are those of linux/netfilter/nfnetlink.h and netfilter/nf_tables.h.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

from divert_reference.programs import Calls
from divert_reference.traffic import FAR
from tests.guest.support.netlink import (
    ACK,
    APPEND,
    CREATE,
    DUMP,
    NETFILTER,
    Netlink,
    attribute,
    attributes,
    message,
    nested,
)

# Hooks, by the names of nft(8).
HOOKS = {"prerouting": 0, "input": 1, "forward": 2, "output": 3, "postrouting": 4}
_TABLES = 10 << 8
_TABLE, _CHAIN, _RULE, _DUMP_RULES = _TABLES | 0, _TABLES | 3, _TABLES | 6, _TABLES | 7
_DELETE_TABLE = _TABLES | 2
_BEGIN, _END = 0x10, 0x11
_IPV4 = 2
_NAME = "beside"
_VERDICT, _REGISTER = 0, 1


def _number(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("!I", value & 0xFFFFFFFF))


def _expression(name: str, *data: bytes) -> bytes:
    return nested(1, attribute(1, name), nested(2, *data))


def _compared(value: bytes) -> bytes:
    return _expression("cmp", _number(1, _REGISTER), _number(2, 0), nested(3, attribute(1, value)))


def protocol(number: int) -> bytes:
    """meta l4proto NUMBER"""
    return _expression("meta", _number(1, _REGISTER), _number(2, 16)) + _compared(bytes([number]))


def destination(address: str) -> bytes:
    """ip daddr ADDRESS"""
    place = (_number(1, _REGISTER), _number(2, 1), _number(3, 16), _number(4, 4))
    return _expression("payload", *place) + _compared(socket.inet_aton(address))


PACKET_TYPES = ("host", "broadcast", "multicast", "other")
# Keys of `meta`, by the names of nft(8), and how what they are compared with is written.
_META: dict[str, tuple[int, Callable[[str], bytes]]] = {
    "mark": (3, lambda word: struct.pack("=I", int(word, 0))),
    "iifname": (6, lambda word: word.encode().ljust(16, b"\0")),
    "oifname": (7, lambda word: word.encode().ljust(16, b"\0")),
    "skuid": (10, lambda word: struct.pack("=I", int(word))),
    "pkttype": (19, lambda word: bytes([PACKET_TYPES.index(word)])),
}


def meta(key: str, value: str) -> bytes:
    """meta KEY VALUE"""
    number, written = _META[key]
    return _expression("meta", _number(1, _REGISTER), _number(2, number)) + _compared(
        written(value)
    )


def set_mark(value: int) -> bytes:
    """meta mark set VALUE"""
    data = nested(2, attribute(1, struct.pack("=I", value)))
    put = _expression("immediate", _number(1, _REGISTER), data)
    return put + _expression("meta", _number(2, _META["mark"][0]), _number(3, _REGISTER))


def _ether(place: int, address: str) -> bytes:
    where = (_number(1, _REGISTER), _number(2, 0), _number(3, place), _number(4, 6))
    return _expression("payload", *where) + _compared(bytes.fromhex(address.replace(":", "")))


def ether_destination(address: str) -> bytes:
    """ether daddr ADDRESS"""
    return _ether(0, address)


def ether_source(address: str) -> bytes:
    """ether saddr ADDRESS"""
    return _ether(6, address)


# Keys of `ct`, by the names of nft(8).
_CT = {"state": 0, "mark": 3, "zone": 17}


def ct(key: str, value: str) -> bytes:
    """ct KEY VALUE, of a key that is a number"""
    written = struct.pack("=H" if key == "zone" else "=I", int(value, 0))
    loaded = _expression("ct", _number(1, _REGISTER), _number(2, _CT[key]))
    return loaded + _compared(written)


def set_ct(key: str, value: int) -> bytes:
    """ct KEY set VALUE"""
    written = struct.pack("=H" if key == "zone" else "=I", value)
    put = _expression("immediate", _number(1, _REGISTER), nested(2, attribute(1, written)))
    return put + _expression("ct", _number(2, _CT[key]), _number(4, _REGISTER))


COUNTER = _expression("counter")
DROP = _expression("immediate", _number(1, _VERDICT), nested(2, nested(2, _number(1, 0))))
NOTRACK = _expression("notrack")
MASQUERADE = _expression("masq")
# linux/netfilter_ipv4.h: NF_IP_PRI_NAT_SRC.
SOURCE_NAT = 100


def queue(number: int) -> bytes:
    """queue to NUMBER"""
    return _expression("queue", attribute(1, struct.pack("!H", number)))


def dnat(address: str) -> bytes:
    """dnat to ADDRESS"""
    value = nested(2, attribute(1, socket.inet_aton(address)))
    put = _expression("immediate", _number(1, _REGISTER), value)
    return put + _expression("nat", _number(1, 1), _number(2, _IPV4), _number(3, _REGISTER))


class Nft:
    """The table `ip beside` of a network namespace."""

    def __init__(self, calls: Calls) -> None:
        """Make it; the modules NFTABLES of stack.py are loaded."""
        self._netlink = Netlink(calls, NETFILTER)
        self._batch(_TABLE, CREATE, attribute(1, _NAME))

    def chain(self, name: str, hook: str, priority: int = 0, kind: str = "filter") -> None:
        """type KIND hook HOOK priority PRIORITY"""
        at = nested(4, _number(1, HOOKS[hook]), _number(2, priority))
        self._batch(_CHAIN, CREATE, attribute(1, _NAME), attribute(3, name), at, attribute(7, kind))

    def rule(self, chain: str, *expressions: bytes) -> None:
        """Append a rule."""
        where = (attribute(1, _NAME), attribute(2, chain))
        self._batch(_RULE, CREATE | APPEND, *where, nested(4, *expressions))

    def remove(self) -> None:
        """Remove it with all that is in it."""
        self._batch(_DELETE_TABLE, 0, attribute(1, _NAME))

    def counts(self, chain: str) -> list[int]:
        """How many packets each COUNTER of a chain has seen, in the order of the rules."""
        head = struct.pack("!BBH", _IPV4, 0, 0)
        wanted = attribute(1, _NAME) + attribute(2, chain)
        rules = self._netlink.dump(message(_DUMP_RULES, DUMP, head + wanted))
        found = []
        for rule in rules:
            for _, expression in attributes(dict(attributes(rule[4:]))[4]):
                parts = dict(attributes(expression))
                if parts[1] == b"counter\0":
                    found.append(int.from_bytes(dict(attributes(parts[2]))[2], "big"))
        return found

    def _batch(self, kind: int, flags: int, *parts: bytes) -> None:
        edge = struct.pack("!BBH", 0, 0, _TABLES >> 8)
        body = struct.pack("!BBH", _IPV4, 0, 0) + b"".join(parts)
        self._netlink.ask(
            message(_BEGIN, 0, edge), message(kind, flags | ACK, body), message(_END, 0, edge)
        )


def masquerade(nft: Nft) -> None:
    """What goes to wire 1's host gets the address of the interface."""
    nft.chain("source", "postrouting", SOURCE_NAT, "nat")
    nft.rule("source", destination(FAR.host_ip), MASQUERADE)
