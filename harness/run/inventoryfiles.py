# SPDX-License-Identifier: GPL-2.0-only
"""The inventory of the tests as files, to be read as a diff: inventory.toml and applies.toml.

Kernels on which the same tests run are named together, and a new test is a line of its own.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base.datafile import Fault, Schema
from harness.base.errors import TestsFailedError, UserError
from harness.matrix import configurations, kernels, variants

FILE = "inventory.toml"
APPLIES = "applies.toml"
COMMAND = "./inv inventory"
# In APPLIES: which kernels are as another one, and the reference's other configurations.
_KERNELS, _CONFIGURATIONS = "kernels", "configurations"

# By its module, and by the function in it, the number of a test's cases by its needs.
TESTS = Schema(dict[str, dict[str, dict[str, str]]], f"tests/guest/*/{FILE}")
# By its needs, the names of variants, by the kernel; and which kernels are as another one.
RUNS = Schema(dict[str, dict[str, str | tuple[str, ...]]], f"tests/guest/{APPLIES}")

# By its function, and by its needs, the number of a test's cases and their digest.
Functions = Mapping[str, Mapping[str, str]]
# By its needs, the names of the variants on which a test runs.
Applies = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Inventory:
    """`functions` by the name of the function (`p_nobody/test_p_nobody.py::test_x`), `applies` by
    the needs, both as the files have them.
    """

    functions: Functions
    applies: Applies

    @property
    def known(self) -> frozenset[str]:
        """All variants that it knows of."""
        return frozenset().union(*self.applies.values())


def read(folder: Path) -> Inventory:
    """The inventory of the tests in `folder`. Raises TestsFailedError if it cannot be read."""
    functions: dict[str, Mapping[str, str]] = {}
    try:
        for path in sorted(folder.rglob(FILE)):
            prefix = "".join(f"{part}/" for part in path.parent.relative_to(folder).parts)
            for module, own in TESTS.read(path).items():
                functions |= {f"{prefix}{module}::{name}": lines for name, lines in own.items()}
        same, table = _applies_of(folder / APPLIES)
    except UserError as error:
        raise TestsFailedError(error.message, f"see: {COMMAND} --write") from None
    applies = {wanted: frozenset(_expanded(rows, same)) for wanted, rows in table.items()}
    return Inventory(functions, applies)


def _applies_of(
    path: Path,
) -> tuple[Mapping[str, Sequence[str]], Mapping[str, Mapping[str, str]]]:
    """Which kernels are as another one, and on which variants tests of the same needs run."""
    same: dict[str, Sequence[str]] = {}
    table: dict[str, dict[str, str]] = {}
    faults = []
    for wanted, rows in RUNS.read(path).items():
        if wanted != _KERNELS:
            table[wanted] = {}
        for name, value in rows.items():
            if wanted == _KERNELS and not isinstance(value, str):
                same[name] = value
            elif wanted != _KERNELS and isinstance(value, str):
                table[wanted][name] = value
            else:
                kind = "a list of kernels" if wanted == _KERNELS else "the names of variants"
                faults.append(Fault((wanted, name), f"expected {kind}"))
    RUNS.refuse(faults, path)
    return same, table


def _expanded(rows: Mapping[str, str], same: Mapping[str, Sequence[str]]) -> Iterable[str]:
    for first, words in rows.items():
        for word in words.split():
            if first == _CONFIGURATIONS:
                yield f"{configurations.PREFIX}{word}"
            elif first == kernels.REFERENCE:
                yield word
            else:
                yield from (f"{kernel}:{word}" for kernel in (first, *same.get(first, ())))


def write(folder: Path, inventory: Inventory) -> None:
    """Write the inventory of the tests in `folder`; those of folders that have none any more go."""
    files = texts(inventory.functions, inventory.applies)
    for path in folder.rglob(FILE):
        if path.relative_to(folder).as_posix() not in files:
            path.unlink()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def texts(functions: Functions, applies: Applies) -> dict[str, str]:
    """The files of an inventory, by their names in the folder of the tests."""
    files: dict[str, dict[str, dict[str, Mapping[str, str]]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for name, lines in functions.items():
        path, _, function = name.partition("::")
        chapter, slash, module = path.rpartition("/")
        files[f"{chapter}{slash}{FILE}"][module][function] = lines
    written = {name: _chapter(modules) for name, modules in files.items()}
    return {**written, APPLIES: _applies(applies)}


def _head(what: str) -> list[str]:
    return [
        "# SPDX-License-Identifier: GPL-2.0-only",
        f"# {what}",
        f"# Written by {COMMAND} --write.",
    ]


def _chapter(modules: Mapping[str, Mapping[str, Mapping[str, str]]]) -> str:
    lines = _head(f"Of each test: what it needs of a kernel ({APPLIES}), its cases, their digest.")
    for module, functions in sorted(modules.items()):
        lines += ["", f"[{json.dumps(module)}]"]
        for name, own in functions.items():
            key = name if name.isidentifier() else json.dumps(name)
            pairs = ", ".join(
                f"{json.dumps(wanted)} = {json.dumps(n)}" for wanted, n in own.items()
            )
            lines.append(f"{key} = {{ {pairs} }}")
    return "\n".join([*lines, ""])


def _applies(applies: Applies) -> str:
    lines = _head("Where a test runs, by what it needs of a kernel.")
    lines += [
        "",
        "# Kernels on whose variants the same tests run as on those of the first.",
    ]
    groups = _alike(applies)
    lines.append(f"[{_KERNELS}]")
    for first, others in groups.items():
        lines.append(f"{json.dumps(first)} = {json.dumps(others)}")
    for wanted in sorted(applies):
        lines += ["", f"[{json.dumps(wanted)}]"]
        lines += [f"{json.dumps(n)} = {json.dumps(w)}" for n, w in _rows(applies[wanted], groups)]
    return "\n".join([*lines, ""])


def _rows(names: Collection[str], groups: Iterable[str]) -> Iterable[tuple[str, str]]:
    by_kernel = _by_kernel(names)
    for first in (kernels.REFERENCE, *groups, _CONFIGURATIONS):
        if own := by_kernel.get(first):
            yield first, " ".join(own)


def _by_kernel(names: Collection[str]) -> dict[str, list[str]]:
    """The short names of variants by the kernel, in the order of variants.toml."""
    order = list(dict.fromkeys(row.short for row in variants.load().values()))
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        kernel, colon, short = name.rpartition(":")
        if not colon and name.startswith(configurations.PREFIX):
            found[_CONFIGURATIONS].append(name.removeprefix(configurations.PREFIX))
        else:
            found[kernel or kernels.REFERENCE].append(short)
    place = {short: number for number, short in enumerate(order)}
    return {
        kernel: sorted(own, key=lambda each: (place.get(each, len(place)), each))
        for kernel, own in found.items()
    }


def _alike(applies: Applies) -> dict[str, list[str]]:
    """The distribution's kernels on which the same tests run, by the first of them."""
    rows = {wanted: _by_kernel(names) for wanted, names in applies.items()}
    groups: dict[tuple[tuple[str, ...], ...], list[str]] = defaultdict(list)
    for name in kernels.load():
        if name != kernels.REFERENCE:
            groups[tuple(tuple(own.get(name, ())) for own in rows.values())].append(name)
    return {first: others for first, *others in groups.values()}
