# SPDX-License-Identifier: GPL-2.0-only
"""What the host has and lacks. How it gets what it lacks is in setup.sh, which needs no Python."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.base import command, compiler, paths, terminal
from harness.base.datafile import Schema, Table
from harness.base.errors import InfrastructureError

SCRIPT = paths.HARNESS / "host" / "setup.sh"

PROBE_SECONDS = 30.0
# It has deadlines of its own for each apt-get; this is beyond both.
SETUP_SECONDS = 3700.0

_PYTHON = "python3"
_CERTIFICATES = "CA certificates"


@dataclass(frozen=True)
class Need:
    """Something that the host must have, as harness/host/host.toml describes it.

    `compile` is the kind of program that must compile, or empty. `task` is the only one that it is
    for, or empty; `package` then has it.
    """

    name: str
    reason: str
    version: tuple[str, ...]
    compile: str
    task: str = ""
    package: str = ""


class _Row(Table, frozen=True, kw_only=True):
    """What the file says of a need. harness/host/setup.sh reads it too, without Python."""

    package: str
    reason: str
    version: tuple[str, ...] = ()
    compile: Literal["", "native", "32-bit"] = ""
    task: str = ""


DATA = Schema(dict[str, _Row], "harness/host/host.toml")


def load() -> tuple[Need, ...]:
    """All that the host needs, and what a task alone does, in the order of the file."""
    return tuple(
        Need(name, row.reason, row.version, row.compile, row.task, row.package)
        for name, row in DATA.read().items()
    )


def has(need: Need) -> bool:
    """Whether the host has it: a program in PATH, or a compiler that makes what it must."""
    if need.compile:
        return _compiles(need.compile)
    if need.name == _CERTIFICATES:
        known = ssl.get_default_verify_paths()
        return bool(known.cafile) or any(Path(known.capath or os.devnull).glob("*"))
    return where(need) != ""


def _compiles(kind: str) -> bool:
    """Whether builds and tests find their headers and libraries, with their own flags."""
    try:
        words = compiler.for_32_bit() if kind == "32-bit" else [compiler.name()]
        done = subprocess.run(
            [*words, str(paths.HARNESS / "host" / "host.c"), "-o", os.devnull],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=PROBE_SECONDS,
            check=False,
            env=command.clean(),
        )
    except (InfrastructureError, OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def program(need: Need) -> str:
    """What to call for it: this Python; of the compilers, the one that is chosen."""
    if need.name == _PYTHON:
        return sys.executable
    return compiler.name() if need.name == "gcc" else need.name


def where(need: Need) -> str:
    """The path of its program; empty if it is not in PATH, or none."""
    return shutil.which(program(need)) or ""


def missing() -> tuple[Need, ...]:
    """What the host lacks, but for what one task alone needs."""
    return tuple(need for need in load() if not need.task and not has(need))


def setup(*, check_only: bool = False) -> None:
    """Install what the host lacks, after saying what and why. Says so if it lacks nothing.

    Raises InfrastructureError, after the script has said why: with the one command to run if this
    process is not root's, or `check_only` is set; where there is no apt-get, and if apt-get fails.
    """
    needs = missing()
    if needs:
        verb = "install" if os.geteuid() == 0 and not check_only else "explain"
        argv = _script(verb, [need.name for need in needs])
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, timeout=SETUP_SECONDS, check=False)
        if done.returncode != 0:
            raise InfrastructureError("")
        if still := missing():
            names = ", ".join(need.name for need in still)
            raise InfrastructureError(
                f"apt-get has installed the packages, and the host still lacks {names}",
                "see whether they are in PATH: ./inv doctor",
            )
    compiler.identity()  # which says what is to be said of it
    terminal.say("this host has all the programs that are needed")


def _script(verb: str, names: Sequence[str] = ()) -> list[str]:
    return ["sh", str(SCRIPT), str(paths.HARNESS), verb, *names]


def packages() -> dict[str, str]:
    """The package that brings each need, by the need's name.

    Raises InfrastructureError if the script cannot be run.
    """
    try:
        done = subprocess.run(
            _script("rows"), capture_output=True, text=True, timeout=PROBE_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise InfrastructureError(f"{SCRIPT} cannot be run: {error}") from error
    rows = (line.split("\t") for line in done.stdout.splitlines())
    return {name: package for name, package, _reason in rows}


def print_packages() -> None:
    """Print the packages of all needs, a line each."""
    for package in sorted(set(packages().values())):
        terminal.show(package)


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
            env=command.clean(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = done.stdout.decode(errors="replace").splitlines()
    return next((line.strip() for line in lines if any(map(str.isdigit, line))), "")


def table() -> terminal.Grid:
    """All needs with where each is, or what package would bring it."""
    rows = terminal.Grid("needed", "", "where", "version or package")
    names = packages()
    for need in load():
        if has(need):
            rows.row(need.name, "ok", where(need), version(need))
        elif need.task:
            only = f"{need.reason}; for ./inv {need.task} alone"
            rows.row(need.name, "not here", only, f"package {need.package}")
        else:
            missing = terminal.text("missing", style="red")
            rows.row(need.name, missing, need.reason, f"package {names[need.name]}")
    return rows
