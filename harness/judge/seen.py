# SPDX-License-Identifier: GPL-2.0-only
"""What a step came to, as a guest's programs and wires saw it."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.judge.proc import Listing


@dataclass
class Seen:
    """What a step came to: bytes, as programs and wires had them.

    `answer` is errno's name, or "". `address` is what was read with a packet: all of it, and what
    it says of the interface. `sent` is by interface, IP alone; `received` by receiver; `told` are
    the errors that the guest's own programs were told, in words.
    """

    answer: str = ""
    data: bytes | None = None
    address: bytes = b""
    interface: str = ""
    sent: dict[str, list[bytes]] = field(default_factory=dict)
    received: dict[str, list[bytes]] = field(default_factory=dict)
    told: dict[str, list[str]] = field(default_factory=dict)
    listing: Listing = field(default_factory=Listing)
