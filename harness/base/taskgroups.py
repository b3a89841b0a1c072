# SPDX-License-Identifier: GPL-2.0-only
"""The tasks in groups, each with an example: what `./inv --help` shows."""

from __future__ import annotations

from harness.base.datafile import Schema, Table


class Group(Table, frozen=True, kw_only=True):
    """Tasks for one purpose, the first to look at first, and a command line that can be typed."""

    title: str
    tasks: tuple[str, ...]
    example: str


class _Groups(Table, frozen=True, kw_only=True):
    group: tuple[Group, ...]


DATA = Schema(_Groups, "harness/base/taskgroups.toml")


def load() -> tuple[Group, ...]:
    """All groups, in the order in which they are shown. Raises UserError if the file is not so."""
    return DATA.read().group
