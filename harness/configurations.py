# SPDX-License-Identifier: GPL-2.0-only
"""The reference in other configurations than the variants' (SPEC.md O4), as data."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness import command, kernel, kernelconfig, patches, paths, sources, variants
from harness.kernel import Kernel
from harness.kernelconfig import Option

FILE = paths.DATA / "configurations.toml"
# The variant that each of them changes.
BASE = "base"


@dataclass(frozen=True)
class Configuration:
    """One configuration: options and macros over the variant BASE; whether it is there to boot."""

    name: str
    what: str
    options: tuple[Option, ...]
    defines: tuple[str, ...]
    boots: bool

    @property
    def flags(self) -> tuple[str, ...]:
        """What the compiler is given besides."""
        return tuple(f"-D{name}" for name in self.defines)


def load() -> dict[str, Configuration]:
    """All of them by name, in the order of harness/data/configurations.toml."""
    with FILE.open("rb") as stream:
        data = tomllib.load(stream)
    return {
        name: Configuration(
            name,
            row["what"],
            tuple(
                Option(f"CONFIG_{symbol}", value, FILE.name)
                for symbol, value in row["options"].items()
            ),
            tuple(row["defines"]),
            row["boots"],
        )
        for name, row in data.items()
    }


def build(row: Configuration, *, given: Sequence[str] = ()) -> Kernel:
    """The whole kernel, from the cache or built. Raises what kernel.build raises."""
    variant = replace(variants.load()[BASE], name=f"{BASE}+{row.name}")
    return kernel.build(variant, given=given, changes=row.options, flags=row.flags)


def compile_network(row: Configuration, folder: Path, *, given: Sequence[str] = ()) -> None:
    """Compile net/ alone, in a tree of its own in `folder`: half a minute instead of two.

    Raises MissingSourceError without the source, InfrastructureError if an option does not take
    effect or the compiler fails, with its first errors.
    """
    variant = variants.load()[BASE]
    source = sources.obtain(kernel.SOURCE, given)
    series = patches.load_parts(kernel.SOURCE, variant.series)
    log, tree = command.new_log(f"configuration-{row.name}"), folder / "linux"
    what = f"the configuration {row.name}"
    kernel.prepare(source, series, tree, log)
    asked = kernelconfig.overlaid(kernelconfig.compose(variant.fragments), row.options)
    kernel.configure(asked, tree, log, what=what)
    kernel.compile_target("_dir_net", tree, log, what=what, flags=row.flags)
