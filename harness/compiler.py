# SPDX-License-Identifier: GPL-2.0-only
"""The host's C compiler: which one is taken, what it says of itself, whether it has been tried."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

from harness.errors import InfrastructureError

# The first that is there; the environment may name another.
CANDIDATES = ("gcc-12", "gcc")
VARIABLE = "DIVERT_GCC"

# Those with which kernel and image were built and the guest tests passed; 11 on `base` alone.
TRIED = ("11", "12")

ASK_SECONDS = 30.0


def name() -> str:
    """What to call: the value of DIVERT_GCC, or the first of CANDIDATES in PATH, or the last."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return chosen
    return next((row for row in CANDIDATES if shutil.which(row)), CANDIDATES[-1])


def package() -> str:
    """The Debian package that has it, by its name; with -multilib, that of its 32-bit libraries."""
    return Path(name()).name


def identity() -> str:
    """Its name and the first line in which it says its version: part of every fingerprint.

    Raises InfrastructureError if it cannot be run.
    """
    return f"{name()}: {ask('--version')}"


def ask(question: str) -> str:
    """The first line of its answer to an option, as `-print-file-name=include`.

    Raises InfrastructureError if it cannot be run.
    """
    return _ask(name(), question)


@functools.cache
def _ask(compiler: str, question: str) -> str:
    try:
        done = subprocess.run(
            [compiler, question], capture_output=True, text=True, check=True, timeout=ASK_SECONDS
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise InfrastructureError(
            f"this host has no working C compiler {compiler}", _remedy()
        ) from error
    return done.stdout.partition("\n")[0]


def _remedy() -> str:
    named = os.environ.get(VARIABLE)
    return f"name another: {VARIABLE}=gcc" if named else "run: ./inv setup"


def doubted(hint: str) -> str:
    """The hint of what does not compile, with a word on the compiler if it is none of TRIED.

    Raises InfrastructureError if the compiler cannot be run.
    """
    version = ask("-dumpversion").partition(".")[0]
    if version in TRIED:
        return hint
    return (
        f"{hint}\ngcc {version} has not been tried; gcc {' and '.join(TRIED)} has: "
        f"install gcc-{TRIED[-1]}-multilib, or name another by {VARIABLE}"
    )
