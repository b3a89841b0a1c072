# SPDX-License-Identifier: GPL-2.0-only
"""One guest for one person: a command in it, a shell, its console."""

from __future__ import annotations

import _thread
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

from harness.base import occupancy, paths, runfolder, streams, terminal
from harness.base.errors import (
    GuestError,
    HarnessError,
    InfrastructureError,
    NoRoomError,
    ReaderGoneError,
    UserError,
)
from harness.boot import bootable
from harness.boot.bootable import Bootable
from harness.guest import detached, ready, wiretap
from harness.guest.machine import Machine, MachineSpec
from harness.interactive.ownwires import Plan, Sender, recorded
from harness.interactive.relay import Relay
from harness.matrix import variants
from harness.network.addresses import LINKS

NO_PLAN = Plan()

# Ctrl-], as in telnet.
_LEAVE = b"\x1d"


def run(
    variant: str,
    put: Sequence[str],
    words: Sequence[str],
    given: Sequence[str] = (),
    *,
    tools: bool = False,
    plan: Plan = NO_PLAN,
    cold: bool = False,
) -> int:
    """Boot a guest, put files into its /root, run a command there; the command's exit status.

    The words of the command stay the words that they are; one word alone is a line for the guest's
    shell. Standard input, output and error are passed through, and so are, on standard error, the
    console lines of that time. Files keep their mode. Packets of `plan` are sent meanwhile, and far
    hosts answer pings; what passes on the wires is kept where it says.

    Raises UserError for a missing command or file, for two files of one name, for files that the
    guest has no room for, and if nothing of the plan was sent; GuestError if the guest is lost.
    """
    line = words[0] if len(words) == 1 else shlex.join(words)
    if not line.strip():
        raise UserError("no command to run", "as in: ./inv run --variant base -- ipchains -L -n")
    files = files_of(put)
    with guest("run", variant, given, tools=tools, cold=cold) as machine:
        if files:
            _require_room(files, machine, variant)
        for file in files:
            machine.ssh.put(file, place(file), mode=file.stat().st_mode & 0o777)
        machine.console.tee = ConsoleLines()
        sender = Sender(plan, machine)
        channel = machine.ssh.open_channel()
        with wiretap.Server(variant, machine.spec.folder, machine.wires), recorded(plan, machine):
            # The shell stays, and tells of a signal as 128 + its number. A word may be no text.
            channel.exec_command(f"{line}\nexit $?".encode(errors="surrogateescape"))
            sender.begin(channel.close)
            try:
                status = Relay(machine, sender.hear).command(channel)
            finally:
                sender.end()
        # A command may end well in a guest that does not.
        machine.check()
        return status


def shell(
    variant: str, given: Sequence[str] = (), *, tools: bool = False, cold: bool = False
) -> int:
    """Log in to a fresh guest, which ends with the shell; the shell's exit status.

    Without a terminal on standard input, the shell's commands are read from there.
    """
    _require_input()
    with (
        guest("shell", variant, given, tools=tools, cold=cold) as machine,
        far_hosts(machine),
    ):
        channel = machine.ssh.open_channel()
        if sys.stdin.isatty():
            return Relay(machine).terminal(channel)
        channel.exec_command("sh -s\nexit $?")
        return Relay(machine).command(channel)


def console(variant: str | None, given: Sequence[str] = (), *, tools: bool = False) -> None:
    """Show the serial console: of a fresh guest of `variant`, or of the one kept last.

    What is typed goes to a fresh guest's console, until Ctrl-] or the end of input. Raises
    UserError if none is kept.
    """
    if variant is None:
        _follow_kept()
        return
    _require_input()
    terminal.say("the console of a fresh guest; Ctrl-] ends it")
    with (
        guest("console", variant, given, on_console=_write_out, tools=tools) as machine,
        far_hosts(machine),
    ):
        Relay(machine).console(_LEAVE)


@contextmanager
def far_hosts(machine: Machine) -> Iterator[None]:
    """Hosts on both wires that answer, and that other terminals can send from."""
    with wiretap.Server(machine.spec.variant, machine.spec.folder, machine.wires):
        hosts = " and ".join(f"{link.host_ip} on {link.interface}" for link in LINKS)
        terminal.say(f"{hosts} answer; from another terminal: ./inv ping, ./inv send")
        yield


@contextmanager
def guest(
    kind: str,
    variant: str,
    given: Sequence[str],
    on_console: Callable[[bytes], object] | None = None,
    *,
    tools: bool = False,
    cold: bool = True,
) -> Iterator[Machine]:
    """A fresh guest of `variant`, built if need be, as `boot` has it; with Python, tcpdump and
    strace, if it is to have `tools`.

    Raises UserError for an unknown variant, and for tools in a kernel that is too old for them;
    InfrastructureError if it does not build.
    """
    row = variants.named(variant)
    if tools:
        # Before minutes of building.
        bootable.require_tools(row)
    built = bootable.build(row, given)
    if tools:
        built = built.with_tools()
    with boot(kind, built, on_console, cold=cold) as machine:
        yield machine


@contextmanager
def boot(
    kind: str,
    built: Bootable,
    on_console: Callable[[bytes], object] | None = None,
    *,
    cold: bool = True,
) -> Iterator[Machine]:
    """A fresh guest of what was built, in a folder of its own below build/runs/.

    `kind` is the end of the folder's name: the task's. One that is not to begin `cold` goes on from
    a snapshot of one that has booted (harness.guest.ready).
    """
    with started(machine_spec(built, new_folder(kind)), on_console, cold=cold) as machine:
        yield machine


@contextmanager
def started(
    spec: MachineSpec,
    on_console: Callable[[bytes], object] | None = None,
    *,
    cold: bool = True,
) -> Iterator[Machine]:
    """The guest of `spec`, which is said to boot, and then how long that took."""
    with ExitStack() as stack:
        booting = terminal.activity(f"guest {spec.variant}: booting", said=False)
        # Who looks at the console sees for himself.
        with nullcontext() if on_console else booting:
            machine = _entered(stack, spec, on_console, cold=cold)
        how = " from a snapshot" if machine.spec.begin_from else ""
        terminal.say(
            f"guest {spec.variant}: logged in after {machine.boot_seconds:.2f} s under "
            f"{machine.accelerator}{how}; its console: {machine.console.log}"
        )
        yield machine


def _entered(
    stack: ExitStack,
    spec: MachineSpec,
    on_console: Callable[[bytes], object] | None,
    *,
    cold: bool,
) -> Machine:
    """The guest of `spec`, by a snapshot if it may be, and boots if that does not do."""
    if not cold:
        begun = ready.begin(spec)
        if begun.spec.begin_from:
            try:
                return stack.enter_context(Machine(begun.spec, on_console=on_console))
            except NoRoomError:
                raise
            except (InfrastructureError, GuestError, OSError) as error:
                # Of the system: another process may have removed it, or the disk be full.
                ready.give_up(begun, error)
    return stack.enter_context(Machine(spec, on_console=on_console))


def machine_spec(built: Bootable, folder: Path, accelerator: str = "") -> MachineSpec:
    """The guest that a built variant is for; its files go to `folder`. See MachineSpec."""
    return MachineSpec(
        variant=built.variant.name,
        kernel=built.bzimage,
        initrd=built.image.initrd,
        private_key=built.image.private_key,
        host_key=built.image.host_key,
        folder=folder,
        hardware=built.hardware,
        system_map=built.system_map,
        accelerator=accelerator,
    )


def new_folder(kind: str) -> Path:
    """A folder below build/runs/ for what begins now, named by the time and by `kind`.

    Raises NoRoomError if it cannot be made.
    """
    with runfolder.of_run(paths.RUNS):
        return _new_folder(kind)


def _new_folder(kind: str) -> Path:
    begin = time.strftime("%Y-%m-%d_%H.%M.%S")
    number = 1
    while True:
        folder = paths.RUNS / (f"{begin}-{kind}" + (f".{number}" if number > 1 else ""))
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            occupancy.enter(folder)
            return folder


def place(file: Path) -> str:
    """Where a file is put in a guest."""
    return f"/root/{file.name}"


def files_of(names: Sequence[str]) -> list[Path]:
    """The files to put into a guest, each of which is there, under a name of its own."""
    files: dict[str, Path] = {}
    for name in names:
        path = Path(name)
        if not path.is_file():
            raise UserError(f"--put {name}: there is no such file")
        other = files.setdefault(place(path), path)
        if not other.samefile(path):
            raise UserError(
                f"--put {other} and --put {path} would both be {place(path)} in the guest",
                "give one of them another name",
            )
    return list(files.values())


def _require_room(files: Sequence[Path], machine: Machine, variant: str) -> None:
    """Raise UserError unless the guest has room for the files: before it is full, and in vain.

    Its files are in memory, as many as fit into it.
    """
    *_, free, _percent, _where = machine.ssh.check("df -k /root").split()
    # Beside each 256 KiB and each file ext2 has a block of its own.
    wanted = sum(file.stat().st_size * 257 // 256 + 1024 for file in files)
    if wanted > int(free) * 1024:
        total = sum(file.stat().st_size for file in files)
        raise UserError(
            f"--put: {_mebibytes(total)} of files, and a guest of {variant} has room for "
            f"{_mebibytes(int(free) * 1024)}",
            "a guest's files are in its memory; those of a kernel of today have more of it",
        )


def _mebibytes(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"


def _require_input() -> None:
    if not streams.has_input():
        raise UserError(
            "standard input is closed, and this takes what is typed from there",
            "run it on a terminal, or give it a file or a pipe as its input",
        )


def _follow_kept() -> None:
    guests = detached.running()
    if not guests:
        raise UserError(
            "no guest is kept",
            "keep one: ./inv test --keep, or see a fresh one: add --variant base",
        )
    newest = guests[0]
    for each in guests:
        terminal.say(f"kept: {each.variant}, {each.login}")
        terminal.say(f"      to end it: reboot there, or here: kill {each.pid}")
    terminal.say(f"the console of {newest.variant}, until Ctrl-C or its end:")
    # tail waits for the file to grow by inotify, and ends with the process.
    argv = ["tail", "-n", "+1", "-f", f"--pid={newest.pid}", str(newest.console_log)]
    sys.stdout.flush()
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, check=False)
    if done.returncode == -signal.SIGPIPE:
        raise ReaderGoneError("")
    if done.returncode != 0:
        # tail has said why.
        raise InfrastructureError(f"tail ended with status {done.returncode}")


def _write_out(data: bytes) -> None:
    """Called from the console's thread."""
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except HarnessError:
        # Nobody can look on any more: as if by Ctrl-C. The reason is known (harness.base.streams).
        _thread.interrupt_main()


class ConsoleLines:
    """Shows console lines on standard error, each marked as such."""

    def __init__(self) -> None:
        self._rest = b""

    def __call__(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            text = line.strip(b"\r").decode(errors="replace")
            terminal.say(f"console: {text}")
