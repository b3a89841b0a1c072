# SPDX-License-Identifier: GPL-2.0-only
"""The tables of data files: whether each has what it can have, and what it needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.base.errors import UserError


def check(
    file: str, where: str, row: object, keys: Mapping[str, type], needed: Iterable[str] = ()
) -> None:
    """Raise UserError if a table of the file has another key, a value of another type, or lacks
    what is needed.
    """
    if not isinstance(row, dict):
        raise UserError(f"{file}: {where} is no table")
    for key, value in row.items():
        if key not in keys:
            raise UserError(f"{file}: {where} has an unknown {key}", f"known: {', '.join(keys)}")
        if not isinstance(value, keys[key]):
            raise UserError(f"{file}: the {key} of {where} is no {keys[key].__name__}")
    for key in needed:
        if key not in row:
            raise UserError(f"{file}: {where} lacks {key}")
