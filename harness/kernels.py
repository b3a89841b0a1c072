# SPDX-License-Identifier: GPL-2.0-only
"""The kernels that can be tested, by name: where they come from, and what they have."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness import paths
from harness.errors import UserError

# The implementation that all others are measured by.
REFERENCE = "linux-2.2.12"


@dataclass(frozen=True)
class Hardware:
    """The machine that QEMU is to be for a kernel: its program, cards, memory, command line."""

    program: str
    card: str
    memory_mib: int
    append: tuple[str, ...]


@dataclass(frozen=True)
class Kernel:
    """One kernel, as harness/data/kernels.toml describes it.

    `sources` are names of upstream sources, without which it cannot be had; `package` is that of
    Debian's `release`, for a kernel that is not built here, `modules` what it needs of it to boot,
    and `modules_at_hand` what is in the guest besides, not loaded; `features` is in the words of
    data/statements, and so is `module_features`: what comes with the module of module/. `suites`
    has where hosts of other releases take the package from, if not from `release`.
    """

    name: str
    hardware: Hardware
    sources: tuple[str, ...] = ()
    package: str = ""
    modules: tuple[str, ...] = ()
    modules_at_hand: tuple[str, ...] = ()
    features: frozenset[str] = frozenset()
    module_features: frozenset[str] = frozenset()
    release: str = ""
    suites: Mapping[str, str] = field(default_factory=dict)

    def suite(self, codename: str) -> str:
        """Where a host of this release takes the package from."""
        return self.suites.get(codename, self.release)

    @property
    def modules_kept(self) -> tuple[str, ...]:
        """All of the package's modules that the guest has."""
        return self.modules + self.modules_at_hand


def load() -> dict[str, Kernel]:
    """All kernels by name, the reference first."""
    with (paths.DATA / "kernels.toml").open("rb") as stream:
        data = tomllib.load(stream)
    rows = {name: data.get(row.get("like"), {}) | row for name, row in data.items()}
    return {
        name: Kernel(
            name,
            _hardware(row["hardware"]),
            tuple(row.get("sources", ())),
            row.get("package", ""),
            tuple(row.get("modules", ())),
            tuple(row.get("modules-at-hand", ())),
            frozenset(row["features"]),
            frozenset(row.get("module-features", ())),
            row.get("release", ""),
            row.get("suites", {}),
        )
        for name, row in rows.items()
    }


def usual(codename: str) -> list[Kernel]:
    """The kernels that are meant where none is named, on a host of this release.

    The reference, and of the distributions' kernels the host's own. A host of any other release is
    shown them all, and what it lacks for each.
    """
    known = load().values()
    own = [row for row in known if row.release == codename]
    return [row for row in known if not row.release or row in own or not own]


def _hardware(row: Mapping[str, Any]) -> Hardware:
    append = tuple(str(row["append"]).split())
    return Hardware(row["program"], row["card"], row["memory-mib"], append)


def named(name: str) -> Kernel:
    """The kernel with this name. Raises UserError if there is none."""
    known = load()
    if name not in known:
        raise UserError(f"there is no kernel {name}", f"known: {', '.join(known)}")
    return known[name]
