# SPDX-License-Identifier: GPL-2.0-only
"""A guest that is asked what the model is: steps made real, and what is then seen."""

from __future__ import annotations

from collections.abc import Sequence

from harness.base.errors import GuestError
from harness.guest.calls import Answer, Script
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.judge import ipfw, programs
from harness.judge.proc import Listing, Table
from harness.judge.seen import Seen
from harness.judge.words import GUARDED, lines, option
from harness.model.packet import Packet
from harness.model.rules import HOOKS, rule
from harness.model.steps import Step
from harness.network.addresses import LINKS, MANAGEMENT_INTERFACE

# So much at a time of /proc: each read gives whole lines.
_PAGE = 4096
_PAGES = 3
_GUARD = rule(f"-i {MANAGEMENT_INTERFACE} -j ACCEPT")
# 2.2.12 sends an ICMP error a second, and none in its first; a kernel of today has limits, too. Of
# old a ping of all was answered.
_EVERY_ERROR = """
echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_broadcasts
for file in icmp_*_rate icmp_ratelimit route/error_cost; do
    for file in /proc/sys/net/ipv4/$file; do [ ! -e $file ] || echo 0 >$file; done
done
for file in icmp_msgs_per_sec icmp_msgs_burst; do
    file=/proc/sys/net/ipv4/$file; [ ! -e $file ] || echo 1000000 >$file
done"""


class Stage:
    """One guest, and the programs in it, from sequence to sequence.

    `name` is the variant's. It is not restored meanwhile: `reset` puts it back call by call, and
    asks whether it is.
    """

    def __init__(self, name: str, shell: Shell, machine: Machine) -> None:
        self.name = name
        self._wires = dict(zip((link.interface for link in LINKS), machine.wires, strict=True))
        self._barrier = machine.barrier
        # Else packets wait for an answer by ARP, and errors for a second to pass.
        hosts = (f"arp -s {link.host_ip} {link.host_mac}" for link in LINKS)
        shell.check("\n".join([*hosts, _EVERY_ERROR]))
        self._script = Script(shell)
        self._sockets: list[str] = []
        self._held: list[tuple[bytes, bytes]] = []
        self._begin()

    def _begin(self) -> None:
        # The module's hooks, and by that its counters, are there as long as a socket is.
        for answer in self._script.many(["socket fw inet raw 255", "socket idle inet raw divert"]):
            if answer["result"] < 0:
                raise GuestError(f"{self.name}: the judge cannot be set up: {answer}")
        programs.set_up(self._script, self.name)
        self.reset()

    # Putting back.

    def reset(self) -> None:
        """As at the beginning, but for what the kernel has counted. Raises GuestError if not."""
        self._script.many([f"close {name}" for name in self._sockets])
        self._sockets.clear()
        self._held.clear()
        names = list(self.table().policies)
        back = [option("fw_policy", ipfw.policy(hook, "ACCEPT")) for hook in HOOKS]
        back += [option("fw_flush", ipfw.label(name)) for name in names]
        users = [name for name in names if name not in HOOKS]
        back += [option("fw_deletechain", ipfw.label(name)) for name in users]
        back += [option("fw_append", ipfw.change(hook, _GUARD)) for hook in GUARDED]
        self._script.many(back)
        self._barrier()
        for wire in self._wires.values():
            wire.clear()
        self.look()
        self._require_clean()

    def _require_clean(self) -> None:
        table, seen = self.table(), self.look()
        left = {
            "rules": {name: rules for name, rules in table.rules.items() if rules},
            "chains": sorted(set(table.policies) - set(HOOKS)),
            "policies": {
                name: policy.target
                for name, policy in table.policies.items()
                if policy.target != "ACCEPT"
            },
            "ports": seen.listing.ports,
            "received": seen.received,
            "told": seen.told,
            "sent": seen.sent,
        }
        if any(left.values()):
            raise GuestError(f"{self.name}: a sequence has left behind {left}")

    # Steps.

    def do(self, step: Step, packets: Sequence[Packet]) -> Seen:
        """Do a step, with the packets that it is about; what came of it."""
        if step.verb == "wire":
            for packet in packets:
                self._wires[step.words[0]].send(self._frame(step.words[0], packet))
        seen = Seen()
        tag = self._tag(step.words[1]) if step.verb in ("back", "untag") else b""
        answers = self._script.many(list(lines(step, packets, tag, self._count)))
        if answers:
            self._answered(step, answers[0], seen)
        # What is sent to this host itself may have to wait for a kernel thread.
        self._barrier()
        return self._look(seen, self._script.many(_LOOKING))

    def _count(self, chain: str) -> int:
        return len(self.table().rules[chain])

    def _tag(self, number: str) -> bytes:
        return self._held[int(number) % len(self._held)][1]

    def _frame(self, interface: str, packet: Packet) -> bytes:
        wire = self._wires[interface]
        macs = (bytes.fromhex(mac.replace(":", "")) for mac in (wire.guest_mac, wire.host_mac))
        return b"".join((*macs, b"\x08\x00", packet.data))

    def _answered(self, step: Step, answer: Answer, seen: Seen) -> None:
        seen.answer = answer.get("error", "")
        if step.verb == "open" and not seen.answer:
            self._sockets.append(step.words[0])
        elif step.verb == "close":
            self._sockets.remove(step.words[0])
        elif step.verb in ("read", "peek") and not seen.answer:
            seen.data = bytes.fromhex(answer["hex"])
            seen.address = bytes.fromhex(answer["from"]["hex"])
            seen.interface = answer["from"]["ip"]
            self._held.append((seen.data, seen.address))

    # Looking.

    def look(self) -> Seen:
        """What is seen without a step."""
        return self._look(Seen(), self._script.many(_LOOKING))

    def _look(self, seen: Seen, answers: Sequence[Answer]) -> Seen:
        seen.listing = Listing.parse(bytes.fromhex(answers[1]["hex"]).decode())
        programs.take(self._script, seen, answers[2:], self.name)
        for interface, wire in self._wires.items():
            if packets := [frame.data[14:] for frame in wire.captured() if _is_ip(frame.data)]:
                seen.sent[interface] = [_without_padding(packet) for packet in packets]
            wire.clear()
        return seen

    def table(self) -> Table:
        """The firewall's chains, rules and counters, without the guard's."""
        names, rules = self._files("ip_fwnames", "ip_fwchains")
        return Table.parse(names, rules, GUARDED)

    def _files(self, *names: str) -> list[str]:
        """The contents of files of /proc/net: some pages of each at once, more if there are."""
        reads = []
        for name in names:
            reads += [f"open {name} /proc/net/{name} read", *[f"read {name} {_PAGE}"] * _PAGES]
        answers = self._script.many(reads)
        found = []
        for at, name in enumerate(names):
            pages = [row["hex"] for row in answers[at * (_PAGES + 1) + 1 :][:_PAGES]]
            while pages[-1]:
                pages.append(self._script.many([f"read {name} {_PAGE}"])[0]["hex"])
            found.append(bytes.fromhex("".join(pages)).decode())
        return found


_LOOKING = ["open proc /proc/net/divert read", f"read proc {_PAGE}", *programs.LOOKING]


def _is_ip(frame: bytes) -> bool:
    return frame[12:14] == b"\x08\x00"


def _without_padding(packet: bytes) -> bytes:
    return packet[: int.from_bytes(packet[2:4], "big")]
