# SPDX-License-Identifier: GPL-2.0-only
"""The way of a packet through a guest: what chains, divert ports and wires have counted of it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

# In the order in which a packet of a wire comes by.
HOOKS = ("input", "forward", "output")
# A line of /proc/net/ip_fwchains (net/ipv4/ip_fw.c, dump_rule): chain, addresses, interface, flags,
# inverted flags, protocol, packets and bytes as two halves of 32 bits each, ports, what is done to
# the type of service, port of REDIRECT and DIVERT, mark, length of netlink's copy, target.
_RULE = re.compile(
    r"^\s*(\S+) ([0-9A-F]{8})/([0-9A-F]{8})->([0-9A-F]{8})/([0-9A-F]{8}) (\S+) ([0-9A-F]+) "
    r"([0-9A-F]+) (\d+) +(\d+) +(\d+) +\d+ +\d+ +(\d+)-(\d+) (\d+)-(\d+) "
    r"A([0-9A-F]+) X([0-9A-F]+) ([0-9A-F]{8}) (\d+) (\d+) +(\S+)$"
)
# Of the flags the one that says that any interface will do, and is shown as that.
_ANY_INTERFACE = 0x10
_PROTOCOLS = {"1": "icmp", "6": "tcp", "17": "udp"}
# One of /proc/net/ip_fwnames (dump_chain): name, policy, references, packets by its policy.
_CHAIN = re.compile(r"^(\S+) ([A-Z]+|-) \d+ (\d+) (\d+) \d+ \d+$")
_PORT = re.compile(r"^\s*(\d+) +(\d+) +(\d+) +(\d+) +(\d+)$")
_NOBODY = re.compile(r"^no-listener +(\d+)$")


@dataclass(frozen=True)
class Port:
    """The counters of a divert port."""

    queued: int = 0
    delivered: int = 0
    dropped: int = 0
    injected: int = 0

    def since(self, before: Port) -> Port:
        """What has been counted since; what waits is as it is now."""
        return Port(
            self.queued,
            self.delivered - before.delivered,
            self.dropped - before.dropped,
            self.injected - before.injected,
        )


@dataclass(frozen=True)
class Rule:
    """A rule: as ipchains' words, where it goes, the divert port if that is DIVERT, packets."""

    words: str
    target: str
    port: int
    packets: int


@dataclass(frozen=True)
class Counters:
    """What the firewall and divert sockets have counted: rules by chain, policies, ports."""

    rules: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    policies: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    ports: Mapping[int, Port] = field(default_factory=dict)
    nobody: int = 0


def parse(lines: Iterable[str]) -> Counters:
    """The counters in the lines of /proc/net/ip_fwchains, ip_fwnames and divert; others, as the
    kernel's messages between them, are passed over (pure).
    """
    rules: dict[str, list[Rule]] = {}
    policies: dict[str, tuple[str, int]] = {}
    ports: dict[int, Port] = {}
    nobody = 0
    for line in lines:
        if found := _RULE.match(line):
            rules.setdefault(found[1], []).append(_rule(found))
        elif found := _CHAIN.match(line):
            policies[found[1]] = (found[2], (int(found[3]) << 32) + int(found[4]))
        elif found := _PORT.match(line):
            ports[int(found[1])] = Port(*map(int, found.groups()[1:]))
        elif found := _NOBODY.match(line):
            nobody = int(found[1])
    return Counters({name: tuple(row) for name, row in rules.items()}, policies, ports, nobody)


def _rule(found: re.Match[str]) -> Rule:
    _, source, source_mask, to, to_mask, interface, flags, inverted, protocol, *rest = (
        found.groups()
    )
    high, low, *ports, tos_and, tos_xor, redirect, mark, copied, target = rest
    words = [] if protocol == "0" else ["-p", _PROTOCOLS.get(protocol, protocol)]
    words += _end("-s", source, source_mask, *ports[:2])
    words += _end("-d", to, to_mask, *ports[2:])
    words += [] if interface == "-" else ["-i", interface]
    # Rarer conditions as the kernel has them: what is shown has to be all.
    words += [f"(inverted: {inverted})"] if int(inverted, 16) else []
    words += [f"(flags: {flags})"] if int(flags, 16) & ~_ANY_INTERFACE else []
    words += [] if (tos_and, tos_xor) == ("FF", "00") else ["-t", f"0x{tos_and}", f"0x{tos_xor}"]
    words += [] if mark == "0" else ["-m", mark]
    words += [] if copied == "0" else ["-o", copied]
    number = int(redirect, 16)
    words += ["-j", target, *([str(number)] if number else [])]
    port = number if target == "DIVERT" else 0
    return Rule(" ".join(words), target, port, (int(high) << 32) + int(low))


def _end(option: str, address: str, mask: str, first: str, last: str) -> list[str]:
    """What a rule asks of one end; nothing if any will do."""
    if (first, last) == ("0", "65535"):
        ports = []
    else:
        ports = [first if first == last else f"{first}:{last}"]
    bits = int(mask, 16)
    if not (bits or ports):
        return []
    ones = bin(bits).count("1")
    network = str(ipaddress.IPv4Address(int(address, 16)))
    if bits != (0xFFFFFFFF << (32 - ones)) & 0xFFFFFFFF:
        network += f"/{ipaddress.IPv4Address(bits)}"
    elif ones < 32:
        network += f"/{ones}"
    return [option, network, *ports]


@dataclass(frozen=True)
class Matched:
    """A rule that matched: its number in its chain, from 1; how often; and of a chain of the user's
    that it leads to, what was passed there.
    """

    number: int
    rule: Rule
    times: int
    inside: Passed | None = None


@dataclass(frozen=True)
class Passed:
    """A chain that a packet came by: the rules that matched, and how often its policy decided."""

    chain: str
    matched: tuple[Matched, ...]
    policy: str
    by_policy: int


@dataclass(frozen=True)
class Way:
    """What became of one packet: chains in the order of the hooks; divert ports; how many packets
    no program waited for.
    """

    chains: tuple[Passed, ...]
    ports: Mapping[int, Port]
    nobody: int


def between(before: Counters, after: Counters) -> Way:
    """What has been counted between two looks (pure)."""
    found = [_passed(hook, before, after, frozenset()) for hook in HOOKS]
    ports = {
        number: changed
        for number, port in after.ports.items()
        if (changed := port.since(before.ports.get(number, Port()))) != Port()
    }
    return Way(tuple(each for each in found if each), ports, after.nobody - before.nobody)


def _passed(name: str, before: Counters, after: Counters, above: frozenset[str]) -> Passed | None:
    """What a chain has counted, with those of the user's below it; None if it is nothing."""
    rows = zip(after.rules.get(name, ()), before.rules.get(name, ()), strict=False)
    matched = []
    for number, (now, then) in enumerate(rows, 1):
        if now.packets <= then.packets:
            continue
        inside = None
        # 2.2.12 lets chains lead to each other in a circle.
        if now.target in after.policies and now.target not in {*above, name}:
            inside = _passed(now.target, before, after, above | {name})
        matched.append(Matched(number, now, now.packets - then.packets, inside))
    policy, count = after.policies.get(name, ("", 0))
    decided = count - before.policies.get(name, ("", 0))[1]
    return Passed(name, tuple(matched), policy, decided) if matched or decided else None


def changes(before: bytes, after: bytes) -> list[str]:
    """How one IP packet differs from another, by scapy's names of the fields (pure)."""
    from scapy.layers.inet import IP  # noqa: PLC0415 (it takes half a second)

    old, new = IP(before), IP(after)
    lines = []
    layer = 0
    while (one := old.getlayer(layer)) is not None and (other := new.getlayer(layer)) is not None:
        if type(one) is not type(other):
            lines.append(f"{one.name} -> {other.name}")
            break
        lines += [
            f"{one.name} {each.name}: {_shown(one, each.name)} -> {_shown(other, each.name)}"
            for each in one.fields_desc
            if one.getfieldval(each.name) != other.getfieldval(each.name)
        ]
        layer += 1
    return lines


def _shown(layer: Any, name: str) -> str:
    return str(layer.sprintf(f"%{name}%"))
