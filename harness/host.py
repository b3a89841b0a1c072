# SPDX-License-Identifier: GPL-2.0-only
"""What the host has and lacks, and how it gets what it lacks."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass

from harness import command, compiler, paths, terminal
from harness.errors import InfrastructureError

PROBE_SECONDS = 30.0
UPDATE_SECONDS = 600.0
INSTALL_SECONDS = 1800.0

_NONINTERACTIVE = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
# Unattended upgrades hold the lock for minutes after a machine has come up.
_APT_GET = ("apt-get", "-qy", "-o", "DPkg::Lock::Timeout=300")


@dataclass(frozen=True)
class Need:
    """Something that the host must have, as harness/data/host.toml describes it."""

    name: str
    package: str
    reason: str
    version: tuple[str, ...]
    flags: tuple[str, ...]
    compile: str


def load() -> tuple[Need, ...]:
    """All that the host needs, in the order of the file."""
    with (paths.DATA / "host.toml").open("rb") as stream:
        data = tomllib.load(stream)
    return tuple(
        Need(
            name,
            row["package"].format(gcc=compiler.package()),
            row["reason"],
            tuple(row.get("version", ())),
            tuple(row.get("flags", ())),
            row.get("compile", ""),
        )
        for name, row in data.items()
    )


def has(need: Need) -> bool:
    """Whether the host has it: a program in PATH, or a compiler that can compile what it must."""
    if not need.compile:
        return where(need) != ""
    argv = [compiler.name(), *need.flags, "-x", "c", "-", "-o", "/dev/null"]
    try:
        done = subprocess.run(
            argv,
            input=need.compile.encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def program(need: Need) -> str:
    """What to call for it; of the compilers, the one that is chosen."""
    return compiler.name() if need.name == "gcc" else need.name


def where(need: Need) -> str:
    """The path of its program; empty if it is not in PATH, or none."""
    return shutil.which(program(need)) or ""


def missing() -> tuple[Need, ...]:
    """What the host lacks."""
    return tuple(need for need in load() if not has(need))


def install_command(needs: Sequence[Need]) -> list[str]:
    """The command that installs the packages of `needs` on Debian and Ubuntu."""
    packages = sorted({need.package for need in needs})
    return [*_APT_GET, "install", "--no-install-recommends", *packages]


def setup(*, check_only: bool = False) -> None:
    """Install what the host lacks, after saying what and why. Says so if it lacks nothing.

    Raises InfrastructureError with the one command to run if this process is not root's, or
    `check_only` is set; with the programs' names where there is no apt-get; and if apt-get fails.
    """
    needs = missing()
    if not needs:
        terminal.say("this host has all the programs that are needed")
        return
    terminal.say("this host lacks:")
    for need in needs:
        terminal.say(f"  {need.name} (package {need.package}): {need.reason}")
    if platform.machine() not in {"x86_64", "i686"}:
        raise InfrastructureError(
            f"compilers for 32-bit x86 code are not packaged for {platform.machine()}",
            "use an x86-64 machine",
        )
    if shutil.which("apt-get") is None:
        names = ", ".join(need.name for need in needs)
        raise InfrastructureError(
            f"this host lacks {names}, and has no apt-get to install them with",
            "install what has them by this system's own means, then run this again",
        )
    if check_only or os.geteuid() != 0:
        packages = sorted({need.package for need in needs})
        raise InfrastructureError(
            f"this host lacks {', '.join(packages)}",
            f"run: sudo apt-get install {shlex.join(packages)}",
        )
    _install(needs)
    if still := missing():
        names = ", ".join(f"{need.name} ({need.package})" for need in still)
        raise InfrastructureError(
            f"apt-get has installed the packages, and the host still lacks {names}",
            "see whether they are in PATH: ./inv doctor",
        )
    terminal.say("installed; this host has all the programs that are needed")


def _install(needs: Sequence[Need]) -> None:
    log = command.log_of("setup")
    argv = install_command(needs)
    terminal.say(f"running: {shlex.join(argv)}")
    try:
        command.run(
            [*_APT_GET, "update"],
            what="apt-get update",
            log=log,
            seconds=UPDATE_SECONDS,
            env=_NONINTERACTIVE,
        )
    except InfrastructureError as error:
        # A list that could not be had is often not the one that is needed now.
        terminal.say(f"{error.message}\ntrying all the same")
    command.run(argv, what="apt-get install", log=log, seconds=INSTALL_SECONDS, env=_NONINTERACTIVE)


def version(need: Need) -> str:
    """What the program says its version is; empty if it does not say or is not there."""
    if not need.version:
        return ""
    try:
        done = subprocess.run(
            [program(need), *need.version],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = done.stdout.decode(errors="replace").splitlines()
    return next((line.strip() for line in lines if any(map(str.isdigit, line))), "")


def table() -> terminal.Grid:
    """All needs with where each is, or what package would bring it."""
    rows = terminal.Grid("needed", "", "where", "version or package")
    for need in load():
        if has(need):
            rows.row(need.name, "ok", where(need), version(need))
        else:
            missing = terminal.text("missing", style="red")
            rows.row(need.name, missing, need.reason, f"package {need.package}")
    return rows
