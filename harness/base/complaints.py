# SPDX-License-Identifier: GPL-2.0-only
"""The lines of a failed build that say what is wrong, out of all that it printed."""

from __future__ import annotations

import re
from pathlib import Path

from harness.base import compiler, diskroom
from harness.base.errors import InfrastructureError

SHOWN = 5

# What compilers, assemblers, linkers, shells and make say of a fault itself.
_FAULT = re.compile(
    r".*(?:\b[Ee]rror:|undefined reference|multiple definition|cannot find -l"
    r"|: (?:command )?not found\b|\*\*\* .*[Nn]o rule to make|\*\*\* [^\[].*\bStop\.).*"
)
# What configure looked for and did not find is no fault.
_QUESTION = re.compile(r"\s*checking ")

# make only says then in which file a command failed; what the command said is above it.
_FAILED = re.compile(r"g?make(?:\[\d+\])?: \*\*\* \[.*\] Error .*")
_NOISE = re.compile(r"g?make(?:\[\d+\])?: (?:Entering|Leaving) directory .*|\s*")


def first(text: str) -> list[str]:
    """The first few lines in which a build says what is wrong; none, if it does not.

    A program that names its fault in words of its own is quoted: the last that was printed before
    make gave up, and what make gave up at.
    """
    lines = text.splitlines()
    faults = [line for line in lines if _FAULT.fullmatch(line) and not _QUESTION.match(line)]
    if faults:
        return list(dict.fromkeys(faults))[:SHOWN]
    end = next((number for number, line in enumerate(lines) if _FAILED.fullmatch(line)), None)
    if end is None:
        return []
    before = [line for line in lines[:end] if not _NOISE.fullmatch(line)]
    return [*before[-2:], lines[end]]


def explained(
    what: str, error: InfrastructureError, log: Path, begin: int = 0
) -> InfrastructureError:
    """The error of a build that failed with `error`, as its log has it from byte `begin` on.

    Raises InfrastructureError if the compiler cannot be run.
    """
    if isinstance(error, diskroom.FullError):
        return error.of(what)
    with log.open("rb") as stream:
        stream.seek(begin)
        found = first(stream.read().decode(errors="replace"))
    if not found:
        # It could not be started, or did not end.
        message = error.message if what in error.message else f"{what}: {error.message}"
        return InfrastructureError(message, error.hint)
    shown = "\n".join(f"  {line}" for line in found)
    hint = compiler.doubted(f"all of the log: {log}")
    return InfrastructureError(f"{what} does not compile:\n{shown}", hint)
