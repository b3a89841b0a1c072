# SPDX-License-Identifier: GPL-2.0-only
"""Programs of tests/programs for this machine and its C library, as a Debian package has them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from harness.base import command, compiler
from harness.base.errors import InfrastructureError, UserError
from harness.image import guestprograms
from harness.image.guestprograms import Program

ARCHITECTURE = "amd64"
TRIPLET = "x86_64-linux-gnu"

COMPILE_SECONDS = 120.0
_ASK_SECONDS = 30.0

# As Debian builds its own (dpkg-buildflags, hardening=+all).
_FLAGS = (
    *("-O2", "-s", "-fPIE", "-fstack-protector-strong", "-fstack-clash-protection"),
    *("-D_FORTIFY_SOURCE=2", "-Wformat", "-Werror=format-security"),
)
_LINKER = ("-pie", "-Wl,-z,relro", "-Wl,-z,now")
STATIC = ("-static-pie", "-Wl,-z,relro", "-Wl,-z,now")

_VERSION = re.compile(r"\bGLIBC_(\d+(?:\.\d+)+)\b")
_NEEDED = re.compile(r"^ *NEEDED +(\S+)$", re.MULTILINE)
_LIBC = "libc.so.6"


def build(name: str, output: Path, log: Path, linker: Sequence[str] = _LINKER) -> None:
    """Compile the program that guestprograms.toml calls `name`; with STATIC, for where no libc is.

    Raises UserError if there is none, and what `compile_c` raises.
    """
    program = _named(name)
    sources = [guestprograms.FOLDER / source for source in program.sources]
    compile_c(sources, program.flags, output, log, linker)


def compile_c(
    sources: Sequence[Path],
    flags: Sequence[str],
    output: Path,
    log: Path,
    linker: Sequence[str] = _LINKER,
) -> None:
    """Compile C files into the program `output`.

    Raises InfrastructureError if they do not compile without warnings, or the compiler makes
    programs for another machine.
    """
    machine = compiler.ask("-print-multiarch")
    if machine != TRIPLET:
        raise InfrastructureError(
            f"{compiler.name()} compiles for {machine or 'an unknown machine'}, and {output.name} "
            f"is packed for {ARCHITECTURE}",
            f"name a compiler for {TRIPLET}: {compiler.VARIABLE}=gcc",
        )
    command.run(
        [compiler.name(), *_FLAGS, *flags, "-Werror", *sources, "-o", output, *linker],
        what=f"the program {output.name}",
        log=log,
        seconds=COMPILE_SECONDS,
        into=output.parent,
    )
    # Which compiler it was, as Debian's own programs do not tell.
    command.run(
        ["objcopy", "--remove-section=.comment", output],
        what=f"the program {output.name}",
        log=log,
        seconds=_ASK_SECONDS,
        into=output.parent,
    )


def _named(name: str) -> Program:
    found = {each.name: each for each in guestprograms.load()}
    if name not in found:
        raise UserError(f"there is no program {name}", f"known: {', '.join(found)}")
    return found[name]


def libc(files: Sequence[Path]) -> str:
    """The C library that these programs need, as a dependency.

    Raises InfrastructureError if one needs another library, or objdump does not say.
    """
    return needed([_headers(path) for path in files])


def needed(headers: Sequence[str]) -> str:
    """The same of what `objdump -p` says of each (pure)."""
    versions = []
    for text in headers:
        libraries = set(_NEEDED.findall(text))
        if libraries != {_LIBC}:
            raise InfrastructureError(
                f"a packed program needs {', '.join(sorted(libraries)) or 'no library'}, and the "
                f"package knows the dependency for {_LIBC} alone"
            )
        versions += _VERSION.findall(text)
    newest = max(versions, key=lambda version: tuple(map(int, version.split("."))))
    return f"libc6 (>= {newest})"


def _headers(path: Path) -> str:
    try:
        done = subprocess.run(
            ["objdump", "-p", path],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            timeout=_ASK_SECONDS,
            env=command.clean(),
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise InfrastructureError(
            f"objdump does not say what {path.name} needs: {error}", "run: ./inv setup"
        ) from error
    return done.stdout
