# SPDX-License-Identifier: GPL-2.0-only
"""A TCP connection between two programs in the guest."""

from __future__ import annotations

from divert_reference.programs import Calls
from divert_reference.traffic import TCP_PORT

BYTES = 150_000


def stream(server: Calls, client: Calls, to: str) -> None:
    """A TCP connection to this address, by which the client sends BYTES, which have to arrive."""
    server.ok("socket", "listener", "inet", "stream", 0)
    server.ok("setsockopt", "listener", "socket", "reuseaddr", "int:1")
    server.ok("bind", "listener", f"in:{to}:{TCP_PORT}")
    server.ok("listen", "listener", 5)
    client.ok("socket", "client", "inet", "stream", 0)
    client.ok("connect", "client", f"in:{to}:{TCP_PORT}")
    server.ok("accept", "listener", "peer")
    drained = server.begin("drain", "peer")
    sent = client.ok("pump", "client", BYTES)
    client.ok("close", "client")
    received = drained()
    assert (received["result"], received["value"]) == (BYTES, sent["value"])
    server.ok("close", "peer")
    server.ok("close", "listener")
