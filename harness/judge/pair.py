# SPDX-License-Identifier: GPL-2.0-only
"""The same steps on two guests: what the model does not foretell is compared with each other.

What the model is asked for is which steps fit: it knows chains and sockets, and no packet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from harness.judge import plain
from harness.judge.course import Course
from harness.judge.proc import Table
from harness.judge.seen import Seen
from harness.judge.stage import Stage
from harness.model.packet import ICMP, Packet
from harness.model.socket import Held, Taken
from harness.model.steps import Step
from harness.model.traits import Traits
from harness.model.ways import ADDRESSES, NO_ADDRESS
from harness.network import dissect

# What does nothing to a packet: of these the model says what there is then.
_KNOWN = (
    *("append", "insert", "replace", "remove", "delete", "flush", "zero", "create", "destroy"),
    *("policy", "open", "bind", "close"),
)
_ECHO = b"\x08"
# In these two kernels rightly differ (differences.toml): shut-for-writing, and how small a queue
# can be. So they do in circle-of-chains and echo-from-another, whose steps `do` leaves out.
_LEFT_OUT = ("shut", "small")


class Pair(Course):
    """One sequence on two guests."""

    def __init__(self, stages: Sequence[Stage], traits: Traits) -> None:
        names = " and ".join(stage.name for stage in stages)
        super().__init__(names, Traits(traits.passthrough, traits.defrag, refuses_circles=True))
        self.stages = stages
        self._before = [stage.table() for stage in stages]
        self._unheard = [stage.look().listing.unheard for stage in stages]
        self._listing: Mapping[int, tuple[int, int, int, int]] = {}

    def full(self) -> list[str]:
        """The sockets that have something to read."""
        queued = {port for port, counts in self._listing.items() if counts[0]}
        return [name for name, each in self.host.sockets.items() if each.port in queued]

    def do(self, step: Step) -> None:
        """Do a step in both guests, and compare."""
        if step.verb in _LEFT_OUT:
            return
        # The ID that is filled in for it is one kernel's, and nothing in the packet says so.
        step = Step(step.verb, tuple(word for word in step.words if word != "id=0"))
        packets = self.model.packets_of(step)
        if any(map(_is_echo_from_another_address, packets)) and self._is_outbound(step):
            return
        if step.verb not in _KNOWN:
            self.model.passed()
        elif self.model.foretell(step).answer == "ELOOP":
            return
        self.begun(step)
        first, second = (stage.do(step, packets) for stage in self.stages)
        self.answered(step, first.answer)
        self.require_none(self._differences(first, second), step)
        self._learn(step, first)

    def _is_outbound(self, step: Step) -> bool:
        match step.verb:
            case "inject":
                return step.words[1] in ("none", NO_ADDRESS)
            case "back" | "untag":
                held = self.model.held(step.words[1])
                return "outbound" in step.words or held.taken.address == NO_ADDRESS
        return False

    def end(self) -> None:
        """Compare what all rules and policies have counted."""
        first, second = (stage.table() for stage in self.stages)
        self.require_none(self._miscounted(first, second), None)

    def _learn(self, step: Step, seen: Seen) -> None:
        self._listing = seen.listing.ports
        if seen.data is None:
            return
        packet = Packet.of(seen.data)
        interface = next((name for name, ip in ADDRESSES.items() if ip == seen.interface), "")
        hook = "output" if seen.interface == NO_ADDRESS else "input"
        reader = self.host.sockets[step.words[0]]
        taken = Taken(packet, hook, (), interface, "", seen.interface, reader)
        self.host.held.append(Held(packet, taken))

    # Differences.

    def _differences(self, first: Seen, second: Seen) -> Iterator[str]:
        yield from _two("answer", first.answer or "success", second.answer or "success")
        if first.data is not None and second.data is not None:
            yield from _packets("read", [first.data], [second.data])
            yield from _two("address", first.interface, second.interface)
        for what, one, other in (
            ("sent by", first.sent, second.sent),
            ("received by", first.received, second.received),
        ):
            for place in sorted({*one, *other}):
                yield from _packets(f"{what} {place}", one.get(place, []), other.get(place, []))
        for name in sorted({*first.told, *second.told}):
            yield from _two(
                f"errors that {name} was told", *(each.told.get(name) for each in (first, second))
            )
        ports = [_listed(seen) for seen in (first, second)]
        for port in sorted({*ports[0], *ports[1]}):
            what = f"port {port} (anything queued, delivered, dropped, injected)"
            yield from _two(what, *(each.get(port) for each in ports))
        unheard = [
            seen.listing.unheard - before
            for seen, before in zip((first, second), self._unheard, strict=True)
        ]
        yield from _two("no-listener", *unheard)

    def _miscounted(self, first: Table, second: Table) -> Iterator[str]:
        tables = first, second
        for name in sorted({*first.policies, *second.policies}):
            counted = []
            for table, before in zip(tables, self._before, strict=True):
                row, was = table.policies.get(name), before.policies.get(name)
                packets = row.packets - (was.packets if was else 0) if row else 0
                counted.append(row and (row.target, row.references, packets))
            yield from _two(f"policy of {name} (target, references, packets)", *counted)
            rules = [[packets for packets, _ in each.rules.get(name, [])] for each in tables]
            yield from _two(f"packets that rules of {name} have counted", *rules)
            yield from _two(f"rules of {name}", first.listed.get(name), second.listed.get(name))


def _is_echo_from_another_address(packet: Packet) -> bool:
    return (
        packet.protocol == ICMP
        and packet.body[:1] == _ECHO
        and packet.destination in ADDRESSES.values()
        and packet.source != packet.destination
    )


def _listed(seen: Seen) -> dict[int, tuple[int, ...]]:
    # Errors have other lengths (quoted-packet), and with them what has queued and counted them.
    return {port: (bool(queued), *counts) for port, (queued, *counts) in seen.listing.ports.items()}


def _two(what: str, first: object, second: object) -> Iterator[str]:
    if first != second:
        yield f"{what}: {first}, and {second}"


def _packets(what: str, first: list[bytes], second: list[bytes]) -> Iterator[str]:
    if [plain.packet(data) for data in first] != [plain.packet(data) for data in second]:
        yield f"{what}: {_shown(first)}"
        yield f"{' ' * len(what)}  and {_shown(second)}"


def _shown(packets: list[bytes]) -> str:
    return (
        ", ".join(
            f"{dissect.words(data)} {data.hex()}" if dissect.is_packet(data) else data.hex()
            for data in packets
        )
        or "nothing"
    )
