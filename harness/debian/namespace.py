# SPDX-License-Identifier: GPL-2.0-only
"""Programs in mount and process namespaces of their own, of which nothing is left afterwards.

The first process in there is a shell that mounts what is asked for and runs one command. Its
standard input is a pipe of ours and its lifeline: when we close it, or end in any way (SIGKILL
too), everything in there is killed, and the mounts go with it. The host sees none of the mounts.
"""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base.errors import InfrastructureError

PROBE_SECONDS = 20.0
# To kill and reap everything in there; it is milliseconds.
END_SECONDS = 30.0
REMOVE_SECONDS = 300.0

# The status of a command that could not be begun, as env(1) and chroot(1) have it.
NOT_BEGUN = 125

_OWN = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
# Without root: in a user namespace, in which we are root, and other users are those that
# /etc/subuid lends us. A package's files and apt-get's sandbox are other users'.
_LENT = (*_OWN, "--user", "--map-root-user", "--map-auto")

_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"

# A new network namespace has a loopback interface that is down: SIOCSIFFLAGS, IFF_UP | IFF_RUNNING.
_LOOPBACK_UP = (
    "import fcntl, socket, struct; fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), "
    "0x8914, struct.pack('16sH14x', b'lo', 0x41))"
)


@dataclass(frozen=True)
class Mount:
    """A file or folder of the host that is seen at `target` too."""

    source: Path
    target: Path
    read_only: bool = False


@dataclass(frozen=True)
class Inside:
    """Where a command runs: below `root`, or in the host's own tree if there is none.

    `user` is the number of a user and its group; `network` whether the host's is there; `yes`
    whether it is answered so whatever it asks.
    """

    root: Path | None = None
    mounts: tuple[Mount, ...] = ()
    user: int = 0
    network: bool = True
    yes: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its status, after how many seconds, and whether its time was over."""

    status: int
    seconds: float
    late: bool = False


def argv(inside: Inside, command: str, unshare: Sequence[str] = _OWN) -> list[str]:
    """The command line that runs the shell command `command` in there."""
    own = [*unshare, *(() if inside.network else ("--net",))]
    return [*own, "sh", "-c", script(inside, command)]


def script(inside: Inside, command: str) -> str:
    """What the first process does, as a shell's script."""
    # Not what we happen to have: mounts and files are for all users in there.
    begin = [
        "umask 022",
        "exec 3<&0 </dev/null",
        "{ read -r _ <&3; kill -KILL -1; } &",
        "exec 3<&-",
    ]
    steps = [] if inside.root else ["mount -t proc proc /proc"]
    if inside.root:
        root = shlex.quote(str(inside.root))
        steps += [
            f"mount -t proc proc {root}/proc",
            f"mount --rbind /sys {root}/sys",
            f"mount --rbind /dev {root}/dev",
        ]
    for each in inside.mounts:
        source, target = shlex.quote(str(each.source)), shlex.quote(str(each.target))
        steps.append(f"mount --bind {source} {target}")
        if each.read_only:
            steps.append(f"mount -o remount,bind,ro {target}")
    if not inside.network:
        steps.append(shlex.join([sys.executable, "-c", _LOOPBACK_UP]))
    words = ["sh", "-c", command]
    if inside.root:
        of_whom = [f"--userspec={inside.user}:{inside.user}"] if inside.user else []
        # By its path: that of the command's environment may be a user's, without sbin.
        chroot = shutil.which("chroot", path=f"{os.environ.get('PATH', '')}:{_SBIN}") or "chroot"
        words = [chroot, *of_whom, str(inside.root), "/bin/sh", "-c", command]
    last = f"{'yes | ' if inside.yes else ''}{shlex.join(words)}"
    # Not its last command, or some shells would become it: somebody has to reap orphans.
    return "\n".join([*begin, *(f"{step} || exit {NOT_BEGUN}" for step in steps), last, "exit $?"])


@functools.cache
def unshare() -> tuple[str, ...]:
    """How such namespaces are made here: as root, or without.

    Raises InfrastructureError with the reason, if this machine does not let us.
    """
    reasons: list[str] = []
    ways = (_OWN, _LENT) if os.geteuid() == 0 else (_LENT,)
    for way in ways:
        try:
            done = subprocess.run(
                [*way, "--mount-proc", "true"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=PROBE_SECONDS,
                check=False,
            )
        except OSError as error:
            reasons.append(f"cannot start unshare: {error.strerror}")
            continue
        except subprocess.TimeoutExpired:
            reasons.append(f"unshare did not end within {PROBE_SECONDS:g} s")
            continue
        if done.returncode == 0:
            return way
        reasons += done.stderr.strip().splitlines()[-1:] or [f"status {done.returncode}"]
    raise InfrastructureError(
        f"this machine lets us have no namespaces of our own ({'; '.join(reasons)})",
        "run this as root on a machine or a container that may (--privileged); or as a user with "
        "a range in /etc/subuid and /etc/subgid, and the package uidmap",
    )


def run(
    inside: Inside,
    command: str,
    *,
    log: Path,
    seconds: float,
    env: Mapping[str, str],
) -> Outcome:
    """Run `command` in there, its output appended to `log`, with nothing of our environment.

    Everything in there has ended when this returns or raises, by a KeyboardInterrupt too. Raises
    InfrastructureError if there can be no namespaces.
    """
    words = argv(inside, command, unshare())
    begin = time.monotonic()
    late = False
    with log.open("ab") as stream:
        process = subprocess.Popen(
            words,
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=subprocess.STDOUT,
            # Ctrl-C at a terminal is for us alone, who end the rest.
            start_new_session=True,
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            late = True
        finally:
            _end(process)
    return Outcome(process.returncode, time.monotonic() - begin, late)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let go of the lifeline. Without it unshare is told, and its death kills the rest as well."""
    if process.stdin:
        process.stdin.close()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(END_SECONDS)


def remove(folder: Path) -> None:
    """Remove a folder with files of whatever owner. No mount of a live namespace is seen from here.

    Raises InfrastructureError if something stays.
    """
    if not folder.exists():
        return
    done = subprocess.run(
        [*unshare(), "rm", "-rf", "--one-file-system", str(folder)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=REMOVE_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise InfrastructureError(
            f"cannot remove {folder}: {(done.stderr.splitlines() or ['no reason given'])[0]}",
            "see what still uses it, and remove it",
        )
