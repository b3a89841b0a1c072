# SPDX-License-Identifier: GPL-2.0-only
"""Random sequences of steps, drawn by hypothesis: each step fits what the model knows by then.

What the model does not foretell `Foretellable` does not ask: packets that this host answers itself
(to closed ports, echo requests), REJECT.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from harness.judge.course import Course
from harness.judge.draws import FOREIGN, HOSTS, OWN, PORTS, SOCKETS, USERS, rules
from harness.judge.find import FindError
from harness.model.packet import TCP
from harness.model.rules import ACCEPT, DENY, DIVERT, HOOKS, RETURN
from harness.model.socket import Held
from harness.model.steps import Step
from harness.model.ways import ADDRESSES, LOOPBACK, NO_ADDRESS, OPEN_PORTS, WIRES, way

# How many packets are reinjected at once, at the most: they may go round.
READS = 8


class Foretellable(RuleBasedStateMachine):
    """One sequence. `begin` is set by who runs it: it gives a fresh trial."""

    begin: ClassVar[Callable[[], Course]]
    # What was found, for hypothesis tells it in words of its own.
    found_by: ClassVar[list[FindError]]

    def __init__(self) -> None:
        super().__init__()
        self.course = type(self).begin()
        self.host = self.course.host
        self._failed = False

    def do(self, verb: str, *words: object) -> None:
        """Do a step."""
        self._failed = True
        self._noted(lambda: self.course.do(Step(verb, tuple(map(str, words)))))
        self._failed = False

    def _noted(self, call: Callable[[], object]) -> None:
        try:
            call()
        except FindError as error:
            self.found_by.append(error)
            raise

    def teardown(self) -> None:
        """The last look, if no step before has failed."""
        if not self._failed:
            self._noted(self.course.end)

    # What there is to choose from.

    @property
    def sockets(self) -> list[str]:
        """Those that are open."""
        return list(self.host.sockets)

    @property
    def chains(self) -> list[str]:
        """Those that there are."""
        return list(self.host.chains.by_name)

    def targets(self) -> list[str]:
        """What a rule may lead to, those oftener that are of interest."""
        users = [name for name in self.chains if name not in HOOKS]
        return [*[DIVERT] * 8, "", "", ACCEPT, DENY, RETURN, *users, *users]

    # The beginning: else most of a sequence would pass before a packet meets a rule.

    @initialize(data=st.data())
    def ports_and_rules(self, data: st.DataObject) -> None:
        """Some sockets are bound, and some rules set."""
        for name, port in zip(SOCKETS, PORTS, strict=False):
            if data.draw(st.integers(0, 4)) < 4:
                self.do("open", name)
                self.do("bind", name, port)
        if data.draw(st.booleans()):
            self.do("create", USERS[0])
        for _ in range(data.draw(st.integers(2, 5))):
            self._rule(data, "append", data.draw(st.sampled_from((*HOOKS, *self.chains))))

    # Rules.

    def _rule(self, data: st.DataObject, verb: str, *words: object) -> None:
        chain = data.draw(st.sampled_from(self.chains)) if not words else str(words[0])
        drawn = data.draw(rules(self.targets()))
        self.do(verb, chain, *words[1:], *drawn.words().split())

    @rule(data=st.data())
    def table(self, data: st.DataObject) -> None:
        """One change of the firewall, or a question to it: each a rule would be half of all."""
        changes = [self._append] * 4 + [self._put, self._take_away] * 2
        changes += [self._clear, self._chain, self._policy, self._check]
        data.draw(st.sampled_from(changes))(data)

    def _append(self, data: st.DataObject) -> None:
        self._rule(data, "append")

    def _put(self, data: st.DataObject) -> None:
        verb = data.draw(st.sampled_from(["insert", "replace"]))
        chain = data.draw(st.sampled_from(self.chains))
        count = len(self.host.chains.by_name[chain].entries)
        number = data.draw(st.integers(1, count + 1 + (verb == "insert")))
        self._rule(data, verb, chain, number)

    def _take_away(self, data: st.DataObject) -> None:
        chain = data.draw(st.sampled_from(self.chains))
        entries = self.host.chains.by_name[chain].entries
        by_rule: bool = bool(entries) and data.draw(st.booleans())
        if by_rule:
            at = data.draw(st.integers(0, len(entries) - 1))
            self.do("delete", chain, *entries[at].rule.words().split())
        else:
            self.do("remove", chain, data.draw(st.integers(1, len(entries) + 1)))

    def _clear(self, data: st.DataObject) -> None:
        verb = data.draw(st.sampled_from(["flush", "zero", "zero"]))
        self.do(verb, data.draw(st.sampled_from(self.chains)))

    def _chain(self, data: st.DataObject) -> None:
        verb = data.draw(st.sampled_from(["create", "create", "destroy"]))
        self.do(verb, data.draw(st.sampled_from(USERS)))

    def _policy(self, data: st.DataObject) -> None:
        chain = data.draw(st.sampled_from((*HOOKS, "one")))
        self.do("policy", chain, data.draw(st.sampled_from(self.policies())))

    def policies(self) -> list[str]:
        """What a policy is set to; DIVERT is refused."""
        return [ACCEPT, ACCEPT, DENY, DIVERT]

    def _check(self, data: st.DataObject) -> None:
        chain = data.draw(st.sampled_from((*HOOKS, "none")))
        interface = data.draw(st.sampled_from((*WIRES, LOOPBACK)))
        destination = data.draw(st.sampled_from((*OWN, FOREIGN)))
        packet = self._packet(data, HOSTS[WIRES[0]], destination)
        self.do("check", chain, interface, *packet)

    # Sockets.

    @rule(data=st.data(), port=st.sampled_from(PORTS))
    def socket(self, data: st.DataObject, port: int) -> None:
        """One more, one less, or another state of one."""
        verbs = ["open"] * 4 * (len(self.sockets) < len(SOCKETS))
        verbs += ["bind", "close", "close", "small", "shut"] if self.sockets else []
        match verb := data.draw(st.sampled_from(verbs)):
            case "open":
                name = next(name for name in SOCKETS if name not in self.sockets)
                self.do("open", name)
                if data.draw(st.integers(0, 4)) < 4:
                    self.do("bind", name, port)
            case "bind":
                self.do("bind", self._socket(data), port)
            case _:
                self.do(verb, self._socket(data))

    def _socket(self, data: st.DataObject) -> str:
        return str(data.draw(st.sampled_from(self.sockets)))

    @precondition(lambda self: self.course.full())
    @rule(data=st.data(), verb=st.sampled_from(["read", "read", "peek"]))
    def read(self, data: st.DataObject, verb: str) -> None:
        self.do(verb, data.draw(st.sampled_from(self.course.full())))

    @precondition(lambda self: self.sockets)
    @rule(data=st.data(), all_=st.booleans())
    def pass_on(self, data: st.DataObject, all_: bool) -> None:
        """As most programs do: what is read is reinjected at once; by one of them, or by all."""
        left = READS if all_ else 1
        while (full := self.course.full()) and left:
            name = full[0] if all_ else data.draw(st.sampled_from(full))
            self.do("read", name)
            self.do("back", name, len(self.host.held) - 1)
            left -= 1
        if not left:
            return
        self.do("read", self._socket(data))  # where there is nothing, or no more

    # Giving back.

    @precondition(lambda self: self.sockets and self.host.held)
    @rule(data=st.data())
    def back(self, data: st.DataObject) -> None:
        number = self._held(data)
        held = self.host.held[number]
        self.do("back", self._socket(data), number, *self._changes(data, held))

    def _held(self, data: st.DataObject) -> int:
        # Those read last are of most interest.
        count = len(self.host.held)
        return count - 1 - int(data.draw(st.integers(0, count - 1)))

    def _changes(self, data: st.DataObject, held: Held) -> list[str]:
        packet, taken = held.packet, held.taken
        kinds = ["", "", "body"]
        if taken.interface != LOOPBACK:
            kinds += ["tos=8", "tos=16"]
            if not packet.fragment & ~0x4000:
                kinds += ["dst", "dst", "src", "id=0"]
        kind = data.draw(st.sampled_from(kinds))
        if kind == "dst":
            return [f"dst={data.draw(st.sampled_from(self._destinations(held)))}"]
        if kind == "src":
            places = (*OWN, *HOSTS.values(), FOREIGN)
            return [f"src={data.draw(st.sampled_from(places))}"]
        return [kind] if kind else []

    @staticmethod
    def _destinations(held: Held) -> list[str]:
        taken = held.taken
        found = list(HOSTS.values())
        if taken.hook == "input":
            # Back where it came from would be answered by a redirect.
            found = [ip for interface, ip in HOSTS.items() if interface != taken.interface]
        return found if held.packet.protocol == TCP else [*found, *OWN]

    @precondition(lambda self: self.sockets and self.host.held)
    @rule(data=st.data(), how=st.sampled_from(["zeroed", "flipped", "outbound"]))
    def untag(self, data: st.DataObject, how: str) -> None:
        number = self._held(data)
        held = self.host.held[number]
        packet, taken = held.packet, held.taken
        out = way(packet.destination)
        inbound = how != "outbound" and taken.hook != "output"
        if out is None or (inbound and taken.interface in (out, LOOPBACK)):
            return
        if out == LOOPBACK and (packet.protocol == TCP or packet.fragment & ~0x4000):
            return
        self.do("untag", self._socket(data), number, how)

    # Packets.

    def _packet(self, data: st.DataObject, source: str, destination: str) -> list[str]:
        here = destination in ADDRESSES.values()
        kinds = ["udp", "udp", "udp", "icmp", "other"] + ([] if here else ["tcp"])
        kind = data.draw(st.sampled_from(kinds))
        words = [kind, f"src={source}", f"dst={destination}"]
        if kind == "udp":
            words.append(f"dport={data.draw(st.sampled_from(OPEN_PORTS))}")
        if size := data.draw(st.sampled_from([0, 0, 0, 1, 100, 1400])):
            words.append(f"size={size}")
        if tos := data.draw(st.sampled_from([0, 0, 0, 8, 16])):
            words.append(f"tos={tos}")
        return words

    @rule(data=st.data(), interface=st.sampled_from(WIRES))
    def wire(self, data: st.DataObject, interface: str) -> None:
        other = next(each for each in WIRES if each != interface)
        own = OWN[WIRES.index(interface)]
        source = data.draw(st.sampled_from([HOSTS[interface]] * 4 + [FOREIGN, own]))
        destination = data.draw(st.sampled_from([HOSTS[other]] * 3 + list(OWN)))
        packet = self._packet(data, source, destination)
        if destination not in OWN and data.draw(st.integers(0, 5)) == 5:
            packet.append("size=100")
            packet.append(f"cut={data.draw(st.sampled_from(['forwards', 'backwards']))}")
        self.do("wire", interface, *packet)

    @rule(data=st.data(), interface=st.sampled_from(WIRES))
    def wire_again(self, data: st.DataObject, interface: str) -> None:
        """The same, for it is what all else waits for."""
        destination = HOSTS[next(each for each in WIRES if each != interface)]
        self.do("wire", interface, *self._packet(data, HOSTS[interface], destination))

    @rule(
        destination=st.sampled_from((*HOSTS.values(), *OWN)),
        size=st.sampled_from([0, 0, 1, 100, 1400]),
    )
    def send(self, destination: str, size: int) -> None:
        self.do("send", destination, size)

    @precondition(lambda self: self.sockets)
    @rule(data=st.data())
    def inject(self, data: st.DataObject) -> None:
        address = data.draw(st.sampled_from(["none", NO_ADDRESS, *OWN, *OWN, HOSTS[WIRES[0]]]))
        places = [*OWN, *HOSTS.values()]
        if address in OWN:
            interface = WIRES[OWN.index(address)]
            places.remove(HOSTS[interface])
        elif address != HOSTS[WIRES[0]]:
            places.append("203.0.113.9")
        source = data.draw(st.sampled_from((*OWN, *HOSTS.values(), FOREIGN)))
        packet = self._packet(data, source, data.draw(st.sampled_from(places)))
        if data.draw(st.integers(0, 3)) == 3:
            packet.append("id=0")
        if data.draw(st.integers(0, 9)) == 9:
            why = data.draw(st.sampled_from(["short", "version", "header", "beyond"]))
            self.do("refuse", self._socket(data), why)
        self.do("inject", self._socket(data), address, *packet)
