# SPDX-License-Identifier: GPL-2.0-only
"""Steps: what is asked of a host, a line of text each, and what the model foretells of them.

A line is a verb and its words; `HELP` lists them. A number of what is held counts from the first
packet that any socket has read, modulo how many there are: so a line means something in each
sequence.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from harness.model import walk
from harness.model.host import Host
from harness.model.packet import ICMP, MORE_FRAGMENTS, OTHER, TCP, UDP, Packet, body
from harness.model.rules import rule
from harness.model.socket import Held
from harness.model.ways import ADDRESSES, NO_ADDRESS, OPEN_PORTS, SENDER_PORT, way

HELP = """\
append|delete CHAIN RULE            insert|replace CHAIN NUMBER RULE    remove CHAIN NUMBER
flush|zero|create|destroy CHAIN     policy CHAIN TARGET
check CHAIN INTERFACE PACKET
open|close|small|shut|read|peek SOCKET                                  bind SOCKET PORT
back SOCKET HELD CHANGE...          untag SOCKET HELD HOW CHANGE...
inject SOCKET ADDRESS PACKET        refuse SOCKET WHY
wire INTERFACE PACKET               send ADDRESS SIZE
PACKET: udp|tcp|icmp|other src=A dst=A sport=N dport=N tos=N ttl=N size=N id=N
        cut=forwards|backwards
CHANGE: body src=A dst=A tos=N id=N
HOW: zeroed|flipped|outbound        WHY: short|version|header|beyond
reset                               (the end of a sequence: another one follows, on the same guest)
"""
PROTOCOLS = {"udp": UDP, "tcp": TCP, "icmp": ICMP, "other": OTHER}
_HEADS = {UDP: 8, TCP: 20, ICMP: 8}
_OF_SOCKETS = (
    *("close", "small", "shut", "read", "peek", "bind", "back", "untag", "inject", "refuse"),
)
# Where a datagram of a step is cut, in bytes.
CUT = 16


@dataclass(frozen=True)
class Step:
    """One line: what is asked."""

    verb: str
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.verb, *self.words))


RESET = Step("reset")


def step(line: str) -> Step:
    """The step of a line. Raises ValueError if there is no such verb."""
    verb, *words = shlex.split(line)
    if verb == RESET.verb:
        return RESET
    if not hasattr(Foreteller, f"_{verb}"):
        raise ValueError(f"no verb of a step: {verb}\n{HELP}")
    return Step(verb, tuple(words))


@dataclass
class Foretold:
    """What a step has to come to.

    `answer` is errno's name, or "". `packets` are what the call has to send, or what the wire's
    host does; `held` what it reads, or reinjects. `sent` is by interface, `received` by receiver,
    each in its order.
    """

    answer: str = ""
    packets: list[Packet] = field(default_factory=list)
    held: Held | None = None
    sent: dict[str, list[Packet]] = field(default_factory=dict)
    received: dict[str, list[Packet]] = field(default_factory=dict)


def receiver(packet: Packet) -> str:
    """Which program of the guest's receives what is for the guest: its protocol, or UDP's port."""
    return f"udp-{packet.ports[1]}" if packet.protocol == UDP else f"raw-{packet.protocol}"


RECEIVERS = (*(f"udp-{port}" for port in OPEN_PORTS), f"raw-{OTHER}", f"raw-{ICMP}")


class Foreteller:
    """The model, asked step by step."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._serial = 0

    def packets_of(self, step: Step) -> list[Packet]:
        """The packets that a step makes: what is sent, injected or reinjected. Changes nothing."""
        words = step.words
        makes: dict[str, Callable[[], list[Packet]]] = {
            "wire": lambda: self._made(words[1:]),
            "check": lambda: self._made(words[2:]),
            "inject": lambda: self._made(words[2:]),
            "send": lambda: [self._own(words[0], int(words[1]))],
            "back": lambda: [self._changed(self.held(words[1]).packet, words[2:])],
            "untag": lambda: [self._changed(self.held(words[1]).packet, words[3:])],
            "refuse": lambda: self._made(("udp", "src=192.0.2.2", "dst=192.0.2.1")),
        }
        return makes[step.verb]() if step.verb in makes else []

    def held(self, number: str) -> Held:
        """What is held by this number, modulo how many there are."""
        return self.host.held[int(number) % len(self.host.held)]

    def fits(self, step: Step) -> bool:
        """Whether the step can be taken: its socket is open, there is something held."""
        if step.verb == "open":
            return step.words[0] not in self.host.sockets
        if step.verb in ("back", "untag") and not self.host.held:
            return False
        return step.verb not in _OF_SOCKETS or step.words[0] in self.host.sockets

    def passed(self) -> None:
        """A step was done of which nothing is foretold."""
        self._serial += 1

    def foretell(self, step: Step) -> Foretold:
        """What the step has to come to; the host is then as it is behind it."""
        host = self.host
        host.sent, host.received = [], []
        foretold = Foretold(packets=self.packets_of(step))
        self._serial += 1
        foretold.answer = getattr(self, f"_{step.verb}")(foretold, *step.words)
        for interface, packet in host.sent:
            foretold.sent.setdefault(interface, []).append(packet)
        for packet in host.received:
            foretold.received.setdefault(receiver(packet), []).append(packet)
        return foretold

    # Packets.

    def _made(self, words: Sequence[str]) -> list[Packet]:
        protocol = PROTOCOLS[words[0]]
        values = dict(word.split("=", 1) for word in words[1:])
        source, destination = values["src"], values["dst"]
        default = (0, 0) if protocol == ICMP else (3000, OPEN_PORTS[0])
        ports = (
            int(values.get("sport", default[0])),
            int(values.get("dport", default[1])),
        )
        payload = self._payload(int(values.get("size", "0")))
        packet = Packet(
            source,
            destination,
            protocol,
            body(protocol, source, destination, ports, payload),
            identification=int(values.get("id", 0x1000 + self._serial)),
            ttl=int(values.get("ttl", "64")),
            tos=int(values.get("tos", "0")),
        )
        if "cut" in values and len(packet.body) > CUT:
            parts = [
                packet.changed(body=packet.body[:CUT], fragment=MORE_FRAGMENTS),
                packet.changed(body=packet.body[CUT:], fragment=CUT // 8),
            ]
            return parts if values["cut"] == "forwards" else parts[::-1]
        return [packet]

    def _own(self, destination: str, size: int) -> Packet:
        here = destination in ADDRESSES.values()
        leads = way(destination)
        source = destination if here else ADDRESSES[leads] if leads else NO_ADDRESS
        ports = SENDER_PORT, OPEN_PORTS[0] if here else 9
        data = body(UDP, source, destination, ports, self._payload(size))
        return Packet(source, destination, UDP, data, None)

    def _payload(self, size: int) -> bytes:
        return b"%08d" % self._serial + bytes(size)

    def _changed(self, packet: Packet, words: Sequence[str]) -> Packet:
        for word in words:
            name, _, value = word.partition("=")
            match name:
                case "src":
                    packet = packet.changed(source=value)
                case "dst":
                    packet = packet.changed(destination=value)
                case "tos":
                    packet = packet.changed(tos=int(value))
                case "id":
                    packet = packet.changed(identification=int(value))
        if packet.is_fragment or packet.fragment & MORE_FRAGMENTS:
            return packet
        payload = packet.body[_HEADS.get(packet.protocol, 0) :]
        if "body" in words:
            payload = self._payload(len(payload) - 8)
        changed = body(packet.protocol, packet.source, packet.destination, packet.ports, payload)
        return packet.changed(body=changed)

    # Verbs.

    def _append(self, _: Foretold, chain: str, *words: str) -> str:
        return self.host.chains.append(chain, rule(" ".join(words)))

    def _insert(self, _: Foretold, chain: str, number: str, *words: str) -> str:
        return self.host.chains.insert(chain, int(number), rule(" ".join(words)))

    def _replace(self, _: Foretold, chain: str, number: str, *words: str) -> str:
        return self.host.chains.replace(chain, int(number), rule(" ".join(words)))

    def _remove(self, _: Foretold, chain: str, number: str) -> str:
        return self.host.chains.remove(chain, int(number))

    def _delete(self, _: Foretold, chain: str, *words: str) -> str:
        return self.host.chains.delete(chain, rule(" ".join(words)))

    def _flush(self, _: Foretold, chain: str) -> str:
        return self.host.chains.flush(chain)

    def _zero(self, _: Foretold, chain: str) -> str:
        return self.host.chains.zero(chain)

    def _create(self, _: Foretold, chain: str) -> str:
        return self.host.chains.create(chain)

    def _destroy(self, _: Foretold, chain: str) -> str:
        return self.host.chains.destroy(chain)

    def _policy(self, _: Foretold, chain: str, target: str) -> str:
        return self.host.chains.set_policy(chain, target)

    def _check(self, foretold: Foretold, chain: str, interface: str, *_words: str) -> str:
        return walk.check(self.host.chains, chain, foretold.packets[0], interface)

    def _open(self, _: Foretold, name: str) -> str:
        return self.host.open(name)

    def _bind(self, _: Foretold, name: str, port: str) -> str:
        return self.host.bind(name, int(port))

    def _close(self, _: Foretold, name: str) -> str:
        return self.host.close(name)

    def _small(self, _: Foretold, name: str) -> str:
        return self.host.make_small(name)

    def _shut(self, _: Foretold, name: str) -> str:
        return self.host.shut(name)

    def _read(self, foretold: Foretold, name: str) -> str:
        answer, foretold.held = self.host.read(name)
        return answer

    def _peek(self, foretold: Foretold, name: str) -> str:
        answer, foretold.held = self.host.read(name, peek=True)
        return answer

    def _back(self, foretold: Foretold, name: str, number: str, *_words: str) -> str:
        foretold.held = self.held(number)
        return self.host.reinject(name, foretold.held, foretold.packets[0])

    def _untag(self, foretold: Foretold, name: str, number: str, how: str, *_words: str) -> str:
        foretold.held = self.held(number)
        address = foretold.held.taken.address
        if how == "outbound" or address == NO_ADDRESS:
            address = ""
        return self.host.inject(name, foretold.packets[0], address)

    def _inject(self, foretold: Foretold, name: str, address: str, *_words: str) -> str:
        address = "" if address in (NO_ADDRESS, "none") else address
        return self.host.inject(name, foretold.packets[0], address)

    def _refuse(self, _: Foretold, name: str, why: str) -> str:
        return self.host.refuse(name, why)

    def _wire(self, foretold: Foretold, interface: str, *_words: str) -> str:
        self.host.arrive(interface, foretold.packets)
        return ""

    def _send(self, foretold: Foretold, destination: str, _size: str) -> str:
        return self.host.send(destination, foretold.packets[0])
