# SPDX-License-Identifier: GPL-2.0-only
"""How a run was divided among machines: what each shard says of the division, to be put together.

A share has, for each variant, the tests that one shard runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from harness.base import fingerprint

Share = Mapping[str, Sequence[str]]


def digest(shares: Iterable[Share]) -> str:
    """What a whole division is known by: each test of each variant, and whose it is.

    Each shard has it of the whole, so that of the shares that were run it tells that together they
    are all that was to be run: no test less, none twice, none at another shard.
    """
    parts = []
    for number, share in enumerate(shares, 1):
        for variant, tests in sorted(share.items()):
            parts += [str(number), variant, str(len(tests)), *sorted(tests)]
    return fingerprint.of_bytes(*parts)
