# SPDX-License-Identifier: GPL-2.0-only
"""The words for what a kernel can have, as features.toml has them, and which are needed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from harness.base import datafile
from harness.base.datafile import Fault, Keys, Schema

DATA = Schema(dict[str, str], "harness/matrix/features.toml")

# Before a word: what a kernel must not have.
NOT = "no "


def words() -> frozenset[str]:
    """All that a kernel can have."""
    return frozenset(DATA.read())


def unknown(keys: Keys, given: Iterable[str], known: Collection[str]) -> Iterator[Fault]:
    """What in a list of needs, at `keys` of a data file, is no word of those that are known."""
    plain = (need.removeprefix(NOT) for need in given)
    yield from datafile.each_among(keys, plain, known)
