# SPDX-License-Identifier: GPL-2.0-only
"""A find: what differs, and the steps that lead to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.base.datafile import Fault, Schema, Table
from harness.base.errors import UserError
from harness.model.steps import Step, step


class _Kept(Table, frozen=True, kw_only=True):
    what: str
    steps: str


KEPT = Schema(dict[str, _Kept], "harness/judge/kept.toml")


class FindError(AssertionError):
    """What was seen is not what was foretold, or not the same on both kernels.

    The message says at which step, and how they differ; `steps` are all that lead there, and
    `before` those of the sequences before, on the same guests.
    """

    def __init__(
        self, message: str, steps: Sequence[Step], before: Sequence[list[Step]] = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.steps = list(steps)
        self.before = list(before)


def read(text: str, where: str) -> list[Step]:
    """The steps of a file, a line each; empty lines and what follows a # are left out.

    Raises UserError, naming `where`, for what is no step.
    """
    try:
        return _read(text)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error


def _read(text: str) -> list[Step]:
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [step(line) for line in lines if line]


def kept() -> dict[str, list[Step]]:
    """The sequences that were once a find, by name: they are tried first."""
    found: dict[str, list[Step]] = {}
    faults = []
    for name, row in KEPT.read().items():
        try:
            found[name] = _read(row.steps)
        except ValueError as error:
            faults.append(Fault((name, "steps"), str(error)))
    KEPT.refuse(faults)
    return found


def of_file(path: Path) -> list[Step]:
    """The steps of a user's file. Raises UserError if it cannot be read."""
    try:
        return read(path.read_text(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--case {path}: {error}") from error
