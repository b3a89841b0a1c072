# SPDX-License-Identifier: GPL-2.0-only
"""The structures of 2.2's linux/ip_fw.h, as programs give them to setsockopt()."""

from __future__ import annotations

import struct

from harness.model.rules import Rule, network

_LABEL_BYTES = 9  # ip_chainlabel: 8 letters and an end
_NAME_BYTES = 16  # IFNAMSIZ
_USER_BYTES, _CHANGE_BYTES, _NUMBER_BYTES, _TEST_BYTES = 68, 80, 16, 72

# fw_flg and fw_invflg, by the names of the model's fields.
_SYN, _FRAGMENT, _WILD = 0x02, 0x04, 0x10
_INVERTED = {
    "source": 0x01,
    "destination": 0x02,
    "protocol": 0x04,
    "sources": 0x08,
    "destinations": 0x10,
    "interface": 0x20,
    "syn": 0x40,
    "fragment": 0x80,
}


def label(text: str) -> bytes:
    """ip_chainlabel."""
    return text.encode().ljust(_LABEL_BYTES, b"\0")


def user(rule: Rule) -> bytes:
    """struct ip_fwuser: a rule and its target. Numbers are in host byte order, addresses not."""
    (source, source_mask), (target, target_mask) = map(network, (rule.source, rule.destination))
    flags = _SYN * rule.syn | _FRAGMENT * rule.fragment
    name = rule.interface
    if name.endswith("+") or not name:
        flags |= _WILD
        name = name.rstrip("+")
    turned = sum(_INVERTED[each] for each in rule.inverted)
    addresses = struct.pack("!4I", source, target, source_mask, target_mask)
    numbers = struct.pack(
        "<IHHH4HHH",
        rule.mark,
        rule.protocol,
        flags,
        turned,
        *rule.sources,
        *rule.destinations,
        rule.port,
        0,
    )
    rest = name.encode().ljust(_NAME_BYTES, b"\0") + bytes(rule.tos)
    return (addresses + numbers + rest + label(rule.target)).ljust(_USER_BYTES, b"\0")


def change(chain: str, rule: Rule) -> bytes:
    """struct ip_fwchange: for IP_FW_APPEND and IP_FW_DELETE."""
    return (user(rule) + label(chain)).ljust(_CHANGE_BYTES, b"\0")


def numbered(number: int, chain: str, rule: Rule) -> bytes:
    """struct ip_fwnew: for IP_FW_INSERT and IP_FW_REPLACE."""
    return struct.pack("<I", number) + change(chain, rule)


def of_number(number: int, chain: str) -> bytes:
    """struct ip_fwdelnum."""
    return (struct.pack("<I", number) + label(chain)).ljust(_NUMBER_BYTES, b"\0")


def policy(chain: str, target: str) -> bytes:
    """struct ip_fwpolicy."""
    return label(target) + label(chain)


def test_of(packet: bytes, interface: str, chain: str) -> bytes:
    """struct ip_fwtest: headers of 20 bytes each, an interface, and the chain to begin in."""
    headers = packet[:40].ljust(40, b"\0")
    via = bytes(4) + interface.encode().ljust(_NAME_BYTES, b"\0")
    return (headers + via + label(chain)).ljust(_TEST_BYTES, b"\0")
