# SPDX-License-Identifier: GPL-2.0-only
"""gdb on the kernel of a fresh guest, whose packages it stops, and which nothing ends meanwhile."""

from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.base import terminal
from harness.base.errors import GuestError, InfrastructureError, UserError
from harness.boot import bootable
from harness.boot.bootable import Bootable
from harness.gdb import symbols
from harness.gdb.door import Door
from harness.gdb.script import Loaded, Script
from harness.guest import agent
from harness.guest.agent import Agent
from harness.guest.machine import Machine
from harness.guest.process import Process
from harness.interactive import session
from harness.interactive.session import ConsoleLines
from harness.kernel import debuginfo, lines, module
from harness.matrix import variants

PROGRAM = "gdb"
SCRIPT = "gdb.commands"
# What the guest says of its kernel, and its module; with the names of 2.2.12's files there is none.
_KALLSYMS = "/proc/kallsyms"
_SECTIONS = (
    "cd /sys/module/divert/sections && for name in .[a-z]*; do echo $name $(cat $name); done"
)
# A table of 100,000 names takes the guest seconds under TCG.
_NAMES_SECONDS = 120.0
# A command in the guest that was let go on when gdb ended; what takes longer ends with the guest.
_END_SECONDS = 2.0


@dataclass(frozen=True)
class Wishes:
    """What a person asks for: where to stop, a file of gdb's commands, gdb's own arguments, what is
    to run in the guest from when it is let go on, whether kernels of packages are to have lines.
    """

    breaks: tuple[str, ...] = ()
    commands: str = ""
    words: tuple[str, ...] = ()
    start: str = ""
    debug_info: bool = False


def debug(variant: str, wishes: Wishes, given: Sequence[str] = ()) -> int:
    """Boot a guest, and run gdb on its kernel, on this terminal; gdb's exit status.

    The guest ends with gdb, and has to be well then: raises GuestLostError if not. Raises UserError
    for an unknown variant or no such file; InfrastructureError without gdb.
    """
    require()
    if wishes.commands and not Path(wishes.commands).is_file():
        raise UserError(f"--command {wishes.commands}: there is no such file")
    built = bootable.build(variants.named(variant), given)
    found = files(built, debug_info=wishes.debug_info, given=given)
    with boot(built) as (machine, door), session.far_hosts(machine):
        machine.console.tee = ConsoleLines()
        return attach(machine, door, script(found, machine, door, wishes.breaks), wishes)


def require() -> None:
    """Raise InfrastructureError where there is no gdb."""
    if shutil.which(PROGRAM) is None:
        raise InfrastructureError(
            "this host lacks gdb, which nothing else here needs",
            "install the package: apt-get install gdb",
        )


@contextmanager
def boot(built: Bootable) -> Iterator[tuple[Machine, Door]]:
    """A guest, and where QEMU waits for gdb: as `session.boot` has it, in a folder of its own."""
    spec = session.machine_spec(built, session.new_folder(PROGRAM))
    with Door(spec.folder) as door, session.started(replace(spec, gdb_fd=door.fd)) as machine:
        yield machine, door


@dataclass(frozen=True)
class Files:
    """What is there of a variant before it boots: a kernel's file with symbols, if not that which
    the guest's names are put into; a module's; and sources, as Script has them.
    """

    kernel: Path | None = None
    module: Path | None = None
    moved: Mapping[str, Path] = field(default_factory=dict)
    folders: tuple[Path, ...] = ()


def files(built: Bootable, *, debug_info: bool = False, given: Sequence[str] = ()) -> Files:
    """Build, or download, what gdb reads of a variant. Raises InfrastructureError."""
    if built.kernel.sources:
        made = lines.build(built.variant, built.bzimage, given)
        moved = {lines.compiled_in(made.vmlinux): lines.patched(built.variant, given)}
        return Files(made.vmlinux, moved=moved)
    kernel = debuginfo.obtain(built.kernel, built.bzimage) if debug_info else None
    if not built.variant.module:
        return Files(kernel)
    own = module.build(bootable.distributed(built.kernel).headers)
    return Files(kernel, own.with_lines, folders=_folders())


def _folders() -> tuple[Path, ...]:
    return tuple(sorted({path.parent for path in module.sources()}))


def script(found: Files, machine: Machine, door: Door, breaks: Sequence[str] = ()) -> Script:
    """What gdb is told of this guest: symbols, sources, where it waits, where to stop.

    Raises GuestError if the guest does not tell where its module is, InfrastructureError if it
    does not name what its kernel has.
    """
    kernel = found.kernel or symbols.named(machine.spec.kernel, _names(machine))
    loaded = None
    if found.module:
        # Of today: gdb would complain of sources that a checkout has just got.
        own = machine.spec.folder / found.module.name
        shutil.copyfile(found.module, own)
        loaded = Loaded(own, sections(machine.ssh.check(_SECTIONS)))
    return Script(kernel, door.short, loaded, found.moved, found.folders, tuple(breaks))


def sections(text: str) -> dict[str, int]:
    """The addresses of a module's sections, of lines `NAME 0x...` (pure).

    Raises GuestError without that of its code.
    """
    rows = (line.split() for line in text.splitlines())
    found = {row[0]: int(row[1], 16) for row in rows if len(row) == 2}
    if not found.get(".text"):
        raise GuestError("the guest does not tell where its module is", text.strip())
    return found


def attach(machine: Machine, door: Door, told: Script, wishes: Wishes) -> int:
    """Run gdb on a guest, which stands still until gdb lets it go on; gdb's exit status.

    Afterwards the guest goes on, and is asked how it is, but for one that gdb has ended, or could
    not let go of: 128 and the signal's number is then the status. Raises GuestLostError if it is
    not well.
    """
    commands = machine.spec.folder / SCRIPT
    commands.write_text(told.text())
    process = _prepared(machine, wishes.start)
    # Of one that is stopped here, nothing is missed before there are breakpoints.
    machine.qmp.stop()
    if process is not None:
        process.send(b"go\n")
    own = [f"--command={wishes.commands}"] if wishes.commands else []
    argv = [PROGRAM, "-q", f"--command={commands}", *own, *wishes.words]
    status = _run(argv, door)
    if _ended_by_gdb(machine):
        return status
    if status < 0:
        name = signal.Signals(-status).name
        terminal.say(f"gdb was ended by {name}, and the guest with it, as gdb had left it")
        return 128 - status
    machine.qmp.resume()
    if process is not None:
        _tell(process, wishes.start)
    machine.check()
    return status


def _names(machine: Machine) -> Path:
    """A file with what the guest's table says of the kernel itself, and not of modules."""
    shell = Agent(agent.start(machine.ssh, machine.qmp), machine.check)
    try:
        text = shell.check(f"cat {_KALLSYMS}", seconds=_NAMES_SECONDS)
    finally:
        shell.close()
    file = machine.spec.folder / "kallsyms"
    lines_ = (line for line in text.splitlines() if not line.endswith("]"))
    file.write_text("".join(f"{line}\n" for line in lines_))
    return file


def _prepared(machine: Machine, line: str) -> Process | None:
    """A shell in the guest that runs `line` as soon as it reads one."""
    if not line:
        return None
    return machine.ssh.start(f"sh -c {shlex.quote(f'read -r go; {line}')}")


def _run(argv: Sequence[str], door: Door) -> int:
    """Run gdb on our terminal; its exit status, negative for a signal's number."""

    def ignore(_number: int, _frame: object) -> None:
        """Ctrl-C is gdb's. (What is ignored by SIG_IGN, a child has ignored too.)"""

    before = signal.signal(signal.SIGINT, ignore)
    try:
        sys.stdout.flush()
        with subprocess.Popen(argv, pass_fds=door.descriptors) as gdb:
            try:
                return gdb.wait()
            except BaseException:
                gdb.kill()
                raise
    finally:
        signal.signal(signal.SIGINT, before)


def _ended_by_gdb(machine: Machine) -> bool:
    """Whether gdb has ended QEMU (`kill`), as it may."""
    return machine.console.closed and "GDBstub" in machine.emulator.messages()


def _tell(process: Process, line: str) -> None:
    """Show what the command has written, and how it ended."""
    try:
        result = process.wait(_END_SECONDS)
    except GuestError:
        terminal.say(f"`{line}` still runs, and ends with the guest")
        written, errors = process.output.decode(errors="replace"), process.errors
    else:
        terminal.say(f"`{line}` ended with {result.how}")
        written, errors = result.stdout, result.stderr
    terminal.show(written.rstrip("\n"))
    for each in errors.splitlines():
        terminal.say(each)
