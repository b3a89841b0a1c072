# SPDX-License-Identifier: GPL-2.0-only
"""The kernels by name: which parts of the series, which fragments of the configuration."""

from __future__ import annotations

import difflib
import itertools
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness import paths
from harness.errors import UserError

# The fragment that makes a kernel one of the matrix: a kernel with divert sockets (SPEC.md O3).
MATRIX_FRAGMENT = "divert"


@dataclass(frozen=True)
class Variant:
    """One kernel: parts of the series, fragments over base.config, and the options they make."""

    name: str
    series: tuple[str, ...]
    fragments: tuple[str, ...]
    options: frozenset[str]
    what: str = ""


def load() -> dict[str, Variant]:
    """All variants by name, in the order of harness/data/variants.toml."""
    with (paths.DATA / "variants.toml").open("rb") as stream:
        data = tomllib.load(stream)
    return {
        name: Variant(
            name,
            tuple(row["series"]),
            tuple(row["fragments"]),
            frozenset(row["options"]),
            row.get("what", ""),
        )
        for name, row in data.items()
    }


def select(variant: str | None = None, matrix: str | None = None) -> tuple[Variant, ...]:
    """The variants that a command line asks for, each once, in the order of the data file.

    `variant` is names separated by commas. `matrix` is options separated by commas, and stands for
    every combination of them, none included: n options are 2**n variants. With both, all that
    either names; with neither, every variant there is.

    Raises UserError for an unknown or missing name; it says which there are and what is near.
    """
    by_name = load()
    if variant is None and matrix is None:
        return tuple(by_name.values())
    wanted: set[str] = set()
    if variant is not None:
        wanted |= {_known("variant", name, by_name) for name in _names("--variant", variant)}
    if matrix is not None:
        wanted |= _cross(_names("--matrix", matrix), by_name)
    return tuple(row for row in by_name.values() if row.name in wanted)


def named(name: str) -> Variant:
    """The one variant with this name. Raises UserError if there is none."""
    by_name = load()
    return by_name[_known("variant", name.strip(), by_name)]


def _cross(options: list[str], by_name: Mapping[str, Variant]) -> set[str]:
    candidates = [row for row in by_name.values() if MATRIX_FRAGMENT in row.fragments]
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
                "add one to harness/data/variants.toml",
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
