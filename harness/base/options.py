# SPDX-License-Identifier: GPL-2.0-only
"""Numbers of a command line. None is one that was not given, so that no number stands for it."""

from __future__ import annotations

import secrets

from harness.base.errors import UserError


def count(flag: str, text: str | None) -> int | None:
    """The value of an option that counts things, from 1 on; None where it was not given.

    Raises UserError, which names the option.
    """
    if text is None:
        return None
    try:
        number = int(text)
    except ValueError:
        raise UserError(f"{flag} {text}: it has to be a number", "see: ./inv --list") from None
    if number < 1:
        raise UserError(f"{flag} {text}: it has to be 1 or more", "see: ./inv --list")
    return number


def seed(text: str | None, seeds: int) -> int:
    """The value of --seed, of so many that there are from 0 on; a new one where none was given.

    Raises UserError.
    """
    if text is None:
        return secrets.randbelow(seeds)
    if not text.isdecimal() or int(text) >= seeds:
        raise UserError(f"--seed {text}: a seed is 0 to {seeds - 1}")
    return int(text)


def not_both(*flags: tuple[str, object]) -> None:
    """Of options with their values, at most one may be given. Raises UserError, which names two."""
    given = [flag for flag, value in flags if value]
    if len(given) > 1:
        raise UserError(f"{given[0]} and {given[1]} do not go together", "see: ./inv --list")


def seconds(flag: str, text: str | None, otherwise: float = 0.5, most: float = 600.0) -> float:
    """The value of an option that is a time, from a hundredth of a second on; `otherwise` where it
    was not given.

    Raises UserError, which names the option.
    """
    try:
        found = otherwise if text is None else float(text)
    except ValueError:
        found = 0.0
    if not 0.01 <= found <= most:
        raise UserError(f"{flag} {text}: it has to be 0.01 to {most:g} seconds", "as in: 0.5")
    return found
