# SPDX-License-Identifier: GPL-2.0-only
"""The kernels that can be tested, by name: where they come from, and what they have."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.base import paths, tables
from harness.base.errors import UserError

# The implementation that all others are measured by.
REFERENCE = "linux-2.2.12"

FILE = "kernels.toml"

# The table that is no kernel's (harness/matrix/suites.py).
DEBIAN = "debian"

# What a kernel's table in the file can have, and what its table `hardware` has to have.
_KEYS: Mapping[str, type] = {
    "like": str,
    "sources": list,
    "release": str,
    "suites": dict,
    "hosts": list,
    "package": str,
    "source-package": str,
    "configs": list,
    "optional": bool,
    "modules": list,
    "modules-at-hand": list,
    "gone": list,
    "lacks": list,
    "features": list,
    "module-features": list,
    "hardware": dict,
}
_HARDWARE_NEEDED: Mapping[str, type] = {
    "program": str,
    "card": str,
    "memory-mib": int,
    "append": str,
}
_HARDWARE: Mapping[str, type] = {**_HARDWARE_NEEDED, "cpu": str, "append-several": str}


@dataclass(frozen=True)
class Hardware:
    """The machine that QEMU is to be for a kernel: its program, cards, memory, command line.

    `cpu` is the model with what is added to it, or "" for QEMU's own; `processors` are a variant's,
    and `append_several` is for the command line if they are several.
    """

    program: str
    card: str
    memory_mib: int
    append: tuple[str, ...]
    processors: int = 1
    cpu: str = ""
    append_several: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kernel:
    """One kernel, as harness/matrix/kernels.toml describes it.

    `sources` are names of upstream sources, without which it cannot be had; `package` is that of
    Debian's `release`, for a kernel that is not built here, `modules` what it needs of it to boot,
    and `modules_at_hand` what is in the guest besides, not loaded; of both, those that are `gone`
    are in the kernel itself, which no longer says so; `features` is in the words of
    matrix/statements, and so is `module_features`: what comes with the module of module/. `suites`
    has where hosts of other releases take the package from, if not from `release`, and `hosts` the
    other releases on whose hosts it is meant where no kernel is named. One with a
    `source_package` is built from that with `configs` of kernel-config/, each laid over those
    before, and only its modules' names are the package's. One that is `optional` is tested only
    where it is named. What is not known of one is as of that which it is `like`.
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
    hosts: tuple[str, ...] = ()
    source_package: str = ""
    configs: tuple[str, ...] = ()
    optional: bool = False
    gone: tuple[str, ...] = ()
    like: str = ""

    @property
    def series(self) -> str:
        """What its releases begin with: 6.12 of linux-6.12-cloud."""
        return self.name.split("-")[1]

    def suite(self, codename: str) -> str:
        """Where a host of this release takes the package from."""
        return self.suites.get(codename, self.release)

    @property
    def modules_kept(self) -> tuple[str, ...]:
        """All of the package's modules that the guest has."""
        return self.modules + self.modules_at_hand


def load() -> dict[str, Kernel]:
    """All kernels by name, the reference first. Raises UserError if the file is not as it says."""
    rows: dict[str, Mapping[str, Any]] = {}
    for name, row in read().items():
        if name == DEBIAN:
            continue
        tables.check(FILE, name, row, _KEYS)
        like = row.get("like")
        if like is not None and like not in rows:
            raise UserError(f"{FILE}: {name} is like {like}, which is none above it")
        rows[name] = _like(rows.get(like, {}), row)
    return {name: _kernel(name, row) for name, row in rows.items()}


def read() -> dict[str, Any]:
    """The file as it stands. Raises UserError if there is none, or it is no TOML."""
    path = paths.HARNESS / "matrix" / FILE
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot use {path}: {error}") from error


def _like(above: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as of that one above it, but for what it says; to lists and tables it adds."""
    found = dict(above)
    for key, value in row.items():
        if isinstance(value, list):
            found[key] = [*found.get(key, ()), *value]
        elif isinstance(value, dict):
            found[key] = found.get(key, {}) | value
        else:
            found[key] = value
    return found


def _kernel(name: str, row: Mapping[str, Any]) -> Kernel:
    tables.check(FILE, name, row, _KEYS, needed=("features", "hardware"))
    hardware = row["hardware"]
    tables.check(FILE, f"{name}.hardware", hardware, _HARDWARE, needed=_HARDWARE_NEEDED)
    lacks = frozenset(row.get("lacks", ()))
    if not row.get("sources") and not (row.get("package") and row.get("release")):
        raise UserError(f"{FILE}: {name} has neither sources nor the package of a release")
    return Kernel(
        name,
        Hardware(
            hardware["program"],
            hardware["card"],
            hardware["memory-mib"],
            tuple(hardware["append"].split()),
            cpu=hardware.get("cpu", ""),
            append_several=tuple(hardware.get("append-several", "").split()),
        ),
        tuple(row.get("sources", ())),
        row.get("package", ""),
        tuple(each for each in row.get("modules", ()) if each not in lacks),
        tuple(each for each in row.get("modules-at-hand", ()) if each not in lacks),
        frozenset(row["features"]) - lacks,
        frozenset(row.get("module-features", ())) - lacks,
        row.get("release", ""),
        row.get("suites", {}),
        tuple(row.get("hosts", ())),
        row.get("source-package", ""),
        tuple(row.get("configs", ())),
        row.get("optional", False),
        tuple(row.get("gone", ())),
        row.get("like", ""),
    )


def usual(codename: str) -> list[Kernel]:
    """The kernels that are meant where none is named, on a host of this release.

    The reference, and of the distributions' kernels the host's own; if none of these is, the one
    that is meant for such hosts. A host of any other release is shown them all, and what it lacks
    for each.
    """
    known = [row for row in load().values() if not row.optional]
    own = of_host(codename)
    return [row for row in known if not row.release or row in own or not own]


def of_host(codename: str) -> list[Kernel]:
    """The distribution's kernel for a host of this release; none if there is none for it."""
    known = [row for row in load().values() if not row.optional]
    # A host may have no code name, as the reference has no release: that makes it no one's own.
    return [row for row in known if row.release and codename in {row.release, *row.hosts}]


def named(name: str) -> Kernel:
    """The kernel with this name. Raises UserError if there is none."""
    known = load()
    if name not in known:
        raise UserError(f"there is no kernel {name}", f"known: {', '.join(known)}")
    return known[name]
