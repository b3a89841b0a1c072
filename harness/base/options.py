# SPDX-License-Identifier: GPL-2.0-only
"""Numbers of a command line. None is one that was not given, so that no number stands for it."""

from __future__ import annotations

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
