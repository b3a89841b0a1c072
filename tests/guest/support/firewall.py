# SPDX-License-Identifier: GPL-2.0-only
"""The structures of 2.2.12's linux/ip_fw.h, as programs give them to setsockopt()."""

from __future__ import annotations

import struct
from collections.abc import Callable

from divert_reference.programs import Calls
from harness.judge import ipfw
from harness.model.rules import Rule


def label(text: str) -> bytes:
    """ip_chainlabel."""
    return ipfw.label(text)


def rule(chain: str, target: str, port: int, protocol: int = 17) -> bytes:
    """struct ip_fwchange: a rule that matches a protocol everywhere, its target, and a chain."""
    return ipfw.change(chain, Rule(protocol=protocol, target=target, port=port))


def numbered(number: int, change: bytes) -> bytes:
    """struct ip_fwnew: a rule's number before struct ip_fwchange."""
    return struct.pack("<I", number) + change


def delete_number(number: int, chain: str) -> bytes:
    """struct ip_fwdelnum."""
    return ipfw.of_number(number, chain)


def check_of(packet: bytes, interface: str, chain: str) -> bytes:
    """struct ip_fwtest: headers of 20 bytes each, an interface, and the chain to begin in."""
    return ipfw.test_of(packet, interface, chain)


def policy(target: str, chain: str) -> bytes:
    """struct ip_fwpolicy."""
    return ipfw.policy(chain, target)


def firewall(calls: Calls) -> Callable[[str, bytes], str]:
    """Opens a raw socket; what is returned gives it an option: errno's name, or nothing."""
    calls.ok("socket", "fw", "inet", "raw", 255)

    def control(option: str, value: bytes) -> str:
        row = calls("setsockopt", "fw", "ip", option, f"hex:{value.hex()}")
        # ipchains takes all but -1 for a success; other programs may not.
        assert row["result"] in (0, -1), row
        return str(row.get("error", ""))

    return control
