# SPDX-License-Identifier: GPL-2.0-only
"""A sequence of steps on a guest, compared with what the model foretells of each."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping

from harness.judge.course import Course
from harness.judge.proc import Table
from harness.judge.seen import Seen
from harness.judge.stage import Stage
from harness.model.host import Host
from harness.model.packet import UDP, Packet
from harness.model.socket import Socket
from harness.model.steps import Foretold, Step
from harness.model.traits import Traits
from harness.network import dissect


class Trial(Course):
    """One sequence on one guest; `model` is what the model says of it so far."""

    def __init__(self, stage: Stage, traits: Traits) -> None:
        super().__init__(stage.name, traits, Host(traits, self._has_room))
        self.stage = stage
        self._before = stage.table()
        self._seen = stage.look()
        self._unheard = self._seen.listing.unheard

    def full(self) -> list[str]:
        """The sockets that have something to read."""
        return [name for name, each in self.host.sockets.items() if each.queue]

    def do(self, step: Step) -> None:
        """Do a step, in the guest and in the model, and compare."""
        self.begun(step)
        self._seen = self.stage.do(step, self.model.packets_of(step))
        self.answered(step, self._seen.answer)
        foretold = self.model.foretell(step)
        self.require_none(self._differences(foretold, self._seen), step)
        self._learn(foretold, self._seen)

    def end(self) -> None:
        """Compare what all rules and policies have counted."""
        self.require_none(self._miscounted(self.stage.table()), None)

    def _has_room(self, socket: Socket) -> bool:
        """S9 leaves it open: it had, if it has not counted it as dropped."""
        _, _, dropped, _ = self._seen.listing.ports[socket.port]
        return dropped == socket.dropped

    def _learn(self, foretold: Foretold, seen: Seen) -> None:
        held = foretold.held
        if seen.data is not None and held and held.packet.identification is None:
            self.host.learn(held, int.from_bytes(seen.data[4:6], "big"))

    # Differences.

    def _differences(self, foretold: Foretold, seen: Seen) -> Iterator[str]:
        if foretold.answer != seen.answer:
            yield f"answer: {seen.answer or 'success'}, foretold {foretold.answer or 'success'}"
        elif seen.data is not None and foretold.held:
            yield from _packets("read", [foretold.held.packet], [seen.data])
            address = foretold.held.taken.address
            if seen.interface != address:
                yield f"read: address {seen.interface}, foretold {address}"
        yield from _by_place("sent by", foretold.sent, seen.sent)
        received = {
            place: [_as_received(packet) for packet in packets]
            for place, packets in foretold.received.items()
        }
        for place in sorted({*received, *seen.received}):
            yield from _received(place, received.get(place, []), seen.received.get(place, []))
        for name, errors in sorted(seen.told.items()):
            yield f"errors that {name} was told: {', '.join(errors)}, foretold none"
        listing = self.host.listing()
        for port in sorted({*listing, *seen.listing.ports}):
            ours, theirs = listing.get(port), seen.listing.ports.get(port)
            if ours != theirs:
                names = "queued, delivered, dropped, injected"
                yield f"port {port} ({names}): {theirs}, foretold {ours}"
        unheard = seen.listing.unheard - self._unheard
        if unheard != self.host.unheard:
            yield f"no-listener: {unheard}, foretold {self.host.unheard}"

    def _miscounted(self, table: Table) -> Iterator[str]:
        chains = self.host.chains
        if sorted(table.policies) != sorted(chains.by_name):
            yield f"chains: {sorted(table.policies)}, foretold {sorted(chains.by_name)}"
            return
        for name, chain in chains.by_name.items():
            counted = [(entry.packets, entry.bytes) for entry in chain.entries]
            if counted != table.rules[name]:
                yield f"rules of {name} (packets, bytes): {table.rules[name]}, foretold {counted}"
            seen, before = table.policies[name], self._before.policies.get(name)
            packets = seen.packets - (before.packets if before else 0)
            bytes_ = seen.bytes - (before.bytes if before else 0)
            if (packets, bytes_) != (chain.packets, chain.bytes):
                yield (
                    f"policy of {name} (packets, bytes): {(packets, bytes_)}, foretold "
                    f"{(chain.packets, chain.bytes)}"
                )
            if seen.references != chains.references(name):
                yield f"{name} is led to by {seen.references}, foretold {chains.references(name)}"
            if chain.policy and seen.target != chain.policy:
                yield f"policy of {name}: {seen.target}, foretold {chain.policy}"


def _by_place(
    what: str, foretold: Mapping[str, list[Packet]], seen: Mapping[str, list[bytes]]
) -> Iterator[str]:
    for place in sorted({*foretold, *seen}):
        yield from _packets(f"{what} {place}", foretold.get(place, []), seen.get(place, []))


def _packets(what: str, foretold: list[Packet], seen: list[bytes]) -> Iterator[str]:
    same = len(foretold) == len(seen) and all(
        packet.is_seen_as(data) for packet, data in zip(foretold, seen, strict=True)
    )
    if not same:
        yield f"{what}: {_shown(seen)}"
        yield f"{' ' * len(what)}  foretold {_shown([packet.data for packet in foretold])}"


def _received(place: str, foretold: list[bytes | Packet], seen: list[bytes]) -> Iterator[str]:
    def same(ours: bytes | Packet, theirs: bytes) -> bool:
        return ours == theirs if isinstance(ours, bytes) else ours.is_seen_as(theirs)

    if len(foretold) != len(seen) or not all(map(same, foretold, seen)):
        ours = [each if isinstance(each, bytes) else each.data for each in foretold]
        yield f"received by {place}: {_hexed(seen)}, foretold {_hexed(ours)}"


def _as_received(packet: Packet) -> bytes | Packet:
    """What its receiver has of a packet: of UDP its sender, and what it carries."""
    if packet.protocol != UDP:
        return packet
    sender = socket.inet_aton(packet.source) + packet.body[:2]
    return sender + packet.body[8:]


def _shown(packets: list[bytes]) -> str:
    return ", ".join(f"{dissect.words(data)} {data.hex()}" for data in packets) or "nothing"


def _hexed(packets: list[bytes]) -> str:
    return ", ".join(data.hex() for data in packets) or "nothing"
