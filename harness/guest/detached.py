# SPDX-License-Identifier: GPL-2.0-only
"""Guests that outlive the run which started them: what is known of them, on disk.

Run as a program, `python -m harness.guest.detached VARIANT FD LOG SECONDS NEAR FAR NEAR FAR`, it
goes on keeping the console of such a guest: the terminal with the descriptor FD, into the file LOG,
launched SECONDS ago. While it holds the terminal, QEMU is not hung up; it ends with QEMU. The other
descriptors are the ends of its wires: there it is both far hosts (harness.guest.wiretap).
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.base import paths
from harness.base.errors import GuestError
from harness.guest import wiretap
from harness.guest.console import Console
from harness.guest.emulator import Emulator
from harness.guest.login import Account
from harness.network.addresses import LINKS
from harness.network.wire import Wire

RECORD = "kept.json"


@dataclass(frozen=True)
class Kept:
    """A guest left running: its QEMU, told from a later process of that number by `began`.

    `login` is an ssh command line, `folder` has console.log.
    """

    variant: str
    pid: int
    began: str
    port: int
    login: str
    folder: str

    @property
    def console_log(self) -> Path:
        """The file to which its console goes."""
        return Path(self.folder) / "console.log"

    @property
    def runs(self) -> bool:
        """Whether it is still there."""
        return bool(self.began) and _began(self.pid) == self.began


def keep(
    variant: str,
    folder: Path,
    emulator: Emulator,
    console: Console,
    account: Account,
    *,
    wires: Sequence[Wire] = (),
) -> Kept:
    """Make a guest independent of this process, and write down how to find it.

    The guest's console and wires are from now on another's. Raises GuestError if QEMU has ended.
    """
    began = _began(emulator.process.pid)
    if emulator.status is not None or not began:
        raise GuestError(f"there is nothing to keep: {emulator.ending()}")
    known_hosts = folder / "known_hosts"
    account.write_known_hosts(known_hosts)
    console.stop()
    ends = [end for wire in wires for end in wire.hand_over()]
    follower = [sys.executable, "-m", "harness.guest.detached", variant]
    follower += [str(emulator.console_fd), str(console.log), str(console.age), *map(str, ends)]
    subprocess.Popen(
        follower,
        cwd=paths.ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(emulator.console_fd, *ends),
        start_new_session=True,
    )
    emulator.release()
    kept = Kept(
        variant=variant,
        pid=emulator.process.pid,
        began=began,
        port=account.port,
        login=account.command_line(known_hosts),
        folder=str(folder),
    )
    (folder / RECORD).write_text(json.dumps(asdict(kept), indent=2) + "\n")
    return kept


def running(runs: Path | None = None) -> list[Kept]:
    """The guests below `runs`, or of this checkout, that still run; the one kept last first."""
    runs = runs or paths.RUNS
    records = sorted(runs.rglob(RECORD), key=lambda path: path.stat().st_mtime, reverse=True)
    every = (Kept(**json.loads(path.read_text())) for path in records)
    return [kept for kept in every if kept.runs]


def _began(pid: int) -> str:
    """When process `pid` was started, in the kernel's ticks since boot; empty if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    # proc(5): the name, which may hold anything, is in parentheses; the start is field 22.
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]


def _follow(variant: str, fd: int, log: Path, age: float, ends: Sequence[int]) -> None:
    console = Console(fd, log, age=age, limit=sys.maxsize)
    with ExitStack() as stack:
        wires = []
        for link, near, far in zip(LINKS, ends[::2], ends[1::2], strict=False):
            wires.append(Wire(link, socket.socket(fileno=near), socket.socket(fileno=far)))
            stack.callback(wires[-1].close)
        if wires:
            stack.enter_context(wiretap.Server(variant, log.parent, wires))
        console.join(None)


if __name__ == "__main__":
    _variant, _fd, _log, _age, *_ends = sys.argv[1:]
    _follow(_variant, int(_fd), Path(_log), float(_age), [int(end) for end in _ends])
