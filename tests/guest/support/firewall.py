# SPDX-License-Identifier: GPL-2.0-only
"""The structures of 2.2.12's linux/ip_fw.h, as programs give them to setsockopt()."""

from __future__ import annotations

import struct
from collections.abc import Callable

from tests.guest.support.programs import Calls

LABEL = 9  # ip_chainlabel: 8 letters and an end
EVERY_PORT = (0, 0xFFFF)


def label(text: str) -> bytes:
    """ip_chainlabel."""
    return text.encode().ljust(LABEL, b"\0")


def rule(chain: str, target: str, port: int, protocol: int = 17) -> bytes:
    """struct ip_fwchange: struct ip_fwuser (a rule and its target), and a chain.

    The rule matches a protocol everywhere; its port is written in host byte order.
    """
    everywhere = bytes(16)  # source, destination and their masks
    numbers = struct.pack(
        "<IHHH4HHH", 0, protocol, 0, 0, *EVERY_PORT, *EVERY_PORT, port, 0
    )  # mark, protocol, flags, inversions, ports, the divert port, output size
    interface, tos = bytes(16), b"\xff\x00"
    fw = everywhere + numbers + interface + tos
    user = (fw + label(target)).ljust(68, b"\0")
    return (user + label(chain)).ljust(80, b"\0")


def numbered(number: int, change: bytes) -> bytes:
    """struct ip_fwnew: a rule's number before struct ip_fwchange."""
    return struct.pack("<I", number) + change


def delete_number(number: int, chain: str) -> bytes:
    """struct ip_fwdelnum."""
    return (struct.pack("<I", number) + label(chain)).ljust(16, b"\0")


def check_of(packet: bytes, interface: str, chain: str) -> bytes:
    """struct ip_fwtest: headers of 20 bytes each, an interface, and the chain to begin in."""
    headers = packet[:40].ljust(40, b"\0")
    via = bytes(4) + interface.encode().ljust(16, b"\0")
    return (headers + via + label(chain)).ljust(72, b"\0")


def policy(target: str, chain: str) -> bytes:
    """struct ip_fwpolicy."""
    return label(target) + label(chain)


def firewall(calls: Calls) -> Callable[[str, bytes], str]:
    """Opens a raw socket; what is returned gives it an option: errno's name, or nothing."""
    calls.ok("socket", "fw", "inet", "raw", 255)

    def control(option: str, value: bytes) -> str:
        row = calls("setsockopt", "fw", "ip", option, f"hex:{value.hex()}")
        return str(row.get("error", ""))

    return control
