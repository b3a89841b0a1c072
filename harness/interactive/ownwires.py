# SPDX-License-Identifier: GPL-2.0-only
"""The wires of `./inv run`: what is sent to the guest while its command runs, and what is kept."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.base import terminal
from harness.base.errors import UserError
from harness.guest.machine import Machine
from harness.interactive.farhosts import WIRES, link_of
from harness.network import pcapfile
from harness.network.addresses import LINKS
from harness.network.frames import Frame

_BOUND = "/proc/net/divert"
# How often it is looked at.
_LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Plan:
    """Frames to send, each with the number of its wire; the text behind which to send them, or,
    if there is none, behind the bind of a divert port; and the file for what passes.
    """

    frames: tuple[tuple[int, bytes], ...] = ()
    ready: str = ""
    record: Path | None = None


def planned(send: Sequence[str], record: str, ready: str) -> Plan:
    """What --send, --record and --ready ask for. A file may be named `far=FILE`.

    Raises UserError for a file that cannot be read, or a pattern that is none.
    """
    frames: list[tuple[int, bytes]] = []
    for word in send:
        wire, equals, name = word.partition("=")
        if not (equals and wire in WIRES):
            wire, name = "near", word
        link = link_of(wire)
        frames += [(LINKS.index(link), data) for data in pcapfile.frames_for(Path(name), link)]
    if send and not frames:
        raise UserError(f"--send {', '.join(send)}: there is no packet in it")
    if ready and not send:
        raise UserError(
            "--ready says when to send, and there is nothing to send", "add --send FILE"
        )
    try:
        re.compile(ready)
    except re.error as error:
        raise UserError(f"--ready {ready}: {error}", "it is a regular expression") from None
    path = Path(record) if record else None
    if path is not None and not path.parent.is_dir():
        raise UserError(f"--record {record}: there is no folder {path.parent}")
    return Plan(tuple(frames), ready, path)


class Sender:
    """Sends what is planned once the command is ready, in a thread of its own."""

    def __init__(self, plan: Plan, machine: Machine) -> None:
        """Look at what is bound before the command."""
        self._plan = plan
        self._machine = machine
        self._give_up: Callable[[], object] = lambda: None
        self._ready = threading.Event()
        self._ended = threading.Event()
        self._seen = ""
        self._pool = ThreadPoolExecutor(1)
        self._sent: Future[int] | None = None
        self._bound = self._ports() if plan.frames else -1

    def _ports(self) -> int:
        done = self._machine.ssh.run(f"wc -l <{_BOUND}")
        return int(done.stdout) if done.status == 0 else -1

    def begin(self, give_up: Callable[[], object]) -> None:
        """The command has been started; `give_up` ends it, if nothing can be sent."""
        self._give_up = give_up
        if self._plan.frames:
            self._sent = self._pool.submit(self._send)

    def hear(self, output: bytes) -> None:
        """The command has written this."""
        if self._plan.ready and not self._ready.is_set():
            self._seen = (self._seen + output.decode(errors="replace"))[-65536:]
            if re.search(self._plan.ready, self._seen):
                self._ready.set()

    def end(self) -> None:
        """The command has ended. Raises UserError if nothing was sent until then, and GuestError if
        the guest took it not.
        """
        self._ended.set()
        self._ready.set()
        try:
            if self._sent is not None and not self._sent.result():
                raise UserError(
                    "--send: the command ended before "
                    + (
                        f"it wrote {self._plan.ready}"
                        if self._plan.ready
                        else "it bound a divert port"
                    )
                    + ", so nothing was sent",
                    "--ready PATTERN sends when it has written something that matches",
                )
        finally:
            self._pool.shutdown()

    def _send(self) -> int:
        try:
            if self._plan.ready:
                self._ready.wait()
            elif self._bound >= 0:
                # The command may take as long as it likes for it.
                while self._ports() <= self._bound and not self._ended.wait(_LOOK_SECONDS):
                    pass
            if self._ended.is_set():
                return 0
            for number, data in self._plan.frames:
                self._machine.wires[number].send(data)
            self._machine.barrier()
        except BaseException:
            self._give_up()
            raise
        terminal.say(f"{len(self._plan.frames)} packets sent")
        return len(self._plan.frames)


@contextmanager
def recorded(plan: Plan, machine: Machine) -> Iterator[None]:
    """Keep what passes on both wires, as one capture in the order of time."""
    if plan.record is None:
        yield
        return
    seen: list[list[Frame]] = [[] for _ in machine.wires]
    with ExitStack() as stack:
        stack.callback(lambda: pcapfile.write(plan.record or Path(), seen))
        for wire, frames in zip(machine.wires, seen, strict=True):
            stack.enter_context(wire.tapped(frames))
        yield
        # What was on its way when the command ended.
        machine.barrier()
    terminal.say(f"{sum(map(len, seen))} frames: {plan.record}")
