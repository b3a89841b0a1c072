# SPDX-License-Identifier: GPL-2.0-only
"""S. A divert socket, what is in its queue, and what a program holds of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.model.packet import Packet
from harness.model.walk import Place


@dataclass(eq=False)
class Taken:
    """A packet that a rule took, and what is known of it until it is reinjected (I2).

    `interface` is the one that received it, "" for a packet of this host's own; `out` that by which
    it leaves, if that is known. `header` is what routing looks at, as it was when it was taken.
    `address` is what S5 tells.
    """

    packet: Packet
    hook: str
    place: Place
    interface: str
    out: str
    address: str
    reader: Socket

    @property
    def header(self) -> tuple[str, str, int]:
        """What its way depends on."""
        return self.packet.source, self.packet.destination, self.packet.tos

    def __post_init__(self) -> None:
        self.was = self.header


@dataclass(eq=False)
class Socket:
    """A divert socket, and what S11 tells of it. `port` is 0 until it is bound."""

    name: str
    port: int = 0
    queue: list[Taken] = field(default_factory=list)
    delivered: int = 0
    dropped: int = 0
    injected: int = 0
    open: bool = True
    # A queue that has room for one packet of any size, and for others only if it can (S9).
    small: bool = False
    shut: bool = False


@dataclass(frozen=True)
class Held:
    """What a program was given: the packet, and the address with its tag."""

    packet: Packet
    taken: Taken
