# SPDX-License-Identifier: GPL-2.0-only
"""Netlink from a program in the guest, and interfaces by it: there is no ip(8).

Numbers are those of linux/netlink.h, rtnetlink.h and if_link.h.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

from divert_reference.programs import Calls

# Flags of a message.
REQUEST, ACK, DUMP, CREATE, EXCL, APPEND = 1, 4, 0x300, 0x400, 0x200, 0x800
REPLACE = 0x100
_ERROR, _DONE = 2, 3
_NESTED = 0x8000
ROUTE, NETFILTER = 0, 12
_HEAD = struct.Struct("=IHHII")


def attribute(kind: int, value: bytes | str | int) -> bytes:
    """An attribute: text with its zero, a number as 32 bits of the host's order, padded."""
    if isinstance(value, int):
        value = struct.pack("=I", value)
    elif isinstance(value, str):
        value = value.encode() + b"\0"
    return struct.pack("=HH", len(value) + 4, kind) + value + bytes(-len(value) % 4)


def nested(kind: int, *inside: bytes) -> bytes:
    """An attribute of attributes."""
    return attribute(kind | _NESTED, b"".join(inside))


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes in `data`, each a number and its value."""
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        yield kind & ~_NESTED, data[4:length]
        data = data[(length + 3) & ~3 :]


class Netlink:
    """A netlink socket of the program `calls`, in the network namespace of that."""

    def __init__(self, calls: Calls, protocol: int, name: str = "") -> None:
        self._calls = calls
        self._name = name or f"netlink-{protocol}"
        calls.ok("socket", self._name, "netlink", "raw", protocol)
        calls.ok("bind", self._name, "nl:0:0")

    def ask(self, *messages: bytes) -> None:
        """Send messages together, the last of which asks for an ACK; all have to succeed."""
        self._send(*messages)
        for kind, data in self.receive():
            assert kind == _ERROR, f"netlink answers with {kind}"
            error = struct.unpack_from("=i", data)[0]
            assert error == 0, f"netlink answers with error {error}"

    def dump(self, message: bytes) -> list[bytes]:
        """Send a request for a dump; the messages of the answer without netlink's head."""
        self._send(message)
        found: list[bytes] = []
        while True:
            for kind, data in self.receive():
                if kind == _DONE:
                    return found
                assert kind != _ERROR, (
                    f"netlink answers with error {struct.unpack_from('=i', data)}"
                )
                found.append(data)

    def _send(self, *messages: bytes) -> None:
        self._calls.ok("sendto", self._name, f"hex:{b''.join(messages).hex()}", "nl:0:0")

    def receive(self) -> Iterator[tuple[int, bytes]]:
        """The messages of one answer: each its kind, and what is behind netlink's head."""
        data = bytes.fromhex(self._calls.ok("recv", self._name, 65536)["hex"])
        while len(data) >= _HEAD.size:
            length, kind, *_ = _HEAD.unpack_from(data)
            yield kind, data[_HEAD.size : length]
            data = data[(length + 3) & ~3 :]


def message(kind: int, flags: int, body: bytes) -> bytes:
    """A message that begins with the subsystem's own head."""
    return _HEAD.pack(_HEAD.size + len(body), kind, REQUEST | flags, 0, 0) + body


class Links:
    """The interfaces of a network namespace."""

    _NEW, _DELETE, _NEW_QUEUE = 16, 17, 36
    _ADDRESS, _NAME, _LINK, _MASTER, _INFO, _OF_PROCESS = 1, 3, 5, 10, 18, 19
    _KIND, _DATA, _PEER, _VLAN_ID = 1, 2, 1, 1
    _ROOT = 0xFFFFFFFF

    def __init__(self, calls: Calls) -> None:
        self._netlink = Netlink(calls, ROUTE)
        self._calls = calls

    def index(self, name: str) -> int:
        """The number of an interface."""
        return int(self._calls.ok("ifindex", "netlink-0", name)["value"])

    def veth(self, name: str, peer: str, process: int) -> None:
        """Make a pair; its other end goes to the network namespace of a process."""
        other = bytes(16) + attribute(self._NAME, peer) + attribute(self._OF_PROCESS, process)
        self._new(name, "veth", attribute(self._PEER, other))

    def vlan(self, name: str, below: str, number: int) -> None:
        """Make the interface of a VLAN."""
        data = attribute(self._VLAN_ID, struct.pack("=H", number))
        self._new(name, "vlan", data, attribute(self._LINK, self.index(below)))

    def tunnel(self, name: str, local: str, remote: str) -> None:
        """Make a tunnel of IP in IP."""
        ends = attribute(2, socket.inet_aton(local)) + attribute(3, socket.inet_aton(remote))
        self._new(name, "ipip", ends)

    def bridge(self, name: str, *ports: str) -> None:
        """Make a bridge of interfaces. It has the address of the first of its ports for good."""
        self._new(name, "bridge", b"")
        for port in ports:
            self._change(port, attribute(self._MASTER, self.index(name)))

    def vrf(self, name: str, table: int, *slaves: str) -> None:
        """Make an interface whose slaves are routed by a table of their own."""
        self._new(name, "vrf", attribute(1, table))
        for slave in slaves:
            self._change(slave, attribute(self._MASTER, self.index(name)))

    def queue(self, name: str, kind: str) -> None:
        """Let what leaves by an interface wait in a queue of this kind (a qdisc), as tc(8) does."""
        body = struct.pack("=BxHiIII", 0, 0, self.index(name), 0, self._ROOT, 0)
        self._netlink.ask(
            message(self._NEW_QUEUE, ACK | CREATE | REPLACE, body + attribute(self._KIND, kind))
        )

    def give(self, name: str, process: int) -> None:
        """Let an interface go to the network namespace of a process: down, without addresses."""
        self._change(name, attribute(self._OF_PROCESS, process))

    def delete(self, name: str) -> None:
        """Remove an interface."""
        body = struct.pack("=BxHiII", 0, 0, self.index(name), 0, 0)
        self._netlink.ask(message(self._DELETE, ACK, body))

    def _change(self, name: str, *more: bytes) -> None:
        body = struct.pack("=BxHiII", 0, 0, self.index(name), 0, 0)
        self._netlink.ask(message(self._NEW, ACK, body + b"".join(more)))

    def _new(self, name: str, kind: str, data: bytes, *more: bytes) -> None:
        info = nested(self._INFO, attribute(self._KIND, kind), attribute(self._DATA, data))
        body = bytes(16) + attribute(self._NAME, name) + info + b"".join(more)
        self._netlink.ask(message(self._NEW, ACK | CREATE | EXCL, body))
