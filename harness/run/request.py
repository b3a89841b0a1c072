# SPDX-License-Identifier: GPL-2.0-only
"""What a run of the guest tests is asked to do."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from harness.matrix.variants import Variant

# A session waits a third of its time, for its guest or for its tests.
_SESSIONS_PER_PROCESSOR = 2

# From so many tests on, what each restore of the guest costs matters more than its boot.
_LONG = 60


def default_jobs() -> int:
    """How many guests to run at once where nobody says."""
    return _SESSIONS_PER_PROCESSOR * len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Request:
    """What a run is to do. `jobs` guests run at once; `seed` shuffles the tests.

    `modules` are the files that hold what `expression` selects; none: all are read for it.
    `tests` are those that it selects, with what each proves, if that is known already. `traced`
    has for variants the addresses whose blocks are to be told. `owed` are those of the tests that
    have to run, by the variant, with what each needs of it.
    """

    variants: tuple[Variant, ...]
    expression: str = ""
    jobs: int = 1
    seed: int = 0
    keep: bool = False
    given: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    tests: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    traced: Mapping[str, str] = field(default_factory=dict)
    owed: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)

    @property
    def long(self) -> bool:
        """Whether each guest serves so many tests that a slower boot pays."""
        return not 0 < len(self.tests) < _LONG

    def traced_as(self, addresses: Mapping[str, str]) -> Request:
        """The same request, with these addresses traced on each variant."""
        return replace(self, traced=addresses)

    @property
    def command(self) -> str:
        """The command line that does the same run again."""
        words = ["./inv", "test", "--variant", ",".join(row.name for row in self.variants)]
        words += ["-k", self.expression] if self.expression else []
        words += [word for row in self.given for word in ("--source", row)]
        return shlex.join([*words, "--seed", str(self.seed), "--jobs", str(self.jobs)])
