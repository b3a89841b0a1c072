# SPDX-License-Identifier: GPL-2.0-only
"""That no other user of this host reaches a guest, its keys or its snapshots: tried, and looked up.

A guest is booted for it. What needs no rights is tried by a process that has no key; what the host
refuses is tried by one of another user's (harness/check/stranger.py), which only root can start.
What can be read off modes and tables of the host is looked up by whoever runs this.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from harness.base import paths
from harness.base.errors import HarnessError, InfrastructureError, UnavailableError
from harness.boot import bootable
from harness.boot.bootable import Bootable
from harness.check.steps import Counts, Step, StepResult
from harness.check.stranger import Attempt, Target
from harness.guest import agent
from harness.guest.agent import AgentAddress
from harness.guest.machine import Machine
from harness.interactive import session
from harness.matrix import variants

NAME = "other users"

# nobody's, on every Linux.
STRANGER = 65534
# A dozen logins, each refused, of a quarter of a second.
STRANGER_SECONDS = 120.0

_SOCKET = re.compile(r"socket:\[(\d+)\]")
_LOOPBACK = "0100007F"


def other_users(given: Sequence[str], _require: Sequence[str]) -> StepResult:
    """Boot a guest, and see that none but us can reach it; each thing tried counts as a test.

    Skipped where no kernel can be had. What only another user can try is skipped, with the reason,
    where this process cannot start one.
    """
    begin = time.monotonic()
    counts, output, note = Counts(), "", ""
    try:
        with session.boot("neighbours", _any(given)) as machine:
            address = agent.start(machine.ssh, machine.qmp)
            attempts, note = _attempts(machine, address)
            # Whoever was refused has done nothing to it.
            machine.check()
        failed = [each for each in attempts if not each.refused]
        counts = Counts(passed=len(attempts) - len(failed), failed=len(failed))
        counts += Counts(skipped=int(bool(note)))
        output = "\n".join(f"another user is able {each.what}" for each in failed)
    except UnavailableError:
        counts = Counts(skipped=1)  # `guest_tests` tells why.
    except InfrastructureError as error:
        counts, output = Counts(unbuilt=1), f"it could not be tried: {error}"
    except HarnessError as error:
        counts, output = Counts(failed=1), f"the guest did not survive it: {error}"
    return StepResult(Step(NAME, ()), counts, time.monotonic() - begin, output, note)


def _any(given: Sequence[str]) -> Bootable:
    """The first base kernel that can be had. Raises UnavailableError if there is none."""
    bases = [row for row in variants.select() if row.short == "base"]
    for row in bases[:-1]:
        try:
            return bootable.build(row, given)
        except UnavailableError:
            continue
    return bootable.build(bases[-1], given)


def _attempts(machine: Machine, address: AgentAddress) -> tuple[list[Attempt], str]:
    """All that was tried and looked up, and why something was not, in words."""
    qemu = machine.emulator.process.pid
    target = Target(
        ssh_port=machine.account.port,
        agent_port=address.port,
        processes=(qemu, os.getpid()),
        terminal=str(Path(f"/proc/{qemu}/fd/0").readlink()),
        secret=tuple(map(str, _secret(machine))),
        ours=tuple(dict.fromkeys(map(str, _ours(machine)))),
    )
    found = [*_by_mode(target), *_by_tables(target, address.token)]
    if reason := _no_stranger():
        return [*found, *_try(target)], (
            f"Whether another user reaches a guest was looked up, not tried: {reason}; run as root"
        )
    return [*found, *_try(target, STRANGER)], ""


def _secret(machine: Machine) -> Iterator[Path]:
    """What whoever has it can pass for us with, or for the guest."""
    spec = machine.spec
    yield spec.initrd
    keys = spec.private_key.parent
    yield keys
    yield from keys.iterdir()
    yield from (paths.BUILD / "ready").glob("*/*")


def _ours(machine: Machine) -> Iterator[Path]:
    """What decides what runs, and what is believed of it; and all folders above these."""
    spec = machine.spec
    files = [
        *(spec.kernel, spec.initrd, spec.private_key, Path(sys.executable)),
        *(paths.HARNESS, paths.TESTS, paths.ROOT / "inv"),
        *spec.folder.rglob("*"),
    ]
    roots = {paths.ROOT, paths.cache_dir()}
    for file in files:
        yield file
        for folder in file.parents:
            if any(folder.is_relative_to(root) for root in roots):
                yield folder


def _no_stranger() -> str:
    """Why another user's process cannot be started here; "" if it can."""
    if os.geteuid() != 0:
        return "only root can be another user"
    try:
        # As the user himself: the program is one that everybody can run.
        subprocess.run(
            ["true"], user=STRANGER, group=STRANGER, extra_groups=[], timeout=10, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"this root cannot be the user {STRANGER} ({error})"
    return ""


def _try(target: Target, uid: int | None = None) -> list[Attempt]:
    """What a stranger's process tried. Raises InfrastructureError if it did not come to its end."""
    argv = [sys.executable, "-m", "harness.check.stranger", *([str(uid)] if uid else [])]
    try:
        done = subprocess.run(
            argv,
            cwd=paths.ROOT,
            input=json.dumps(asdict(target)),
            capture_output=True,
            text=True,
            timeout=STRANGER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InfrastructureError(
            f"the process of another user did not end within {STRANGER_SECONDS:g} s"
        ) from None
    if done.returncode != 0:
        raise InfrastructureError(
            f"the process of another user ended with status {done.returncode}", done.stderr[-2000:]
        )
    return [Attempt(**row) for row in json.loads(done.stdout)]


def _by_mode(target: Target) -> Iterator[Attempt]:
    """What the modes of files say: what is secret is ours alone, what is ours is a group's at most,
    whose members its owner has chosen.
    """
    for what, mask, names in (
        ("to get at", 0o077, (*target.secret, target.terminal)),
        ("to write", 0o002, target.ours),
    ):
        for name in names:
            mode = Path(name).stat().st_mode & 0o7777
            yield Attempt(f"{what} {name}, by its mode", "" if mode & mask else f"mode {mode:o}")


def _by_tables(target: Target, token: str) -> Iterator[Attempt]:
    """What /proc tells of our processes: words on command lines, and where they listen."""
    for pid in target.processes:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        told = token.encode() in words
        yield Attempt(f"to see the token on the command line of {pid}", "" if told else "not there")
    sockets = _sockets(target.processes[0])
    ports = sorted(f"{_LOOPBACK}:{port:04X}" for port in (target.ssh_port, target.agent_port))
    found = _listening(sockets)
    what = f"to send to QEMU at {', '.join(found)}, where that is to be {', '.join(ports)}"
    yield Attempt(what, "this host alone" if found == ports else "")
    named = [words[7] for words in _table("unix") if len(words) > 7 and words[6] in sockets]
    what = f"to connect to a socket of QEMU's by its name {', '.join(named)}".rstrip()
    yield Attempt(what, "" if named else "none has a name")


def _sockets(pid: int) -> set[str]:
    """The inodes of the sockets that a process has open."""
    links = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # It is closed meanwhile.
            links.append(str(path.readlink()))
    return {found[1] for link in links if (found := _SOCKET.fullmatch(link))}


def _listening(inodes: set[str]) -> list[str]:
    """Of these sockets, the addresses of those that anybody can send to (TCP that listens, UDP)."""
    found = []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for words in _table(table):
            if words[9] in inodes and (table.startswith("udp") or words[3] == "0A"):
                found.append(words[1])
    return sorted(found)


def _table(name: str) -> list[list[str]]:
    """The rows of a table of /proc/net; none if this kernel has not got it."""
    try:
        lines = Path("/proc/net", name).read_text().splitlines()
    except OSError:
        return []
    return [line.split() for line in lines[1:]]
