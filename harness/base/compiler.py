# SPDX-License-Identifier: GPL-2.0-only
"""The host's C compiler: which one is taken, what it says of itself, whether it has been tried.

What it compiles, it compiles in command.clean(), as all builds here are.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from harness.base import command, terminal
from harness.base.datafile import Schema, Table
from harness.base.errors import InfrastructureError

# Names another than those of the data file.
VARIABLE = "DIVERT_GCC"

ASK_SECONDS = 30.0

_PLUS_PLUS = "cc1plus"


_Version = Annotated[str, Meta(pattern=r"^\d+$")]


class _Compilers(Table, frozen=True, kw_only=True):
    """`releases` is for harness/host/setup.sh alone, which reads the file without Python."""

    candidates: str
    tried: dict[_Version, str]
    releases: dict[str, int]


DATA = Schema(_Compilers, "harness/base/compilers.toml")


def candidates() -> list[str]:
    """The names of which the first in PATH is taken."""
    return DATA.read().candidates.split()


def tried() -> list[int]:
    """The versions with which the reference was built and tested, the oldest first."""
    return sorted(map(int, DATA.read().tried))


def name() -> str:
    """What to call: the value of DIVERT_GCC, or the first candidate in PATH, or the last."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return chosen
    names = candidates()
    return next((row for row in names if shutil.which(row)), names[-1])


def for_32_bit() -> list[str]:
    """The words that compile 32-bit code for this host: the compiler, and flags.

    The headers of the 64-bit libc's architecture come last: Debian's have asm/ there, and
    /usr/include/asm is a link that only the package gcc-multilib makes, which no cross compiler can
    be beside. Raises InfrastructureError if the compiler cannot be run.
    """
    words = [name(), "-m32"]
    if triplet := ask("-print-multiarch"):
        words += ["-idirafter", f"/usr/include/{triplet}"]
    return words


def for_kernel(version: int) -> str | None:
    """What to call for a module of a kernel that GCC of this major version has compiled.

    That very one where it is in PATH, as kernels' headers ask for; else `name()`, unless that is
    older: such a kernel's flags may be new to it. None: there is none. DIVERT_GCC is not judged.
    """
    exact = f"gcc-{version}"
    if os.environ.get(VARIABLE):
        return name()
    if shutil.which(exact):
        return exact
    return name() if _version() >= version else None


def identity(of: str = "") -> str:
    """Its name and the first line in which it says its version: part of every fingerprint.

    Of `name()`, or another compiler. Warns, once, of one that is newer or older than all that were
    tried. Raises InfrastructureError if it cannot be run.
    """
    called = of or name()
    identity = f"{called}: {_ask(called, '--version')}"
    if called == name():
        _warn(identity)
    return identity


def ask(question: str) -> str:
    """The first line of its answer to an option, as `-print-file-name=include`.

    Raises InfrastructureError if it cannot be run.
    """
    return _ask(name(), question)


@functools.cache
def _ask(compiler: str, question: str) -> str:
    try:
        done = subprocess.run(
            [compiler, question],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            timeout=ASK_SECONDS,
            env=command.clean(),
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise InfrastructureError(
            f"this host has no working C compiler {compiler}", _remedy()
        ) from error
    return done.stdout.partition("\n")[0]


def lacks_plus_plus() -> bool:
    """Whether the part of it that compiles C++ is not installed."""
    # Of what it does not find it gives back the name.
    return not Path(ask(f"-print-prog-name={_PLUS_PLUS}")).is_absolute()


def plus_plus_package() -> str:
    """The Debian package that has that part."""
    return Path(name()).name.replace("gcc", "g++")


def _remedy() -> str:
    named = os.environ.get(VARIABLE)
    return f"name another: {VARIABLE}=gcc" if named else "run: ./inv setup"


def _version() -> int:
    answer = ask("-dumpversion").partition(".")[0]
    return int(answer) if answer.isdecimal() else 0


def doubt() -> str:
    """What there is to be said of a compiler beyond those that were tried; empty for any other.

    Raises InfrastructureError if the compiler cannot be run.
    """
    known, version = tried(), _version()
    if known[0] <= version <= known[-1]:
        return ""
    return (
        f"{name()} is version {version}, and versions {known[0]} to {known[-1]} have been tried; "
        f"{VARIABLE} names another"
    )


@functools.cache
def _warn(_identity: str) -> None:
    if said := doubt():
        terminal.say(f"warning: {said}")


def doubted(hint: str) -> str:
    """The hint of what does not compile, with a word on the compiler if there is any doubt."""
    said = doubt()
    return f"{hint}\n{said}" if said else hint
