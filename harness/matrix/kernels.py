# SPDX-License-Identifier: GPL-2.0-only
"""The kernels that can be tested, by name: where they come from, and what they have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from harness.base import datafile
from harness.base.datafile import Fault, Schema, Table
from harness.base.errors import UserError
from harness.matrix import features, kernelconfig
from harness.upstream import releases

# The implementation that all others are measured by.
REFERENCE = "linux-2.2.12"

S = TypeVar("S", bound=Table)


class _Hardware(Table, frozen=True, kw_only=True, rename="kebab"):
    program: str | None = None
    card: str | None = None
    memory_mib: int | None = None
    append: str | None = None
    append_several: str | None = None
    cpu: str | None = None


class _Row(Table, frozen=True, kw_only=True, rename="kebab"):
    """What the file says of a kernel. What it needs not say may be as of one that it is like."""

    like: str | None = None
    sources: tuple[str, ...] = ()
    release: str | None = None
    suites: dict[str, str] = msgspec.field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    package: str | None = None
    source_package: str | None = None
    configs: tuple[str, ...] = ()
    optional: bool | None = None
    modules: tuple[str, ...] = ()
    modules_at_hand: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    module_features: tuple[str, ...] = ()
    hardware: _Hardware = _Hardware()


DATA = Schema(dict[str, _Row], "harness/matrix/kernels.toml")


@dataclass(frozen=True)
class _Known:
    """What rows can name."""

    words: Sequence[str]
    sources: Sequence[str]
    configs: Sequence[str]


# What a machine cannot be without.
_NEEDED = ("program", "card", "memory-mib", "append")


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
    said = DATA.read()
    rows: dict[str, _Row] = {}
    faults: list[Fault] = []
    known = _Known(sorted(features.words()), list(releases.load()), kernelconfig.names())
    for name, row in said.items():
        if row.like is not None:
            faults += datafile.among((name, "like"), row.like, rows)
        rows[name] = _like(rows[row.like], row) if row.like in rows else row
        faults += _wrong(name, row, rows[name], known)
    DATA.refuse(faults)
    return {name: _kernel(name, row) for name, row in rows.items()}


def _like(above: S, row: S) -> S:
    """A row as of that one above it, but for what it says; to lists and tables it adds."""
    found = {}
    for name in row.__struct_fields__:
        old, new = getattr(above, name), getattr(row, name)
        if isinstance(new, tuple):
            found[name] = (*old, *new)
        elif isinstance(new, dict):
            found[name] = old | new
        elif isinstance(new, Table):
            found[name] = _like(old, new)
        else:
            found[name] = old if new is None else new
    return type(row)(**found)


def _wrong(name: str, row: _Row, whole: _Row, known: _Known) -> Iterator[Fault]:
    """What no type tells: of a row, and of it with what it is like."""
    if not whole.sources and not (whole.package and whole.release):
        yield Fault((name,), "has neither sources nor the package of a release")
    if not whole.features:
        yield Fault((name,), "lacks features")
    if whole.hardware == _Hardware():
        yield Fault((name,), "lacks hardware")
    else:
        for key in _NEEDED:
            if getattr(whole.hardware, key.replace("-", "_")) is None:
                yield Fault((name, "hardware"), f"lacks {key}")
    modules = {*whole.modules, *whole.modules_at_hand}
    yield from datafile.each_among((name, "features"), row.features, known.words)
    yield from datafile.each_among((name, "module-features"), row.module_features, known.words)
    # What it is like has them, which is where they are looked for.
    yield from datafile.each_among((name, "gone"), row.gone, modules)
    there = {*modules, *whole.features, *whole.module_features}
    yield from datafile.each_among((name, "lacks"), row.lacks, there)
    yield from datafile.each_among((name, "sources"), row.sources, known.sources)
    yield from datafile.each_among((name, "configs"), row.configs, known.configs)


def _kernel(name: str, row: _Row) -> Kernel:
    lacks = frozenset(row.lacks)
    hardware = row.hardware
    return Kernel(
        name,
        Hardware(
            hardware.program or "",
            hardware.card or "",
            hardware.memory_mib or 0,
            tuple((hardware.append or "").split()),
            cpu=hardware.cpu or "",
            append_several=tuple((hardware.append_several or "").split()),
        ),
        row.sources,
        row.package or "",
        tuple(each for each in row.modules if each not in lacks),
        tuple(each for each in row.modules_at_hand if each not in lacks),
        frozenset(row.features) - lacks,
        frozenset(row.module_features) - lacks,
        row.release or "",
        row.suites,
        row.hosts,
        row.source_package or "",
        row.configs,
        row.optional or False,
        row.gone,
        row.like or "",
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
