# SPDX-License-Identifier: GPL-2.0-only
"""One packet's journey through the guest, as a row of journeys.toml tells it.

A row's packet is sent first without a rule, as a program would have changed it; then as it is, and
a program takes it, and changes it. What the wires, the program that it is for, and all counters
tell has to be the same.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Dot1Q, Ether

from divert_reference.chains import Chains
from divert_reference.divert import DivertSocket, Taken, built
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, UDP_PORT
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from tests.guest.support.changes import changed, readdressed
from tests.guest.support.ipsec import around
from tests.guest.support.journeyrow import INSIDE, NOTHING, Row
from tests.guest.support.kept import Keeper
from tests.guest.support.outcome import Outcome, about, told
from tests.guest.support.scene import Scene
from tests.guest.support.stack import Namespace

PORT = 1234
SOURCE_PORT = 3000
_TRANSPORTS = {"udp": UDP, "tcp": TCP}
# Of no packet here.
_NO_PROTOCOL = 200
_BODY, _CHANGED = b"as it was sent  ", b"as it is changed"
# What a program can ask of what it receives: IP_PKTINFO, _RECVTTL, _RECVTOS, _ORIGDSTADDR,
# SO_RCVMARK.
_TELL = (("ip", 8), ("ip", 12), ("ip", 13), ("ip", 20), ("socket", 75))
_PART = 16
_HOOKS = ("input", "forward", "output")


class Journey:
    """Lets the packet of a row go, time and again, in one guest."""

    def __init__(
        self,
        row: Row,
        guest: Machine,
        shell: Shell,
        calls: Calls,
        namespaces: Callable[[], Namespace],
    ) -> None:
        self.row = row
        self._guest = guest
        self._calls = calls
        self._chains = Chains(shell)
        self._scene = Scene(shell, calls, namespaces)
        self._source, self._to, self._other = row.ends
        for answer in row.answers:
            wire, address = answer.split()
            guest.wires[("near", "far").index(wire)].add_address(address)
        for step in row.steps:
            self._scene.step(step)
        there = self._scene.there
        self._receiver = there.calls if there and row.leaves == "there" else calls
        self._listens = row.leaves in ("here", "there") or bool(row.receiver)
        if self._listens:
            self._open(self._receiver, "receiver", f"in:0.0.0.0:{UDP_PORT}", row.receiver)
            for option in _TELL:
                self._receiver.ok("setsockopt", "receiver", *option, "int:1")
        self._sender = Calls(there.shell if there and row.path == "from" else shell)
        if row.by_program:
            if row.user:
                self._sender.ok("setuid", row.user)
            self._open(self._sender, "sender", f"in:{self._source}:{SOURCE_PORT}", row.sender)

    def without(self, doing: str) -> Outcome:
        """Nobody takes it: it is sent as a program would have changed it."""
        to = self._other if doing == "address" else self._to
        return self._gone(to, self._body(_CHANGED if "payload" in doing else _BODY), lambda: None)

    def with_rules(self, place: str, doing: str) -> Outcome:
        """It is taken at the hooks of a place."""
        hooks = [] if place == NOTHING else place.split()
        # What comes in parts is taken as a whole then (F4).
        packets = self.row.datagrams * (1 if self._scene.gathers() else self.row.packets)
        sockets: list[DivertSocket] = []
        try:
            self._set_rules(hooks, sockets, Keeper if doing.startswith("kept") else DivertSocket)

            def take() -> None:
                for number, each in enumerate(sockets):
                    for taken in [each.take() for _ in range(packets)]:
                        self._act(each, taken, doing, first=number == 0)
                for each in sockets:
                    assert each.rest() == [], f"taken again by the program on {each.port}"

            return self._gone(self._to, self._body(_BODY), take)
        finally:
            for chains in self._all_chains():
                chains.flush()
            for each in sockets:
                each.close()

    def _all_chains(self) -> list[Chains]:
        there = self._scene.there
        return [self._chains, there.chains] if there else [self._chains]

    def _set_rules(
        self, hooks: list[str], sockets: list[DivertSocket], kind: type[DivertSocket]
    ) -> None:
        """A rule and a socket for each hook; ports are counted in each network namespace."""
        if not hooks:
            for chains in self._all_chains():
                chains.append(*(f"{hook} -p {_NO_PROTOCOL} -j DIVERT {PORT}" for hook in _HOOKS))
        used: Counter[str] = Counter()
        for hook in hooks:
            inside, _, chain = hook.rpartition("/")
            there = self._scene.there if hook.startswith(INSIDE) else None
            port = PORT + used[inside]
            used[inside] += 1
            sockets.append(kind(there.calls if there else self._calls, port))
            chains = there.chains if there else self._chains
            chains.append(f"{chain} {self.row.match} -j DIVERT {port}")

    def _gone(self, to: str, body: bytes, take: Any) -> Outcome:
        self._scene.forget()
        before = self._scene.counts()
        if self.row.learned:
            self._teach(self._to)
            self._teach(self._other)
        self._guest.barrier()
        for wire in self._guest.wires:
            wire.clear()
        outcome = Outcome(said=self._send(to, body))
        self._guest.barrier()
        take()
        self._guest.barrier()
        outcome.wires = [
            [packet for frame in wire.captured() if (packet := told(frame.data)) is not None]
            for wire in self._guest.wires
        ]
        outcome.received = list(self._received())
        after = self._scene.counts()
        for name, values in after.items():
            added = [
                a - b for a, b in zip(values, before.get(name) or [0] * len(values), strict=True)
            ]
            if any(added):
                outcome.counts[name] = added
        outcome.connections = self._scene.connections()
        return outcome

    def _body(self, begin: bytes) -> bytes:
        return begin + bytes(max(0, self.row.length - len(begin)))

    def _send(self, to: str, body: bytes) -> str:
        if self.row.by_program:
            row = self._sender("sendto", "sender", f"hex:{body.hex()}", f"in:{to}:{UDP_PORT}")
            return str(row.get("error", ""))
        header = IP(src=self._source, dst=to, id=0x77, ttl=9)
        header.flags = "DF" if self.row.dont_fragment else ""
        transport = _TRANSPORTS[self.row.protocol](sport=SOURCE_PORT, dport=UDP_PORT)
        datagram = IP(built(header / transport / body))
        if self.row.tunnelled:
            begin, end = self.row.tunnelled
            datagram = IP(built(IP(src=begin, dst=end, id=0x78, ttl=9) / datagram))
        if self.row.protected:
            datagram = IP(around(bytes(datagram), *self.row.protected))
        wire = self._guest.wires[0]
        for part in datagram.fragment(_PART) if self.row.fragments else [datagram]:
            link = Ether(src=wire.host_mac, dst=self.row.frame or wire.guest_mac)
            if self.row.vlan:
                link /= Dot1Q(vlan=self.row.vlan)
            wire.send(bytes(link / part))
        return ""

    def _teach(self, to: str) -> None:
        """Tell the guest that what is longer than this does not come through to there."""
        inner = IP(src=FAR.guest_ip, dst=to, flags="DF", len=1500) / ICMP(type=0)
        error = ICMP(type=3, code=4, nexthopmtu=self.row.learned) / inner
        self._guest.wires[1].send(IP(built(IP(src=FAR.host_ip, dst=FAR.guest_ip) / error)))

    def _act(self, each: DivertSocket, taken: Taken, doing: str, *, first: bool) -> None:
        if first and doing in ("payload", "kept-payload"):
            each.reinject(taken, changed(taken.data, _BODY, _CHANGED))
        elif first and doing == "address":
            each.reinject(taken, readdressed(taken.data, self._other))
        elif isinstance(each, Keeper):
            each.go_on(taken)
        else:
            each.reinject(taken)

    def _received(self) -> Iterator[dict[str, Any]]:
        if not self._listens:
            return
        while (row := self._receiver("recvmsg", "receiver", 65535, "dontwait"))["result"] >= 0:
            yield {
                "data": row["hex"],
                "from": f"{row['from']['ip']}:{row['from']['port']}",
                "about": list(about(row.get("control", ""))),
            }

    def _open(self, calls: Calls, name: str, address: str, options: tuple[str, ...]) -> None:
        calls.ok("socket", name, "inet", "dgram", 17)
        for option in options:
            calls.ok(*(_word(word) for word in shlex.split(option)))
        calls.ok("bind", name, address)


def _word(word: str) -> str:
    """A word of a call; name:NAME is a name with its zero."""
    kind, _, name = word.partition(":")
    return f"hex:{name.encode().hex()}00" if kind == "name" else word
