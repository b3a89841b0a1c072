# SPDX-License-Identifier: GPL-2.0-only
"""The kernels by name: which parts of the series, which fragments of the configuration."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.base import datafile, paths
from harness.base.datafile import Fault, Schema, Table
from harness.base.errors import UserError
from harness.debian import packages
from harness.matrix import configurations, features, kernelconfig, kernels
from harness.matrix.configurations import Configuration
from harness.matrix.kernelconfig import Option
from harness.matrix.kernels import Hardware

# The fragment that makes a kernel one of the matrix: a kernel with divert sockets (SPEC.md O3).
MATRIX_FRAGMENT = "divert"

# In a variant's name: that of each kernel of a distribution.
_EVERY = "*"


class _Row(Table, frozen=True, kw_only=True):
    """What the file says of a variant."""

    options: frozenset[str]
    series: tuple[str, ...] = ()
    fragments: tuple[str, ...] = ()
    module: bool = False
    processors: int = 1
    check: bool = True
    turn: str = ""
    sample: str = ""
    what: str = ""


DATA = Schema(dict[str, _Row], "harness/matrix/variants.toml")


@dataclass(frozen=True)
class Variant:
    """One kernel: parts of the series, fragments over base.config, and the options they make.

    Of a kernel to which divert sockets come by the module, only whether that is loaded. `checked`:
    whether `invoke check` tests it; of one that is not, `sample` selects tests that it does run
    there, as pytest's -k. Of those with the same `turn` it tests one. `processors`: of its machine.
    `changes` are laid over the fragments, `make` is what its make is told besides; `lacks` and
    `gives` are the features in which it differs from other variants of the kernel.
    """

    name: str
    series: tuple[str, ...]
    fragments: tuple[str, ...]
    options: frozenset[str]
    what: str = ""
    kernel: str = kernels.REFERENCE
    module: bool = False
    checked: bool = True
    sample: str = ""
    processors: int = 1
    turn: str = ""
    changes: tuple[Option, ...] = ()
    make: tuple[str, ...] = ()
    lacks: frozenset[str] = frozenset()
    gives: frozenset[str] = frozenset()

    @property
    def hardware(self) -> Hardware:
        """The machine that it boots on."""
        return replace(kernels.named(self.kernel).hardware, processors=self.processors)

    @property
    def short(self) -> str:
        """The name without the kernel's."""
        return self.name.rpartition(":")[2]

    @property
    def diverts(self) -> bool:
        """Whether it has divert sockets."""
        return self.module or MATRIX_FRAGMENT in self.fragments

    @property
    def in_matrix(self) -> bool:
        """Whether --matrix, which crosses options, can mean it."""
        return self.diverts and self.processors == 1


def load() -> dict[str, Variant]:
    """All variants by name, in the order of harness/matrix/variants.toml.

    Raises UserError if it is not as it says.
    """
    said, known = DATA.read(), kernels.load()
    DATA.refuse(_wrong(said, known))
    rows = [
        (
            name,
            Variant(
                name.replace(_EVERY, kernel),
                row.series,
                row.fragments,
                row.options,
                row.what,
                kernel,
                row.module,
                row.check,
                row.sample,
                row.processors,
                row.turn,
            ),
        )
        for name, row in said.items()
        for kernel in _kernels(name, known)
    ]
    # All of one kernel together.
    order = list(known)
    rows.sort(key=lambda each: order.index(each[1].kernel))
    DATA.refuse(_alike(rows))
    return {row.name: row for _, row in rows}


def _kernels(name: str, known: Mapping[str, kernels.Kernel]) -> list[str]:
    """Those that a name in the file is for."""
    kernel = name.rpartition(":")[0] or kernels.REFERENCE
    if kernel == _EVERY:
        return [row.name for row in known.values() if row.package]
    return [kernel]


def _wrong(said: Mapping[str, _Row], known: Mapping[str, kernels.Kernel]) -> Iterator[Fault]:
    """What no type tells."""
    patches = (paths.PATCHES / kernels.REFERENCE).iterdir()
    parts = sorted(path.name for path in patches if path.is_dir())
    fragments, words = kernelconfig.names(), features.words()
    for name, row in said.items():
        for kernel in _kernels(name, known):
            yield from datafile.among((name,), kernel, [_EVERY, *known])
        if row.processors < 1:
            yield Fault((name, "processors"), "a machine has at least one")
        if row.turn and not row.sample:
            yield Fault((name, "turn"), "where it is another's turn there has to be a sample")
        yield from datafile.each_among((name, "series"), row.series, parts)
        yield from datafile.each_among((name, "fragments"), row.fragments, fragments)
        for option in sorted(row.options):
            yield from datafile.among((name, "options"), option, words)


def _alike(rows: Iterable[tuple[str, Variant]]) -> Iterator[Fault]:
    """Where --matrix could not tell two of them apart: one would never be tested."""
    known: dict[tuple[str, frozenset[str]], str] = {}
    names: set[str] = set()
    for said, row in rows:
        if row.name in names:
            yield Fault((said,), f"{row.name} is there already")
        names.add(row.name)
        other = known.setdefault((row.kernel, row.options), row.name) if row.in_matrix else row.name
        if other != row.name:
            yield Fault(
                (said, "options"),
                f"{other} and {row.name} have the same, and --matrix means one of them: "
                "give one an option of its own, a word that --matrix can name",
            )


def of_configuration(row: Configuration) -> Variant:
    """The reference in another configuration, which is a variant only where it is named.

    Its machine has two processors if it can use them.
    """
    has = row.has
    options = {"passthrough": "IP_DIVERT_PASSTHROUGH", "defrag": "IP_ALWAYS_DEFRAG"}
    diverts = has("IP_DIVERT")
    return Variant(
        row.name,
        ("toolchain", MATRIX_FRAGMENT),
        ((MATRIX_FRAGMENT,) if diverts else ()) + (configurations.FRAGMENT,),
        frozenset(name for name, symbol in options.items() if has(symbol)),
        row.what,
        checked=False,
        processors=2 if has("SMP") else 1,
        changes=row.options,
        make=row.make,
        lacks=row.lacks,
        gives=row.gives,
    )


def select(
    variant: str | None = None, matrix: str | None = None, kernel: str | None = None
) -> tuple[Variant, ...]:
    """The variants that a command line asks for, each once, in the order of the data file.

    `variant` is names separated by commas, whole or, of the kernels that `kernel` names, short.
    `matrix` is options separated by commas, and stands for every combination of them, none
    included: n options are 2**n variants of each kernel. With both, all that either names; with
    neither, every variant. `kernel` is names of kernels; without it all are meant that are usual
    on this host, but a whole name is one variant on every host, so that a run can be had again.

    Raises UserError for an unknown or missing name; it says which there are and what is near.
    """
    every = _with_configurations(load(), variant)
    chosen = kernel_names(kernel)
    rows = {name: row for name, row in every.items() if row.kernel in chosen}
    if variant is None and matrix is None:
        return tuple(rows.values())
    wanted: set[str] = set()
    for name in _names("--variant", variant) if variant is not None else []:
        whole = name in every and (":" in name or kernel is None)
        wanted |= {name} if whole else _short(name, rows)
    if matrix is not None:
        options = _names("--matrix", matrix)
        for each in chosen:
            wanted |= _cross(options, [row for row in rows.values() if row.kernel == each])
    return tuple(row for row in every.values() if row.name in wanted)


def named(name: str) -> Variant:
    """The one variant with this name, the reference's by its short one. Raises UserError."""
    by_name = _with_configurations(load(), name)
    return by_name[_known("variant", name.strip(), by_name)]


def _with_configurations(every: dict[str, Variant], names: str | None) -> dict[str, Variant]:
    """The configurations too, where one is named: they take a second to find."""
    if names is None or configurations.PREFIX not in names:
        return every
    return every | {name: of_configuration(row) for name, row in configurations.rows().items()}


def kernel_names(text: str | None) -> list[str]:
    """The kernels that a command line asks for; without a word, those that are usual here.

    Raises UserError for an unknown or missing name.
    """
    known = kernels.load()
    if text is None:
        return [row.name for row in kernels.usual(packages.host_release().codename)]
    return [_known("kernel", name, known) for name in _names("--kernel", text)]


def _short(name: str, rows: Mapping[str, Variant]) -> set[str]:
    _known("variant", name, dict.fromkeys(row.short for row in rows.values()))
    return {row.name for row in rows.values() if row.short == name}


def _cross(options: list[str], rows: Sequence[Variant]) -> set[str]:
    candidates = [row for row in rows if row.in_matrix]
    offered = sorted({option for row in candidates for option in row.options})
    options = [_known("option", option, offered) for option in options]
    by_options = {row.options: row.name for row in candidates}
    subsets = (
        frozenset(chosen)
        for size in range(len(options) + 1)
        for chosen in itertools.combinations(options, size)
    )
    names: set[str] = set()
    for subset in subsets:
        if subset not in by_options:
            raise UserError(
                f"no variant has exactly the options {', '.join(sorted(subset))}",
                "add one to harness/matrix/variants.toml",
            )
        names.add(by_options[subset])
    return names


def _names(flag: str, text: str) -> list[str]:
    names = [name for part in text.split(",") if (name := part.strip())]
    if not names:
        raise UserError(f"{flag} names nothing", f"as in: {flag} passthrough,defrag")
    return names


def _known(kind: str, name: str, known: Iterable[str]) -> str:
    names = list(known)
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UserError(f"there is no {kind} {name}", f"{hint}known: {', '.join(names)}")
