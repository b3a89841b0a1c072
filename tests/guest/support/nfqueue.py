# SPDX-License-Identifier: GPL-2.0-only
"""A queue of NFQUEUE in the guest, by netlink (linux/netfilter/nfnetlink_queue.h)."""

from __future__ import annotations

import struct

from divert_reference.programs import Calls
from tests.guest.support.netlink import ACK, NETFILTER, Netlink, attribute, attributes, message

# In the order of loading, behind those of stack.py.
MODULES = ("nfnetlink_queue", "nft_queue")

_QUEUES = 3 << 8
_PACKET, _VERDICT, _CONFIGURE = _QUEUES | 0, _QUEUES | 1, _QUEUES | 2
_COMMAND, _PARAMETERS = 1, 2
_BIND, _NO_DATA = 1, 1
_PACKET_HEAD, _VERDICT_HEAD, _PAYLOAD = 1, 2, 10
_ACCEPT = 1
_IPV4 = 2
_WAIT_MILLISECONDS = 3000


class Queue:
    """A queue of a program that holds what comes to it until it is told to accept it."""

    def __init__(self, calls: Calls, number: int) -> None:
        self._calls = calls
        self._number = number
        self._netlink = Netlink(calls, NETFILTER, "queue")
        self._configure(_COMMAND, struct.pack("!BxH", _BIND, _IPV4))
        self._configure(_PARAMETERS, struct.pack("!IB", 0, _NO_DATA))

    def take(self) -> int:
        """Wait for the next packet; its number in this queue."""
        waited = self._calls.ok("poll", "queue", "in", _WAIT_MILLISECONDS)
        assert waited["result"] == 1, "no packet in the queue"
        ((kind, data),) = self._netlink.receive()
        assert kind == _PACKET, f"netlink answers with {kind}"
        return int.from_bytes(dict(attributes(data[4:]))[_PACKET_HEAD][:4], "big")

    def accept(self, packet: int, changed: bytes = b"") -> None:
        """Let a packet go on, or another in its place."""
        verdict = attribute(_VERDICT_HEAD, struct.pack("!II", _ACCEPT, packet))
        if changed:
            verdict += attribute(_PAYLOAD, changed)
        self._netlink.ask(message(_VERDICT, ACK, self._head() + verdict))

    def _head(self) -> bytes:
        return struct.pack("!BBH", 0, 0, self._number)

    def _configure(self, kind: int, value: bytes) -> None:
        self._netlink.ask(message(_CONFIGURE, ACK, self._head() + attribute(kind, value)))
