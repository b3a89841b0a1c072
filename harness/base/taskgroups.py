# SPDX-License-Identifier: GPL-2.0-only
"""The tasks in groups, each with an example: what `./inv --help` shows."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

TABLE = Path(__file__).with_name("taskgroups.toml")


@dataclass(frozen=True)
class Group:
    """Tasks for one purpose, the first to look at first, and a command line that can be typed."""

    title: str
    tasks: tuple[str, ...]
    example: str


def load() -> tuple[Group, ...]:
    """All groups, in the order in which they are shown."""
    rows = tomllib.loads(TABLE.read_text())["group"]
    return tuple(Group(row["title"], tuple(row["tasks"]), row["example"]) for row in rows)
