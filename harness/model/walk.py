# SPDX-License-Identifier: GPL-2.0-only
"""T, P. A packet's walk through the chains of a hook: which rule decides, and what that does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from harness.model.chains import Chain, Chains, Entry
from harness.model.packet import Packet
from harness.model.rules import ACCEPT, DENY, DIVERT, REJECT, RETURN, matches

# Where a rule is met: the jumps that led to its chain, and the rule itself (T3).
Place = tuple[Entry, ...]

# Beside ACCEPT, DENY and REJECT: what the walk came to where nobody listens, without pass-through.
NOBODY = "nobody listens"


@dataclass(frozen=True)
class Mark:
    """What is known of a packet that a program has reinjected, until this host has sent it.

    `port` is that of the socket that injected it last, 0 if that has none (T1). `hook` and `place`
    are where it was taken, if it re-enters there (T3); they are over with the first walk.
    """

    port: int = 0
    hook: str = ""
    place: Place = ()

    def behind(self) -> Mark:
        """What is left of it behind the hook that it has re-entered."""
        return Mark(self.port)


@dataclass(frozen=True)
class Walk:
    """How a walk ended: `verdict` is ACCEPT, DENY, REJECT, DIVERT or NOBODY.

    `packet` is as the rules have left it; `port` and `place` are of the rule that took it.
    `unheard` are the ports on which nobody listened.
    """

    verdict: str
    packet: Packet
    port: int = 0
    place: Place = ()
    unheard: tuple[int, ...] = ()


def walk(
    chains: Chains,
    hook: str,
    packet: Packet,
    interface: str,
    *,
    listens: Callable[[int], bool],
    mark: Mark = Mark(),
    passthrough: bool = False,
) -> Walk:
    """R2, R6, T1, T2, T3, P1, P2: the chains of a hook, from the first rule on.

    With pass-through a rule on whose port nobody listens is as one without a target.
    """
    if packet.is_suspect:
        return Walk(DENY, packet)
    steps = _Steps(chains, hook, packet, interface, mark if mark.hook == hook else None)
    while (entry := steps.next()) is not None:
        rule = entry.rule
        if rule.target in chains.by_name:
            if not steps.enter(entry):
                return steps.end(DENY)
        elif rule.target == RETURN:
            if not steps.leave():
                break
        elif rule.target == DIVERT:
            if steps.quiet or rule.port == mark.port:
                continue
            if listens(rule.port):
                return steps.end(DIVERT, rule.port, steps.place(entry))
            steps.unheard.append(rule.port)
            if not passthrough:
                return steps.end(NOBODY)
        elif rule.target:
            return steps.end(rule.target)
    return steps.end(steps.policy())


def check(chains: Chains, name: str, packet: Packet, interface: str) -> str:
    """R3: what IP_FW_CHECK answers of a packet that begins in this chain; nothing is counted."""
    if name not in chains.by_name:
        return "ENOENT"
    if packet.is_suspect:
        return _CHECKED[DENY]
    steps = _Steps(chains, name, packet, interface, None, counts=False)
    while (entry := steps.next()) is not None:
        target = entry.rule.target
        if target in chains.by_name:
            if not steps.enter(entry):
                return "ELOOP"
        elif target == RETURN:
            if not steps.leave():
                break
        elif target:
            return _CHECKED[target]
    return _CHECKED[steps.policy()]


# The end of a user's chain is ENFILE.
_CHECKED = {ACCEPT: "", DENY: "ETIMEDOUT", REJECT: "ECONNREFUSED", DIVERT: "EREMOTE", "": "ENFILE"}


@dataclass
class _Steps:
    """From rule to rule that matches, and from chain to chain.

    `before` is the mark of a packet that has re-entered this hook, as long as its place has not
    been come by: till then, and at that rule, there is no side effect (T3).
    """

    chains: Chains
    begin: str
    packet: Packet
    interface: str
    before: Mark | None
    counts: bool = True
    unheard: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._way: list[tuple[Chain, int]] = [(self.chains.by_name[self.begin], 0)]
        self._jumps: list[Entry] = []
        self._at_place = False

    @property
    def quiet(self) -> bool:
        """Whether the walk has not come past the rule that took the packet."""
        return self.before is not None

    def next(self) -> Entry | None:
        """The next rule that matches, which has then counted; None at the end of all chains."""
        while True:
            chain, at = self._way[-1]
            if at == len(chain.entries):
                if not self.leave():
                    return None
                continue
            self._way[-1] = chain, at + 1
            entry = chain.entries[at]
            self._come_by(entry)
            if self._matches(entry):
                return entry

    def _come_by(self, entry: Entry) -> None:
        if self._at_place:
            self.before, self._at_place = None, False
        elif self.before and self.before.place == self.place(entry):
            self._at_place = True

    def _matches(self, entry: Entry) -> bool:
        if not matches(entry.rule, self.packet, self.interface):
            return False
        if self.counts and not self.quiet:
            entry.packets += 1
            entry.bytes += self.packet.length
            and_, xor = entry.rule.tos
            self.packet = self.packet.changed(tos=self.packet.tos & and_ ^ xor)
        return True

    def place(self, entry: Entry) -> Place:
        """Where this rule is met just now."""
        return (*self._jumps, entry)

    def enter(self, entry: Entry) -> bool:
        """Into the chain that the rule leads to; False if the walk is there already: a circle."""
        chain = self.chains.by_name[entry.rule.target]
        if any(chain is each for each, _ in self._way):
            return False
        self._way.append((chain, 0))
        self._jumps.append(entry)
        return True

    def leave(self) -> bool:
        """Back to where this chain was called; False where the walk began."""
        if len(self._way) == 1:
            return False
        self._way.pop()
        self._jumps.pop()
        return True

    def policy(self) -> str:
        """The verdict where no rule had one; it counts."""
        chain, _ = self._way[0]
        if self.counts:
            chain.packets += 1
            chain.bytes += self.packet.length
        return chain.policy

    def end(self, verdict: str, port: int = 0, place: Place = ()) -> Walk:
        """How it ended."""
        return Walk(verdict, self.packet, port, place, tuple(self.unheard))
