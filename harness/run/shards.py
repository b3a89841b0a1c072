# SPDX-License-Identifier: GPL-2.0-only
"""A run divided among machines: which tests of which variant each of them has.

Every machine works it out for itself, from what all of them have: the tests that there are, the
inventory, and what tests took once (slow.toml), never what this machine remembers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from harness.base.errors import UserError
from harness.matrix import kernels
from harness.matrix.variants import Variant
from harness.record import shares
from harness.run import estimate, slowtests

# A test that does not apply to its variant costs hardly anything.
_SKIPPED_MS = 1

_FORM = re.compile(r"([1-9]\d*)/([1-9]\d*)")


@dataclass(frozen=True)
class Shard:
    """Number `number` of so many, from 1 on, of a run of the variants named.

    `share` has the tests that are its own, by variant; `division` is the digest of all shares.
    """

    number: int
    of: int
    variants: tuple[str, ...] = ()
    share: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    division: str = ""

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def parse(text: str) -> Shard:
    """The shard that a command line names, as `3/8`. Raises UserError."""
    found = _FORM.fullmatch(text)
    if found is None or int(found[1]) > int(found[2]):
        raise UserError(
            f"--shard {text}: it has to be a number and of how many, from 1 on",
            "as in: --shard 3/8",
        )
    return Shard(int(found[1]), int(found[2]))


def assigned(
    shard: Shard,
    chosen: Sequence[Variant],
    tests: Sequence[str],
    owed: Mapping[str, Mapping[str, object]],
) -> Shard:
    """The shard with its share of the `tests` on the variants `chosen`; `owed` has those that
    apply, by variant.

    Raises UserError if there are fewer of these than shards.
    """
    costs = _Costs(chosen)
    lot = [piece for variant in chosen for piece in _line(variant, tests, owed, costs)]
    pieces = list(_pieces(lot))
    if len(pieces) < shard.of:
        raise UserError(
            f"--shard {shard}: there are only {len(pieces)} tests to be divided",
            f"take fewer shards: {shard.number if shard.number <= len(pieces) else 1}/"
            f"{len(pieces) or 1}",
        )
    divided = [_share(piece) for piece in divide(pieces, costs.of_variants, shard.of)]
    return Shard(
        shard.number,
        shard.of,
        tuple(variant.name for variant in chosen),
        divided[shard.number - 1],
        shares.digest(divided),
    )


@dataclass(frozen=True)
class Test:
    """A test on a variant, what it costs in milliseconds, and whether it applies there."""

    __test__ = False  # not a test class, whatever its name begins with
    variant: str
    name: str
    cost: int
    applies: bool = True


# What stays together: a test that applies, and those behind it that do not.
Piece = Sequence[Test]


def divide(pieces: Sequence[Piece], of_variants: Mapping[str, int], of: int) -> list[list[Test]]:
    """So many parts of a line of pieces, none of them empty, such that the dearest is as cheap as
    can be (pure).

    A part has what stands together in the line, so that it has few variants; each of these costs it
    `of_variants` besides: a build, a boot. There have to be as many pieces as parts.
    """
    low, high = 0, sum(of_variants.values()) + sum(test.cost for each in pieces for test in each)
    while low < high:
        middle = (low + high) // 2
        if len(_filled(pieces, of_variants, middle)) <= of:
            high = middle
        else:
            low = middle + 1
    parts = _filled(pieces, of_variants, high)
    while len(parts) < of:
        # That of most pieces is cut in two: where single tests take longest, some part is left.
        most = max(range(len(parts)), key=lambda place: len(parts[place]))
        half = len(parts[most]) // 2
        parts[most : most + 1] = [parts[most][:half], parts[most][half:]]
    return [[test for piece in part for test in piece] for part in parts]


def _filled(
    pieces: Sequence[Piece], of_variants: Mapping[str, int], room: int
) -> list[list[Piece]]:
    """The parts, if each has so much room, or one piece."""
    parts: list[list[Piece]] = []
    left, there = 0, set[str]()
    for piece in pieces:
        own = sum(test.cost for test in piece)
        names = {test.variant for test in piece}
        cost = own + sum(of_variants.get(name, 0) for name in names - there)
        if not parts or cost > left:
            parts.append([])
            left, there = room, set()
            cost = own + sum(of_variants.get(name, 0) for name in names)
        parts[-1].append(piece)
        left -= cost
        there |= names
    return parts


def _pieces(line: Sequence[Test]) -> Iterator[Piece]:
    """Cut before each test that applies: a machine that has none would have nothing to prove."""
    piece: list[Test] = []
    seen = False
    for test in line:
        if test.applies and seen:
            yield piece
            piece = []
        seen |= test.applies
        piece.append(test)
    if seen:
        yield piece


def _share(part: Sequence[Test]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for test in part:
        found.setdefault(test.variant, []).append(test.name)
    return {variant: tuple(names) for variant, names in found.items()}


class _Costs:
    """What tests and variants cost, in milliseconds."""

    def __init__(self, chosen: Sequence[Variant]) -> None:
        self._tests = slowtests.load()
        self._kernels = kernels.load()
        recorded = estimate.load()
        builds = recorded.builds
        self.of_variants = {
            row.name: round(
                1000 * (recorded.begin + estimate.of_kernel(builds, row.kernel, self._kernels))
            )
            for row in chosen
        }

    def of_test(self, kernel: str, name: str) -> int:
        row = estimate.of_kernel(self._tests, kernel, self._kernels)
        return round(1000 * row.slow.get(slowtests.function(name), row.usual))


def _line(
    variant: Variant,
    tests: Sequence[str],
    owed: Mapping[str, Mapping[str, object]],
    costs: _Costs,
) -> Iterator[Test]:
    own = owed.get(variant.name, {})
    for name in sorted(tests):
        applies = name in own
        cost = costs.of_test(variant.kernel, name) if applies else _SKIPPED_MS
        yield Test(variant.name, name, cost, applies)
