# SPDX-License-Identifier: GPL-2.0-only
"""Routing policy in the guest: rules and tables of routes, by netlink (linux/fib_rules.h)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

from divert_reference.programs import Calls
from tests.guest.support.netlink import (
    ACK,
    CREATE,
    EXCL,
    ROUTE,
    Netlink,
    attribute,
    message,
    nested,
)

_NEW_ROUTE, _NEW_RULE = 24, 32
_MAIN = 254
_STATIC, _EVERYWHERE, _ON_LINK, _UNICAST = 4, 0, 253, 1
_TO, _OUT, _GATEWAY, _SOURCE, _METRICS, _TABLE = 1, 4, 5, 7, 8, 15
_MTU = 2
_LOOK_UP = 1
# Attributes of a rule by the words of ip(8), and how the value is written.
_RULE: dict[str, tuple[int, Callable[[str], bytes | str | int]]] = {
    "iif": (3, lambda word: word),
    "priority": (6, lambda word: int(word, 0)),
    "fwmark": (10, lambda word: int(word, 0)),
    "oif": (17, lambda word: word),
    "uidrange": (20, lambda word: struct.pack("=II", *map(int, word.split("-")))),
    "ipproto": (22, lambda word: bytes([int(word)])),
    "sport": (23, lambda word: struct.pack("=HH", int(word), int(word))),
    "dport": (24, lambda word: struct.pack("=HH", int(word), int(word))),
}


def _net(words: str) -> tuple[bytes, int]:
    """An address and the length of its prefix."""
    if words == "default":
        return bytes(4), 0
    address, _, length = words.partition("/")
    return socket.inet_aton(address), int(length or 32)


class Policy:
    """The rules and routes of a network namespace, in the words of ip(8)."""

    def __init__(self, calls: Calls) -> None:
        self._netlink = Netlink(calls, ROUTE)
        self._calls = calls

    def route(self, to: str, *words: str) -> None:
        """ip route add TO [via GATEWAY] [dev NAME] [table NUMBER] [src ADDRESS] [mtu BYTES]"""
        given = dict(zip(words[::2], words[1::2], strict=True))
        address, length = _net(to)
        table = int(given.get("table", _MAIN))
        scope = _EVERYWHERE if "via" in given else _ON_LINK
        body = struct.pack(
            "=BBBBBBBBI",
            *(socket.AF_INET, length, 0, 0),
            *(0 if table > 255 else table, _STATIC, scope, _UNICAST, 0),
        )
        body += attribute(_TO, address)
        if table > 255:
            body += attribute(_TABLE, table)
        if "via" in given:
            body += attribute(_GATEWAY, socket.inet_aton(given["via"]))
        if "dev" in given:
            index = self._calls.ok("ifindex", "netlink-0", given["dev"])["value"]
            body += attribute(_OUT, int(index))
        if "src" in given:
            body += attribute(_SOURCE, socket.inet_aton(given["src"]))
        if "mtu" in given:
            body += nested(_METRICS, attribute(_MTU, int(given["mtu"])))
        self._netlink.ask(message(_NEW_ROUTE, ACK | CREATE, body))

    def rule(self, *words: str) -> None:
        """ip rule add [from NET] [to NET] [tos N] [iif NAME] [fwmark N] ... table N"""
        given = dict(zip(words[::2], words[1::2], strict=True))
        source, source_length = _net(given.pop("from", "default"))
        to, to_length = _net(given.pop("to", "default"))
        table, tos = int(given.pop("table")), int(given.pop("tos", "0"), 0)
        body = struct.pack(
            "=BBBBBBBBI", socket.AF_INET, to_length, source_length, tos, table, 0, 0, _LOOK_UP, 0
        )
        if source_length:
            body += attribute(2, source)
        if to_length:
            body += attribute(1, to)
        for word, value in given.items():
            kind, written = _RULE[word]
            body += attribute(kind, written(value))
        self._netlink.ask(message(_NEW_RULE, ACK | CREATE | EXCL, body))
