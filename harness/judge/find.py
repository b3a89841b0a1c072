# SPDX-License-Identifier: GPL-2.0-only
"""A find: what differs, and the steps that lead to it."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

from harness.base import paths
from harness.base.errors import UserError
from harness.model.steps import Step, step

KEPT = paths.HARNESS / "judge" / "kept.toml"


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
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    try:
        return [step(line) for line in lines if line]
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error


def kept() -> dict[str, list[Step]]:
    """The sequences that were once a find, by name: they are tried first."""
    rows = tomllib.loads(KEPT.read_text())
    return {name: read(row["steps"], f"{KEPT.name}, {name}") for name, row in rows.items()}


def of_file(path: Path) -> list[Step]:
    """The steps of a user's file. Raises UserError if it cannot be read."""
    try:
        return read(path.read_text(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--case {path}: {error}") from error
