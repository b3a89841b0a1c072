# SPDX-License-Identifier: GPL-2.0-only
"""The kernels that can be tested, by name: where they come from, and what they have."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass

from harness import paths
from harness.errors import UserError

# The implementation that all others are measured by.
REFERENCE = "linux-2.2.12"


@dataclass(frozen=True)
class Kernel:
    """One kernel, as harness/data/kernels.toml describes it.

    `sources` are names of upstream sources, without which it cannot be had; `features` is in the
    words of data/statements. Without `named_only` it is tested where no kernel is named.
    """

    name: str
    sources: tuple[str, ...] = ()
    features: frozenset[str] = frozenset()
    named_only: bool = False


def load() -> dict[str, Kernel]:
    """All kernels by name, the reference first."""
    with (paths.DATA / "kernels.toml").open("rb") as stream:
        data = tomllib.load(stream)
    return {
        name: Kernel(
            name,
            tuple(row.get("sources", ())),
            frozenset(row["features"]),
            row.get("named-only", False),
        )
        for name, row in data.items()
    }


def named(name: str) -> Kernel:
    """The kernel with this name. Raises UserError if there is none."""
    known = load()
    if name not in known:
        raise UserError(f"there is no kernel {name}", f"known: {', '.join(known)}")
    return known[name]
