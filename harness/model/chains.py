# SPDX-License-Identifier: GPL-2.0-only
"""R. Chains of rules, and how programs change them (R3, R4)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from harness.model.packet import ICMP, TCP, UDP
from harness.model.rules import ACCEPT, DIVERT, EVERY_PORT, HOOKS, POLICIES, TARGETS, Rule


@dataclass(eq=False)
class Entry:
    """A rule in a chain, and what it has counted. Two of the same rule are not the same (T3)."""

    rule: Rule
    packets: int = 0
    bytes: int = 0


@dataclass(eq=False)
class Chain:
    """A chain; `policy` is "" for one of the user's, which falls off to where it was called."""

    name: str
    policy: str = ""
    entries: list[Entry] = field(default_factory=list)
    packets: int = 0
    bytes: int = 0


class Chains:
    """The chains of a host. Its methods are the calls that change them: errno's name, or "".

    `refuses_circles`: rules that lead in a circle are not made (M12); else they are found in the
    walk, which drops the packet (R3).
    """

    def __init__(self, refuses_circles: bool) -> None:
        self.by_name = {name: Chain(name, ACCEPT) for name in HOOKS}
        self._refuses_circles = refuses_circles

    def references(self, name: str) -> int:
        """How many rules lead to the chain of this name, and one if it is built in."""
        entries = (entry for chain in self.by_name.values() for entry in chain.entries)
        return (name in HOOKS) + sum(entry.rule.target == name for entry in entries)

    def append(self, name: str, rule: Rule) -> str:
        """R4, IP_FW_APPEND: at the end of a chain."""
        chain = self.by_name.get(name)
        return self.insert(name, len(chain.entries) + 1 if chain else 1, rule)

    def insert(self, name: str, at: int, rule: Rule) -> str:
        """R4, IP_FW_INSERT: it gets this number, of which the first is 1."""
        error = self._refused(name, rule)
        chain = self.by_name.get(name)
        if error or chain is None:
            return error
        if not 1 <= at <= len(chain.entries) + 1:
            return "EINVAL"
        return self._put(chain, [*chain.entries[: at - 1], Entry(rule), *chain.entries[at - 1 :]])

    def replace(self, name: str, at: int, rule: Rule) -> str:
        """R4, IP_FW_REPLACE: another rule; it goes on counting where the old one was."""
        error = self._refused(name, rule)
        chain = self.by_name.get(name)
        if error or chain is None:
            return error
        if not 1 <= at <= len(chain.entries):
            return "EINVAL"
        old = chain.entries[at - 1]
        new = Entry(rule, old.packets, old.bytes)
        return self._put(chain, [*chain.entries[: at - 1], new, *chain.entries[at:]])

    def remove(self, name: str, at: int) -> str:
        """R4, IP_FW_DELETE_NUM: the rule of this number."""
        chain = self.by_name.get(name)
        if chain is None or not 1 <= at <= len(chain.entries):
            return "ENOENT"
        del chain.entries[at - 1]
        return ""

    def delete(self, name: str, rule: Rule) -> str:
        """R4, IP_FW_DELETE: the first rule that is the same, whatever it does to TOS and mark."""
        error = self._refused(name, rule)
        chain = self.by_name.get(name)
        if error or chain is None:
            return error
        for entry in chain.entries:
            if _key(entry.rule) == _key(rule):
                chain.entries.remove(entry)
                return ""
        return "EINVAL"

    def flush(self, name: str) -> str:
        """R4, IP_FW_FLUSH: all rules of a chain."""
        if name not in self.by_name:
            return "ENOENT"
        self.by_name[name].entries.clear()
        return ""

    def zero(self, name: str) -> str:
        """R4, IP_FW_ZERO: the rules of a chain begin to count anew; its policy does not."""
        if name not in self.by_name:
            return "ENOENT"
        for entry in self.by_name[name].entries:
            entry.packets = entry.bytes = 0
        return ""

    def create(self, name: str) -> str:
        """R4, IP_FW_CREATECHAIN: a chain of the user's."""
        if name in self.by_name:
            return "EEXIST"
        self.by_name[name] = Chain(name)
        return ""

    def destroy(self, name: str) -> str:
        """R4, IP_FW_DELETECHAIN: a chain to which no rule leads, and which has none."""
        if name not in self.by_name:
            return "ENOENT"
        if self.references(name):
            return "EBUSY"
        if self.by_name[name].entries:
            return "ENOTEMPTY"
        del self.by_name[name]
        return ""

    def set_policy(self, name: str, policy: str) -> str:
        """R3, R4, IP_FW_POLICY: what becomes of packets that no rule decides. DIVERT is none."""
        if name not in self.by_name:
            return "ENOENT"
        if name not in HOOKS or policy not in POLICIES:
            return "EINVAL"
        self.by_name[name].policy = policy
        return ""

    def _refused(self, name: str, rule: Rule) -> str:
        if name not in self.by_name:
            return "ENOENT"
        if (rule.sources, rule.destinations) != (EVERY_PORT, EVERY_PORT) and (
            "protocol" in rule.inverted or rule.protocol not in (ICMP, TCP, UDP)
        ):
            return "EINVAL"
        if rule.target and rule.target not in TARGETS:
            if rule.target not in self.by_name or rule.target in HOOKS:
                return "ENOENT"
        elif rule.target == DIVERT and not rule.port:
            return "EINVAL"
        return ""

    def _put(self, chain: Chain, entries: list[Entry]) -> str:
        old, chain.entries = chain.entries, entries
        if self._refuses_circles and self._has_circle():
            chain.entries = old
            return "ELOOP"
        return ""

    def _has_circle(self) -> bool:
        def leads_back(name: str, way: tuple[str, ...]) -> bool:
            if name in way:
                return True
            targets = {entry.rule.target for entry in self.by_name[name].entries}
            return any(leads_back(each, (*way, name)) for each in targets if each in self.by_name)

        return any(leads_back(name, ()) for name in self.by_name)


def _key(rule: Rule) -> Rule:
    return dataclasses.replace(rule, tos=Rule.tos, mark=Rule.mark)
