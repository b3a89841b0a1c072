# SPDX-License-Identifier: GPL-2.0-only
"""`./inv trace`: packets sent to a guest one by one, and for each its way: wire, chain by chain and
rule by rule, divert port, program, wire."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from harness.base import terminal
from harness.base.deadline import Deadline
from harness.base.errors import GuestError, UserError
from harness.guest.machine import Machine
from harness.guest.wiretap import Seen
from harness.interactive import session, tracepicture, way
from harness.interactive.ownwires import Plan
from harness.interactive.way import Counters, Way
from harness.network import packets
from harness.network.addresses import LINKS
from harness.network.frames import Frame

_OUTPUT = "/root/.trace"
_LOOK = "cat /proc/net/ip_fwchains /proc/net/ip_fwnames /proc/net/divert"
# A command that sets rules and binds a port does so within a moment; a program gives a packet back
# within milliseconds. What is held longer is told as being held.
_READY_SECONDS = 10.0
_HELD_SECONDS = 1.0


@dataclass(frozen=True)
class Journey:
    """One packet that was sent, its way, and the frames on both wires in the order of time."""

    sent: Seen
    way: Way
    seen: tuple[Seen, ...]

    @property
    def left(self) -> tuple[Seen, ...]:
        """What left the guest."""
        return tuple(each for each in self.seen if not each.sent)


def trace(
    variant: str,
    words: Sequence[str],
    *,
    put: Sequence[str] = (),
    plan: Plan | None = None,
    picture: str = "",
    given: Sequence[str] = (),
) -> None:
    """Boot a guest, run a command there that sets rules and starts a program, send packets to it,
    and show the way of each; with `picture` also as SVG.

    Without packets of `plan`'s own: a datagram and an echo request to the guest, and a datagram
    through it. The command's output is shown at the end. Raises UserError for a mistake in what is
    asked for, GuestError if the command ends with an error or the guest is lost.
    """
    line = words[0] if len(words) == 1 else shlex.join(words)
    if not line.strip():
        raise UserError(
            "no command to run",
            "as in: ./inv trace --variant base -- "
            "'ipchains -A input -p udp -j DIVERT 1000; interceptor --reinject 1000'",
        )
    if picture and not Path(picture).parent.is_dir():
        raise UserError(f"--picture {picture}: there is no folder {Path(picture).parent}")
    frames = plan.frames if plan and plan.frames else tuple(_usual())
    files = session.files_of(put)
    with session.guest("trace", variant, given) as machine:
        for file in files:
            machine.ssh.put(file, session.place(file), mode=file.stat().st_mode & 0o777)
        for wire in machine.wires:
            wire.answer_pings()
        _begin(machine, line)
        journeys = []
        for number, (wire_number, data) in enumerate(frames, 1):
            journey = _follow(machine, wire_number, data)
            journeys.append(journey)
            terminal.show(tracepicture.text(number, journey))
        machine.check()
        output = machine.ssh.get(_OUTPUT).decode(errors="replace")
    if picture:
        Path(picture).write_text(tracepicture.svg(journeys, f"./inv trace --variant {variant}"))
        terminal.say(f"picture: {picture}")
    if output.strip():
        terminal.show(f"the command wrote:\n{output.rstrip()}")


def _usual() -> Iterator[tuple[int, bytes]]:
    from scapy.layers.inet import ICMP, IP, UDP  # noqa: PLC0415 (it takes half a second)

    near, far = LINKS
    for packet in (
        IP(src=near.host_ip, dst=near.guest_ip) / UDP(sport=4000, dport=9) / b"to the guest",
        IP(src=near.host_ip, dst=near.guest_ip) / ICMP(id=1, seq=1) / b"to the guest",
        IP(src=near.host_ip, dst=far.host_ip) / UDP(sport=4000, dport=9) / b"through it",
    ):
        yield 0, packets.encode(packet, near.host_mac, near.guest_mac)


def _begin(machine: Machine, line: str) -> None:
    """Start the command, and wait until it has bound a port or ended.

    Its output goes to a file: what it writes to us would itself be packets.
    """
    # The far hosts' link addresses, or the first packets would wait for these.
    hosts = " && ".join(f"arp -s {link.host_ip} {link.host_mac}" for link in LINKS)
    machine.ssh.check(hosts)
    if machine.ssh.run("[ -e /proc/net/divert ]").status != 0:
        raise UserError(f"{machine.spec.variant} has no divert sockets", "try --variant base")
    script = f"(\n{line}\necho $? >{_OUTPUT}.status) >{_OUTPUT} 2>&1 </dev/null &"
    machine.ssh.check(script)
    deadline = Deadline(_READY_SECONDS, "a divert port, or the command's end")
    while not _look(machine).ports:
        ended = machine.ssh.run(f"cat {_OUTPUT}.status")
        if ended.status == 0 and ended.stdout.strip() == "0":
            break
        if ended.status == 0:
            said = machine.ssh.get(_OUTPUT).decode(errors="replace").strip()
            raise GuestError(f"the command ended with status {ended.stdout.strip()}", said)
        if deadline.expired:
            raise GuestError(
                f"the command has neither bound a divert port in {_READY_SECONDS:g} s nor ended"
            )


def _look(machine: Machine) -> Counters:
    return way.parse(machine.shell.output(_LOOK))


def _follow(machine: Machine, number: int, data: bytes) -> Journey:
    """Send one frame, and see what comes of it."""
    recorded: list[list[Frame]] = [[], []]
    before = _look(machine)
    with ExitStack() as stack:
        for wire, row in zip(machine.wires, recorded, strict=True):
            stack.enter_context(wire.tapped(row))
        machine.wires[number].send(data)
        machine.barrier()
        deadline = Deadline(_HELD_SECONDS, "the program")
        after = _look(machine)
        # A program that has read a packet may reinject it; one that has not read it is slow.
        while _under_way(before, after) and not deadline.expired:
            after = _look(machine)
        machine.barrier()
        after = _look(machine)
    seen = [
        Seen(wire.name, frame.seconds, frame.sent, frame.data)
        for wire, row in zip(machine.wires, recorded, strict=True)
        for frame in row
        if frame.data[12:14] == b"\x08\x00"
    ]
    seen.sort(key=lambda each: each.time)
    sent = next(each for each in seen if each.sent and each.data == data)
    return Journey(sent, way.between(before, after), tuple(seen))


def _under_way(before: Counters, after: Counters) -> bool:
    """Whether a program has something that it has not reinjected."""
    for number, port in after.ports.items():
        since = port.since(before.ports.get(number, way.Port()))
        if port.queued or since.delivered > since.injected:
            return True
    return False
