# SPDX-License-Identifier: GPL-2.0-only
"""R. The rules of the firewall, and what they match (R1)."""

from __future__ import annotations

import dataclasses
import shlex
import socket
from dataclasses import dataclass

from harness.model.packet import Packet

HOOKS = ("input", "forward", "output")
ACCEPT, DENY, REJECT, RETURN, DIVERT = "ACCEPT", "DENY", "REJECT", "RETURN", "DIVERT"
TARGETS = (ACCEPT, DENY, REJECT, RETURN, DIVERT)
POLICIES = (ACCEPT, DENY, REJECT)
EVERY_PORT = (0, 0xFFFF)


@dataclass(frozen=True)
class Rule:
    """What a rule matches, what it does to that, and its target, in the words of ipchains.

    An address is `192.0.2.0/24`; `interface` ends in + if it is a beginning. The names in
    `inverted` are those of fields that match the other way round. No target is "".
    """

    source: str = "0.0.0.0/0"
    destination: str = "0.0.0.0/0"
    interface: str = ""
    protocol: int = 0
    sources: tuple[int, int] = EVERY_PORT
    destinations: tuple[int, int] = EVERY_PORT
    fragment: bool = False
    syn: bool = False
    inverted: frozenset[str] = frozenset()
    tos: tuple[int, int] = (0xFF, 0)
    # Added to the packet's, by which nothing here finds its way.
    mark: int = 0
    target: str = ""
    port: int = 0

    def words(self) -> str:
        """The rule as a line of text, which `rule` reads."""
        words = []
        for option, name in _OPTIONS.items():
            value = getattr(self, name)
            if value == _DEFAULTS[name]:
                continue
            words += ["!"] if name in self.inverted else []
            words.append(option)
            if isinstance(value, tuple):
                words.append(f"{value[0]}:{value[1]}")
            elif not isinstance(value, bool):
                words.append(str(value))
        if self.target:
            words += ["-j", self.target]
        if self.port:
            words.append(str(self.port))
        return " ".join(words)


_OPTIONS = {
    "-s": "source",
    "--sport": "sources",
    "-d": "destination",
    "--dport": "destinations",
    "-i": "interface",
    "-p": "protocol",
    "-f": "fragment",
    "-y": "syn",
    "-t": "tos",
    "-m": "mark",
}
_DEFAULTS = {each.name: each.default for each in dataclasses.fields(Rule)}


def rule(text: str) -> Rule:
    """A rule of the line that `Rule.words` made. Raises ValueError for another."""
    fields: dict[str, object] = {}
    inverted: set[str] = set()
    words = shlex.split(text)
    turned = False
    while words:
        word = words.pop(0)
        if word == "!":
            turned = True
            continue
        if word == "-j":
            fields["target"] = words.pop(0)
            if words:
                fields["port"] = int(words.pop(0))
            continue
        if word not in _OPTIONS:
            raise ValueError(f"no option of a rule: {word}")
        name = _OPTIONS[word]
        fields[name] = _value(name, words)
        if turned:
            inverted.add(name)
        turned = False
    return Rule(inverted=frozenset(inverted), **fields)  # type: ignore[arg-type]


def _value(name: str, words: list[str]) -> object:
    default = _DEFAULTS[name]
    if isinstance(default, bool):
        return True
    word = words.pop(0)
    if isinstance(default, tuple):
        first, _, last = word.partition(":")
        return int(first), int(last)
    return int(word) if isinstance(default, int) else word


def network(text: str) -> tuple[int, int]:
    """Address and mask of `192.0.2.0/24`, as numbers."""
    address, _, bits = text.partition("/")
    mask = ~0 << (32 - int(bits or 32)) & 0xFFFFFFFF
    return number(address) & mask, mask


def number(address: str) -> int:
    """An address as a number."""
    return int.from_bytes(socket.inet_aton(address), "big")


def matches(rule: Rule, packet: Packet, interface: str) -> bool:
    """R1, F2: whether the rule matches the packet, which comes or goes by this interface.

    A fragment but the first has no ports, and fails any test of them; it never passes a test of
    SYN, an inverted one neither.
    """
    simple = {
        "source": _is_in(packet.source, rule.source),
        "destination": _is_in(packet.destination, rule.destination),
        "interface": _is_by(interface, rule.interface),
        "fragment": not rule.fragment or packet.is_fragment,
        "syn": not rule.syn or packet.is_syn,
        "protocol": not rule.protocol or packet.protocol == rule.protocol,
    }
    if any(holds == (name in rule.inverted) for name, holds in simple.items()):
        return False
    if rule.syn and packet.is_fragment:
        return False
    if not rule.protocol:
        return True
    ports = zip(("sources", "destinations"), packet.ports, strict=True)
    return all(_has_port(rule, name, port, packet.is_fragment) for name, port in ports)


def _is_in(address: str, place: str) -> bool:
    wanted, mask = network(place)
    return number(address) & mask == wanted


def _is_by(interface: str, wanted: str) -> bool:
    if wanted.endswith("+") or not wanted:
        return interface.startswith(wanted.rstrip("+"))
    return interface == wanted


def _has_port(rule: Rule, name: str, port: int, fragment: bool) -> bool:
    first, last = rule.sources if name == "sources" else rule.destinations
    if fragment:
        return (first, last) == EVERY_PORT
    return (first <= port <= last) != (name in rule.inverted)
