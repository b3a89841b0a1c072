# SPDX-License-Identifier: GPL-2.0-only
"""One packet's journey through the guest, as a row of journeys.toml tells it.

A row's packet is sent first without a rule, as a program would have changed it; then as it is, and
a program takes it, and changes it. What the wires, the program that it is for, and all counters
tell has to be the same.
"""

from __future__ import annotations

import shlex
import socket
import struct
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Dot1Q, Ether

from harness.guest.machine import Machine
from harness.guest.shell import Shell
from tests.guest.support.chains import Chains
from tests.guest.support.divert import DivertSocket, Taken, built
from tests.guest.support.ipsec import ESP, around
from tests.guest.support.kept import Keeper
from tests.guest.support.programs import Calls
from tests.guest.support.scene import Scene
from tests.guest.support.traffic import FAR, NEAR, UDP_PORT

TABLE = Path(__file__).with_name("journeys.toml")
PORT = 1234
SOURCE_PORT = 3000
# Behind one of the wires' hosts, and so is the other.
BEYOND, BESIDE = "203.0.113.7", "203.0.113.9"
# Where each path begins, and goes; then where a program sends it instead.
_ENDS = {
    "out": (NEAR.guest_ip, BEYOND, BESIDE),
    "through": (NEAR.host_ip, BEYOND, BESIDE),
    "in": (NEAR.host_ip, NEAR.guest_ip, FAR.guest_ip),
    "lo": ("127.0.0.1", "127.0.0.1", "127.0.0.9"),
}
_TRANSPORTS = {"udp": UDP, "tcp": TCP}
NOTHING = "-"
# Of no packet here.
_NO_PROTOCOL = 200
_BODY, _CHANGED = b"as it was sent  ", b"as it is changed"
# What a program can ask of what it receives: IP_PKTINFO, _RECVTTL, _RECVTOS, _ORIGDSTADDR,
# SO_RCVMARK.
_TELL = (("ip", 8), ("ip", 12), ("ip", 13), ("ip", 20), ("socket", 75))
_PART = 16
_OF_IP, _OF_VLAN = b"\x08\x00", b"\x81\x00"
DOINGS = ("given-back", "kept", "payload", "kept-payload", "address")


@dataclass(frozen=True)
class Row:
    """A row of the table; see there."""

    name: str
    statements: tuple[str, ...]
    what: str
    path: str
    leaves: str
    elsewhere: str = ""
    steps: tuple[str, ...] = ()
    to: str = ""
    other: str = ""
    sender: tuple[str, ...] = ()
    user: int = 0
    source: str = ""
    receiver: tuple[str, ...] = ()
    match: str = "-p UDP"
    packets: int = 1
    datagrams: int = 1
    fragments: bool = False
    frame: str = ""
    answers: tuple[str, ...] = ()
    protocol: str = "udp"
    vlan: int = 0
    tunnelled: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    length: int = 0
    learned: int = 0
    dont_fragment: bool = False
    but: tuple[str, ...] = ()
    places: tuple[str, ...] = ()

    @property
    def ends(self) -> tuple[str, str, str]:
        """Where it comes from, where it goes, where a program sends it instead."""
        source, to, other = _ENDS[self.path]
        return self.source or source, self.to or to, self.other or other

    def doings(self, place: str) -> list[str]:
        """What is done with it at a place: by rules that match nothing, nothing."""
        if place == NOTHING:
            return list(DOINGS[:1])
        first = place.split(maxsplit=1)[0]
        return [each for each in DOINGS if not {each, f"{first}:{each}"} & {*self.but}]


def table(path: Path = TABLE) -> list[Row]:
    """All rows, each with the places at which it is taken."""
    with path.open("rb") as stream:
        data = tomllib.load(stream)
    rows = []
    for row in data["row"]:
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in row.items()
        }
        places = [each for each in data["places"][row["path"]] if each not in row.get("but", ())]
        values.setdefault("places", tuple(places))
        rows.append(Row(**values))
    return rows


@dataclass
class Outcome:
    """What is known of a packet when its journey has ended."""

    said: str = ""
    wires: list[list[bytes]] = field(default_factory=list)
    received: list[dict[str, Any]] = field(default_factory=list)
    counts: dict[str, list[int]] = field(default_factory=dict)
    connections: list[str] = field(default_factory=list)

    def arrived(self, where: str) -> bool:
        """Whether it came there: near, far or here."""
        if where == "here":
            return bool(self.received)
        return bool(self.wires[("near", "far").index(where)])

    def differences(self, other: Outcome) -> list[str]:
        """In what this one is not as the other."""
        found = []
        for name, mine in vars(self).items():
            its = getattr(other, name)
            if mine != its:
                found.append(f"{name}: {_shown(mine)} is not {_shown(its)}")
        return found


def _shown(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"{Ether(value).summary()} {value.hex()}"
    if isinstance(value, Mapping):
        return {key: _shown(each) for key, each in value.items()}
    return [_shown(each) for each in value] if isinstance(value, list) else value


def told(frame: bytes) -> bytes | None:
    """A frame's link header, VLAN included, and its packet as `same` has it; None: it is not IP.

    Nor is an IGMP report counted: whoever joins a group sends some again, when it likes.
    """
    begin = 18 if frame[12:14] == _OF_VLAN else 14
    packet = frame[begin:]
    if frame[begin - 2 : begin] != _OF_IP or packet[9] == socket.IPPROTO_IGMP:
        return None
    # Without what pads it.
    return frame[:begin] + same(packet[: int.from_bytes(packet[2:4], "big")])


def same(packet: bytes) -> bytes:
    """A packet without what rightly differs: the identification, sums with it, ESP's number."""
    data = bytearray(packet)
    data[4:6] = data[10:12] = bytes(2)
    header = (data[0] & 15) * 4
    if data[9] == ESP:
        data[header + 4 : header + 8] = bytes(4)
        if data[header + 8] == 0x45:
            data[header + 8 :] = same(bytes(data[header + 8 :]))
    elif data[9] == socket.IPPROTO_IPIP:
        data[header:] = same(bytes(data[header:]))
    return bytes(data)


def about(control: str) -> Iterator[tuple[int, int, str]]:
    """What options have added to a datagram: level, type, value."""
    data = bytes.fromhex(control)
    while len(data) >= 12:
        length, level, kind = struct.unpack_from("=III", data)
        yield level, kind, data[12:length].hex()
        data = data[(length + 3) & ~3 :]


class Journey:
    """Lets the packet of a row go, time and again, in one guest."""

    def __init__(self, row: Row, guest: Machine, shell: Shell, calls: Calls) -> None:
        self.row = row
        self._guest = guest
        self._shell = shell
        self._calls = calls
        self._chains = Chains(shell)
        self._scene = Scene(shell, calls)
        self._sender = Calls(shell)
        self._source, self._to, self._other = row.ends
        for answer in row.answers:
            wire, address = answer.split()
            guest.wires[("near", "far").index(wire)].add_address(address)
        for step in row.steps:
            self._scene.step(step)
        self._listens = row.leaves == "here" or bool(row.receiver)
        if self._listens:
            self._open(calls, "receiver", f"in:0.0.0.0:{UDP_PORT}", row.receiver)
            for option in _TELL:
                calls.ok("setsockopt", "receiver", *option, "int:1")
        if row.path in ("out", "lo"):
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
        gathers = self._shell.check("cat /proc/sys/net/ipv4/divert/defrag").strip() == "1"
        packets = self.row.datagrams * (1 if gathers else self.row.packets)
        kind = Keeper if doing.startswith("kept") else DivertSocket
        sockets = [kind(self._calls, PORT + number) for number in range(len(hooks))]
        for hook, each in zip(hooks, sockets, strict=True):
            self._chains.append(f"{hook} {self.row.match} -j DIVERT {each.port}")
        if not hooks:
            for hook in ("input", "forward", "output"):
                self._chains.append(f"{hook} -p {_NO_PROTOCOL} -j DIVERT {PORT}")

        def take() -> None:
            for number, each in enumerate(sockets):
                for taken in [each.take() for _ in range(packets)]:
                    self._act(each, taken, doing, first=number == 0)
            for each in sockets:
                assert each.rest() == [], f"taken again by the program on {each.port}"

        try:
            return self._gone(self._to, self._body(_BODY), take)
        finally:
            self._chains.flush()
            for each in sockets:
                each.close()

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
        if self.row.path in ("out", "lo"):
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
            each.give_back(taken, changed(taken.data, _BODY, _CHANGED))
        elif first and doing == "address":
            each.give_back(taken, readdressed(taken.data, self._other))
        elif isinstance(each, Keeper):
            each.go_on(taken)
        else:
            each.give_back(taken)

    def _received(self) -> Iterator[dict[str, Any]]:
        if not self._listens:
            return
        while (row := self._calls("recvmsg", "receiver", 65535, "dontwait"))["result"] >= 0:
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


def changed(data: bytes, old: bytes, new: bytes) -> bytes:
    """A packet with other data, and right sums."""
    return _summed(IP(data.replace(old, new)))


def readdressed(data: bytes, to: str) -> bytes:
    """A packet to another host, with right sums."""
    packet = IP(data)
    packet.dst = to
    return _summed(packet)


def _summed(packet: IP) -> bytes:
    del packet.chksum, packet.payload.chksum
    return bytes(packet)
