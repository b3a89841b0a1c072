# SPDX-License-Identifier: GPL-2.0-only
"""Upstream's archives: which are not at hand, and what a guest has only where they are."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from harness.base import datafile, terminal
from harness.base.errors import MissingSourceError
from harness.matrix import features, statements
from harness.matrix.kernels import Kernel
from harness.matrix.variants import Variant
from harness.upstream import releases, sources


@dataclass(frozen=True)
class Upstream:
    """What is `missing`: names of upstream sources, each with the error that says where to put it.

    Each is missed on its own: only a kernel that is built from one cannot be without it.
    """

    missing: Mapping[str, MissingSourceError] = field(default_factory=dict)

    def require(self, row: Kernel) -> None:
        """Raise MissingSourceError if what is missing keeps a kernel from being built."""
        for name in row.sources:
            if name in self.missing:
                raise self.missing[name]

    def lacks(self, variant: Variant) -> dict[str, str]:
        """What the guest of a variant would have, in the words of features.toml, and the source
        that is missing for it.
        """
        has = statements.features(variant)
        given = {releases.load()[name].gives: name for name in self.missing}
        return {feature: name for feature, name in given.items() if feature in has}

    def has(self, variant: Variant) -> tuple[str, ...]:
        """What the guest of a variant has, in the same words."""
        return tuple(sorted(statements.features(variant) - self.lacks(variant).keys()))


def look(given: Sequence[str] = ()) -> Upstream:
    """Which sources are not here, not among those `given` as NAME=PATH, and not to be downloaded.

    Raises UserError for what is given wrongly.
    """
    missing = {}
    every, words = releases.load(), features.words()
    releases.DATA.refuse(
        fault
        for name, source in every.items()
        if source.gives
        for fault in datafile.among((name, "gives"), source.gives, words)
    )
    for name, source in every.items():
        try:
            sources.locate(source, given)
        except MissingSourceError as error:
            missing[name] = error
    return Upstream(missing)


def tell(names: Collection[str]) -> None:
    """Say of sources that are missing what guests have instead, and where to put them."""
    for name, source in releases.load().items():
        if name in names:
            terminal.say(f"{source.title} is missing, so {source.instead}; {sources.place(source)}")
