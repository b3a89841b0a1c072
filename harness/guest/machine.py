# SPDX-License-Identifier: GPL-2.0-only
"""One running guest: its console, its two test wires, its SSH, and snapshots of all of it."""

from __future__ import annotations

import os
import shlex
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.base import background, store
from harness.base.deadline import standing_still
from harness.base.errors import DeadlineError, GuestLostError
from harness.base.owntime import OwnDeadline, Stall
from harness.base.stops import Stops
from harness.guest import accelerator, login, position, renewal, snapshotfile, symbols
from harness.guest.console import Console
from harness.guest.consoleshell import ConsoleShell
from harness.guest.detached import Kept, keep
from harness.guest.diagnosis import Diagnosis
from harness.guest.emulator import Emulator
from harness.guest.login import Account
from harness.guest.qemu import PLAIN, QemuSpec
from harness.guest.qmp import DEBUG, PAUSED, Qmp
from harness.guest.ssh import Ssh
from harness.matrix.kernels import Hardware
from harness.network.addresses import LINKS
from harness.network.wire import Wire

# Of QEMU's own time: a boot takes 1 s of it under TCG, and some times that with checks on.
BOOT_SECONDS = 40.0

# A guest that answers at all does so within milliseconds.
_ALIVE_SECONDS = 1.5
_CONSOLE_END_SECONDS = 5.0


@dataclass(frozen=True)
class MachineSpec:
    """What to boot, and where its files go: console.log, qemu.log, qemu.command in `folder`.

    `private_key` and `host_key` are those of the image; `system_map` names the addresses in an
    oops; `append` goes to the end of the kernel's command line. `accelerator` is tcg or kvm, or ""
    for what `accelerator.choose` finds. `traced` and `trace_file` are QemuSpec's, for TCG alone;
    `gdb_fd` is QemuSpec's too: such a guest may be stopped by a debugger.
    `begin_from` has a snapshot, named as the file is, from which it goes on instead of a boot.
    """

    variant: str
    kernel: Path
    initrd: Path
    private_key: Path
    host_key: Path
    folder: Path
    hardware: Hardware = PLAIN
    system_map: Path | None = None
    append: str = ""
    accelerator: str = ""
    traced: str = ""
    trace_file: Path | None = None
    gdb_fd: int | None = None
    begin_from: Path | None = None


class Machine:
    """A guest, from its launch to a logged-in SSH session, as a context manager.

    Attributes: `console`, `shell` (on it), `wires`, `qmp`, `emulator`, `boot_seconds` (launch to
    logged in), `accelerator` (tcg or kvm) and `accelerator_reason`, `account` (how to log in).
    Entering raises InfrastructureError if QEMU cannot be started, or what it would boot is damaged;
    GuestLostError if the guest does not come up. QEMU ends with the context, and by the kernel's
    doing if this process dies.
    """

    console: Console
    shell: ConsoleShell
    wires: tuple[Wire, Wire]
    qmp: Qmp
    emulator: Emulator
    account: Account
    boot_seconds: float
    accelerator: str
    accelerator_reason: str

    def __init__(
        self, spec: MachineSpec, *, on_console: Callable[[bytes], object] | None = None
    ) -> None:
        """Describe a guest; what it writes on its console is also given to `on_console`."""
        self.spec = spec
        self._on_console = on_console
        self._stack = ExitStack()
        self._ssh: Ssh | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._launch(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the guest, at once and for good."""
        self._stack.close()

    @property
    def ssh(self) -> Ssh:
        """The SSH session. After a snapshot or a restore there is a new one, from first use on."""
        if self._ssh is None:
            self._ssh = self._log_in()
        return self._ssh

    def check(self) -> None:
        """Raise GuestLostError if the guest crashed, floods its console, ended, or hangs.

        It hangs if it answers neither ARP on one of the wires nor a connection to its SSH server,
        and also if it answers ARP, for which interrupts will do, but no program comes to its end.
        What it has written on its console by then has been looked at. One that a debugger has
        stopped is asked nothing. Raises InfrastructureError if a thread of the harness is broken,
        so that nothing is known of the guest.
        """
        background.check()
        self._diagnosis.check()
        hangs = "" if self._held() else self._hangs()
        # It may have crashed over the question.
        self._look_at_console()
        # A debugger may have stopped it over the question, too.
        if hangs and not self._held():
            self._diagnosis.check_running(self.qmp)
            where = position.find(self.qmp, self.console, self._diagnosis.place)
            raise self._diagnosis.error("hang", f"{hangs}; {where}")

    def runs_programs(self) -> bool:
        """Whether the guest runs a program that is asked for: that which serves a login, here.

        Where rules let nobody in, the shell on its console is asked.
        """
        return login.answers(self.account.port, _ALIVE_SECONDS) or self.shell.answers()

    def barrier(self) -> None:
        """Wait until the guest has dealt with all that was sent to it, and its answer is captured.

        Covers what comes in on one wire and goes out on the other, in both directions; not what
        a program in the guest still holds.
        """
        for wire in (*self.wires, self.wires[0]):
            wire.barrier()

    def snapshot(self, name: str) -> None:
        """Keep the guest as it is now, without any SSH session, under `name`."""
        self._log_out()
        self.qmp.save(name)

    def write_snapshots(self, target: Path) -> None:
        """Write all snapshots to the file `target`, for `MachineSpec.begin_from`; they are gone
        here.
        """
        self.qmp.close_snapshots()
        snapshotfile.write(self._memory, target)

    def restore(self, name: str) -> None:
        """Bring the guest back as `snapshot(name)` kept it, and let it go on. As `put_back`."""
        self.put_back(name)
        self.resume()

    def put_back(self, name: str) -> None:
        """Bring the guest back as `snapshot(name)` kept it, be it crashed or hung, and stopped.

        Frames that are on their way are dropped, and captures cleared. Raises InfrastructureError
        if there is no such snapshot, GuestLostError if QEMU itself has ended, or if the guest has
        crashed since `check()`, of which nobody would ever know.
        """
        if self.console.closed or self.console.flooded:
            self._diagnosis.check()
        try:
            self._put_back(name)
        except GuestLostError:
            # Why QEMU has ended is on the console, if anywhere.
            self._diagnosis.check()
            if self.emulator.stopped:
                self._diagnosis.check_running(self.qmp)
            raise

    def _put_back(self, name: str) -> None:
        self._log_out()
        for wire in self.wires:
            self.qmp.link(wire.name, up=False)
        self.qmp.load(name)
        for wire in self.wires:
            wire.discard()
            self.qmp.link(wire.name, up=True)
            wire.resume()
        # It is stopped, and says nothing more.
        self.console.settle()
        if self._diagnosis.overlooked:
            self._diagnosis.check()
        self.console.forget()

    def resume(self) -> None:
        """Let the guest go on."""
        self.qmp.resume()

    def _look_at_console(self) -> None:
        """What `Diagnosis.check` raises, of all that the guest has written until now."""
        self.console.settle()
        self._diagnosis.check()

    def keep(self) -> Kept:
        """Leave the guest running, also after the end of this process, and say how to find it.

        At the far ends of its wires there are hosts that answer ARP and pings, and that other
        processes can send from (harness.guest.wiretap). This object is of no further use.
        """
        self._log_out()
        spec = self.spec
        kept = keep(
            spec.variant,
            spec.folder,
            self.emulator,
            self.console,
            self.account,
            wires=self.wires,
        )
        self.stop()
        return kept

    def _launch(self, stack: ExitStack) -> None:
        spec = self.spec
        spec.folder.mkdir(parents=True, exist_ok=True)
        # The guest shall not be blamed for what the disk has made of its files.
        for file in (spec.kernel, spec.initrd):
            store.verify(file)
        if spec.accelerator:
            chosen = accelerator.Accelerator(spec.accelerator, "asked for")
        else:
            chosen = accelerator.choose(spec.kernel, spec.initrd, spec.hardware)
        self.accelerator, self.accelerator_reason = chosen.name, chosen.reason
        near_qmp, far_qmp = _pair(stack, socket.SOCK_STREAM)
        cables = [_pair(stack, socket.SOCK_DGRAM) for _ in LINKS]
        source = spec.begin_from
        memory = (
            snapshotfile.begun(spec.folder, source) if source else snapshotfile.create(spec.folder)
        )
        stack.callback(os.close, memory)
        self._memory = memory
        qemu_spec = QemuSpec(
            kernel=spec.kernel,
            accelerator=chosen.name,
            memory_mib=spec.hardware.memory_mib,
            hardware=spec.hardware,
            initrd=spec.initrd,
            qmp_fd=far_qmp.fileno(),
            snapshot_fd=memory,
            wire_fds=tuple(far.fileno() for _, far in cables),
            append=spec.append,
            traced=spec.traced,
            trace_file=spec.trace_file,
            gdb_fd=spec.gdb_fd,
            stopped=source is not None,
        )
        launch = time.monotonic()
        self._start(stack, qemu_spec)
        # QEMU has its own now; while ours were open, QEMU's end would not end the connection.
        far_qmp.close()
        self.wires = self._plug_in(stack, cables)
        self.console.subscribe(self._in_trouble)
        try:
            self.qmp = stack.enter_context(Qmp(near_qmp))
            self.account = Account(self.qmp.ssh_port(), spec.private_key, spec.host_key)
            if source is not None:
                self.qmp.begin(source.stem)
            else:
                self._wait_for_mark()
        except GuestLostError:
            self._diagnosis.check()
            raise
        stack.callback(self._close_ssh)
        self._ssh = self._log_in()
        if source is not None:
            renewal.renew(self._ssh)
        self.boot_seconds = time.monotonic() - launch

    def _start(self, stack: ExitStack, qemu_spec: QemuSpec) -> None:
        spec = self.spec
        self.emulator = Emulator(qemu_spec, spec.folder / "qemu.log")
        stack.callback(self.emulator.close)
        # What is asked of this guest takes its time from here.
        pid = self.emulator.process.pid
        stack.enter_context(standing_still(Stall(pid).seconds))
        stack.enter_context(standing_still(stack.enter_context(Stops(pid)).seconds))
        (spec.folder / "qemu.command").write_text(shlex.join(self.emulator.arguments) + "\n")
        self.console = Console(
            self.emulator.console_fd, spec.folder / "console.log", tee=self._on_console
        )
        self.shell = ConsoleShell(self.console, self.emulator.console_fd)
        # In reverse: QEMU is killed, the last of its console is read, the terminal is closed.
        stack.callback(self.console.join, _CONSOLE_END_SECONDS)
        stack.callback(self.emulator.kill)
        self._diagnosis = Diagnosis(
            spec.variant, self.console, self.emulator, symbols.load(spec.system_map)
        )

    def _plug_in(
        self, stack: ExitStack, cables: list[tuple[socket.socket, socket.socket]]
    ) -> tuple[Wire, Wire]:
        wires = []
        for link, (near, far) in zip(LINKS, cables, strict=True):
            wire = Wire(link, near, far, self.check)
            stack.callback(wire.close)
            wires.append(wire)
        first, second = wires
        return first, second

    def _wait_for_mark(self) -> None:
        session = self.emulator.process.pid
        deadline = OwnDeadline(BOOT_SECONDS, "DIVERT-GUEST-READY on the console", session)
        try:
            line = self.console.wait_for(accelerator.READY_MARK, deadline)
        except DeadlineError as error:
            self._diagnosis.check_running(self.qmp)
            raise self._diagnosis.error("no boot", str(error)) from error
        if line is None:
            self._diagnosis.check()

    def _in_trouble(self) -> None:
        """Called from the console's thread: end all waits, and a guest that floods its console."""
        if self.console.flooded:
            self.emulator.kill()
        for wire in self.wires:
            wire.interrupt()
        ssh = self._ssh
        if ssh is not None:
            ssh.interrupt()

    def _log_in(self) -> Ssh:
        ssh = Ssh(self.account, self.check)
        try:
            # Before the session is there, a crash has to end the login all the same.
            self._ssh = ssh
            if self.console.in_trouble:
                self._diagnosis.check()
            ssh.connect()
        except BaseException:
            self._ssh = None
            ssh.close()
            raise
        return ssh

    def _log_out(self) -> None:
        """End the SSH session, in the guest too if it is still able to."""
        ssh, self._ssh = self._ssh, None
        if ssh is not None:
            if not self.console.in_trouble:
                ssh.log_out()
            ssh.close()

    def _close_ssh(self) -> None:
        ssh, self._ssh = self._ssh, None
        if ssh is not None:
            ssh.close()

    def _held(self) -> bool:
        """Whether a debugger has stopped the guest."""
        return self.spec.gdb_fd is not None and self.qmp.state() in (PAUSED, DEBUG)

    def _hangs(self) -> str:
        """In what the guest hangs; "" if it is well."""
        if any(wire.probe(_ALIVE_SECONDS) for wire in self.wires):
            return "" if self.runs_programs() else "it answers ARP, and ends no program"
        # A test may have closed both wires, or dropbear; a guest without all three is of no use.
        answers = login.answers(self.account.port, _ALIVE_SECONDS)
        return "" if answers else "it answers neither ARP nor SSH"


def _pair(stack: ExitStack, kind: socket.SocketKind) -> tuple[socket.socket, socket.socket]:
    near, far = socket.socketpair(socket.AF_UNIX, kind)
    stack.callback(near.close)
    stack.callback(far.close)
    return near, far
