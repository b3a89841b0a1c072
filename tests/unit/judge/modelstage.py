# SPDX-License-Identifier: GPL-2.0-only
"""A guest that is the model itself, or the model with a fault: what a judge has to find."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import cast

from harness.judge.proc import Listing, Policy, Table
from harness.judge.seen import Seen
from harness.judge.stage import Stage
from harness.model.host import Host
from harness.model.packet import UDP, Packet
from harness.model.steps import Foreteller, Step
from harness.model.traits import Traits

# What it gives as ID to its own packets.
OWN_ID = 0x7777


class ModelStage:
    """Answers as Stage does; `host` makes the one that is asked, sequence by sequence."""

    def __init__(self, host: Callable[[], Host], name: str = "model") -> None:
        self.name = name
        self.resets = 0
        self._host = host
        self.reset()

    def reset(self) -> None:
        self.resets += 1
        self._model = Foreteller(self._host())

    def do(self, step: Step, packets: Sequence[Packet]) -> Seen:
        model = self._model
        # The packets are the caller's, who knows what was read.
        model.packets_of = lambda step: list(packets)  # type: ignore[method-assign]
        foretold = model.foretell(step)
        seen = self.look()
        seen.answer = foretold.answer
        if step.verb in ("read", "peek") and foretold.held:
            seen.data = _data(foretold.held.packet)
            seen.interface = foretold.held.taken.address
        for interface, sent in foretold.sent.items():
            seen.sent[interface] = [_data(packet) for packet in sent]
        for name, received in foretold.received.items():
            seen.received[name] = [_received(packet) for packet in received]
        return seen

    def look(self) -> Seen:
        host = self._model.host
        return Seen(listing=Listing(host.listing(), host.unheard))

    def table(self) -> Table:
        chains = self._model.host.chains
        return Table(
            {
                name: Policy(each.policy, chains.references(name), each.packets, each.bytes)
                for name, each in chains.by_name.items()
            },
            {
                name: [(entry.packets, entry.bytes) for entry in each.entries]
                for name, each in chains.by_name.items()
            },
            {
                name: [entry.rule.words() for entry in each.entries]
                for name, each in chains.by_name.items()
            },
        )


def stage(host: Callable[[], Host] = lambda: Host(Traits()), name: str = "model") -> Stage:
    """One, for those who ask for a Stage."""
    return cast("Stage", ModelStage(host, name))


def _data(packet: Packet) -> bytes:
    known = packet.identification is not None
    return (packet if known else packet.changed(identification=OWN_ID)).data


def _received(packet: Packet) -> bytes:
    if packet.protocol != UDP:
        return _data(packet)
    return socket.inet_aton(packet.source) + packet.body[:2] + packet.body[8:]
