# SPDX-License-Identifier: GPL-2.0-only
"""A guest with divert sockets, and what one does with it: programs, packets, rules, sockets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from divert_reference.chains import Chains
from divert_reference.divert import DivertSocket
from divert_reference.programs import Calls, Interceptor, ProcDivert
from divert_reference.traffic import Traffic
from harness.base import terminal
from harness.base.errors import UserError
from harness.boot import bootable
from harness.guest import agent
from harness.guest.agent import Agent, AgentAddress
from harness.guest.machine import Machine
from harness.guest.process import Process, Result
from harness.guest.shell import Shell
from harness.interactive import session
from harness.matrix import variants
from harness.network.addresses import LINKS
from harness.network.wire import Wire

# A shell that has nothing to do takes milliseconds.
_ANSWER_SECONDS = 1.5


class Guest(Machine):
    """A guest that knows its neighbours, and in which an agent of ours runs commands.

    Made by `guest()`, or by the pytest fixture `guest`. What `Machine` has, it has too: `wires`,
    `console`, `check()`, `barrier()`, `snapshot(name)`, `restore(name)`. Programs that were started
    through it, and its divert sockets, are gone after a snapshot or a restore.
    """

    agent: AgentAddress
    _prepared = False
    _shell: Agent | None = None
    _calls: Calls | None = None

    def runs_programs(self) -> bool:
        """By the agent, which costs less than a login; a test may have ended it, or block it."""
        if self._prepared and agent.answers(self.agent, _ANSWER_SECONDS):
            return True
        return self.shell.answers()

    def prepare(self) -> None:
        """Make it so, once, behind its boot.

        A packet that waits for an answer by ARP leaves after what came later, and of more than
        three the first is dropped (2.2.12's unres_qlen): a test's barrier and its counts could not
        be exact. So the guest is told the cards of the far hosts. And a card that has never sent
        anything takes one packet at a time at first (6.11 on, BQL; see the guest's /etc/rc).
        """
        hosts = (f"arp -s {link.host_ip} {link.host_mac}" for link in LINKS)
        self.ssh.check(" && ".join(hosts))
        self.barrier()
        self.agent = agent.start(self.ssh, self.qmp)
        self._prepared = True

    # The two wires.

    @property
    def near(self) -> Wire:
        """Wire 0: the guest is 192.0.2.1 (eth1) on it, and we are 192.0.2.2."""
        return self.wires[0]

    @property
    def far(self) -> Wire:
        """Wire 1: the guest is 198.51.100.1 (eth2) on it, and we are 198.51.100.2."""
        return self.wires[1]

    # Programs.

    @property
    def programs(self) -> Shell:
        """Runs programs and copies files, as root: `run`, `check`, `start`, `put`, `get`."""
        if self._shell is None:
            self._shell = Agent(self.agent, self.check)
            self.console.subscribe(self._shell.interrupt)
        return self._shell

    def run(self, command: str, *, seconds: float = 10, stdin: bytes = b"") -> Result:
        """Run a line of shell to its end; its status, output and errors, whatever these are.

        Raises GuestError if it still runs after `seconds`.
        """
        return self.programs.run(command, seconds=seconds, stdin=stdin)

    def output(self, command: str, *, seconds: float = 10) -> str:
        """What a line of shell writes; any exit status but 0 is a GuestError."""
        return self.programs.check(command, seconds=seconds)

    def start(self, command: str, *, ready: str | None = None, seconds: float = 10) -> Process:
        """Start one program with its arguments, and wait until its output matches `ready`.

        The process has `expect(pattern)`, `send(data)`, `signal("INT")`, `wait()`, `lines`, `pid`.
        Raises GuestError if that does not come within `seconds`, or the program ends before.
        """
        return self.programs.start(command, ready=ready, seconds=seconds)

    def put(self, file: Path | str, name: str = "") -> str:
        """Copy a file of the host's into /root, with its mode; its path in the guest.

        Raises UserError if there is no such file, GuestError if the guest has no room for it.
        """
        path = Path(file)
        if not path.is_file():
            raise UserError(f"{path}: there is no such file")
        where = f"/root/{name or path.name}"
        self.programs.put(path, where, mode=path.stat().st_mode & 0o777)
        return where

    # Rules and divert sockets.

    @property
    def chains(self) -> Chains:
        """The firewall, by ipchains."""
        return Chains(self.programs)

    @property
    def calls(self) -> Calls:
        """A process of root's that makes any system call."""
        if self._calls is None:
            self._calls = Calls(self.programs)
        return self._calls

    def divert(self, port: int) -> DivertSocket:
        """A divert socket, bound to `port` (1 to 65535), whose packets one takes and reinjects."""
        return DivertSocket(self.calls, port)

    def listen(self, port: int, *flags: str, limit: int | None = None) -> Interceptor:
        """The interceptor (docs/interceptor.md) on a divert port; it ends after `limit` packets."""
        return Interceptor(self.programs, port, flags, limit)

    @property
    def traffic(self) -> Traffic:
        """Packets of all protocols, on all paths."""
        return Traffic(self, self.calls)

    @property
    def proc_divert(self) -> ProcDivert:
        """/proc/net/divert as it is now: the bound ports and their counters."""
        return ProcDivert.parse(self.output("cat /proc/net/divert", seconds=60))

    # Before these, no connection may be left that the guest will not know afterwards.

    def snapshot(self, name: str) -> None:
        """Keep the guest as it is now under `name`; programs that were started here are let go."""
        self.let_go()
        super().snapshot(name)

    def put_back(self, name: str) -> None:
        """See Machine."""
        self.let_go()
        super().put_back(name)

    def stop(self) -> None:
        """End the guest, at once and for good."""
        self.let_go()
        super().stop()

    def let_go(self) -> None:
        """Close the connections to what was started here; the programs are not told."""
        shell, self._shell, self._calls = self._shell, None, None
        if shell is not None:
            self.console.unsubscribe(shell.interrupt)
            shell.close()


@contextmanager
def guest(variant: str = "base", source: Sequence[str] = ()) -> Iterator[Guest]:
    """A fresh guest of a kernel variant (docs/kernels.md), built or downloaded if need be.

    `source` are archives, NAME=PATH, as with --source. It ends with the context, and examined: a
    guest that has crashed meanwhile raises GuestLostError there. Its console and QEMU's log are in
    a folder below build/runs/. Raises UserError for an unknown variant, InfrastructureError if it
    cannot be built or booted on this host, GuestLostError if it does not come up.
    """
    built = bootable.build(variants.named(variant), source)
    spec = session.machine_spec(built, session.new_folder("guest"))
    with Guest(spec) as machine:
        terminal.say(f"guest {variant}: its console: {machine.console.log}")
        machine.prepare()
        yield machine
        machine.check()
