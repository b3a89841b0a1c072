# SPDX-License-Identifier: GPL-2.0-only
"""Divert sockets driven call by call: what is taken, and when it is reinjected."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from divert_reference.programs import Calls
from divert_reference.traffic import ip_packets
from harness.base.errors import GuestError
from harness.guest.machine import Machine
from harness.network.packets import inet
from harness.network.wire import Wire

# Nothing but a lost packet takes so long. Less than a call may take (programs.py).
TAKE_MILLISECONDS = 3000


def built(packet: Any) -> bytes:
    """A packet with all that scapy fills in."""
    return bytes(inet().IP(bytes(packet)))


@dataclass(frozen=True)
class Taken:
    """A packet and the address that it came with, tag and all."""

    data: bytes
    interface: str
    address: str = field(compare=False)  # a tag is of one packet

    @property
    def packet(self) -> Any:
        """The packet as scapy's IP, of which a changed copy can be reinjected."""
        return inet().IP(self.data)


class DivertSocket:
    """A bound divert socket of the program `calls`. What is refused is a GuestError."""

    def __init__(self, calls: Calls, port: int) -> None:
        self.port = port
        self.name = f"divert-{port}"
        self._calls = calls
        calls.ok("socket", self.name, "inet", "raw", 254)
        calls.ok("bind", self.name, f"in:0.0.0.0:{port}")

    def take(self, milliseconds: int = TAKE_MILLISECONDS) -> Taken:
        """The next packet; one that does not come in time is a GuestError."""
        waited = self._calls.ok("poll", self.name, "in", milliseconds)
        if waited["result"] != 1:
            raise GuestError(f"no packet for divert port {self.port} within {milliseconds} ms")
        row = self._calls.ok("recvfrom", self.name, 65535, "dontwait")
        sender = row["from"]
        return Taken(bytes.fromhex(row["hex"]), sender["ip"], f"hex:{sender['hex']}")

    def reinject(self, taken: Taken, data: Any = None) -> None:
        """Reinject a packet with its tag; changed if `data`, bytes or scapy's IP, is given."""
        self.inject(taken.data if data is None else bytes(data), taken.address)

    def inject(self, data: bytes, address: str = "none") -> None:
        """Inject a packet, which the kernel has to accept as a whole."""
        row = self._calls.ok("sendto", self.name, f"hex:{data.hex()}", address)
        if row["result"] != len(data):
            raise GuestError(f"of {len(data)} bytes {row['result']} were sent")

    def send(self, data: bytes, address: str) -> dict[str, Any]:
        """Inject a packet, whatever becomes of it; the call's answer."""
        return self._calls("sendto", self.name, f"hex:{data.hex()}", address)

    def refused(self, data: bytes, address: str = "none") -> str:
        """Inject a packet that the kernel has to refuse; errno's name."""
        return self._calls.error("sendto", self.name, f"hex:{data.hex()}", address)

    def rest(self) -> list[bytes]:
        """What still waits to be read."""
        return self._calls.drain(self.name)

    def close(self) -> None:
        """Close it."""
        self._calls.ok("close", self.name)


def left(guest: Machine, wire: Wire) -> list[bytes]:
    """The IP packets that left by a wire since it was asked last."""
    guest.barrier()
    found = ip_packets(wire.captured())
    wire.clear()
    return found


class Injector:
    """A bound divert socket that has never received anything."""

    def __init__(self, guest: Machine, socket: DivertSocket) -> None:
        self._guest = guest
        self.socket = socket

    def __call__(self, data: bytes, address: str) -> None:
        """Inject a packet, which the kernel has to accept as a whole."""
        self.socket.inject(data, address)

    def left(self, wire: Wire) -> list[bytes]:
        """What has left by a wire since it was asked last."""
        return left(self._guest, wire)
