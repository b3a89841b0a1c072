# SPDX-License-Identifier: GPL-2.0-only
"""Which tests can see a mutant, and in which order they are asked: by who runs its lines.

A line that nobody runs changes nothing. So only who does is asked: first a case of each function
that runs them, the quickest first, then the second of each, and so on: what one case of a function
does not see, the next seldom does.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.base import paths
from harness.base.errors import UserError
from harness.matrix import variants
from harness.mutate.mutants import MODULE, Mutant
from harness.record import linecoverage
from harness.record.linecoverage import BOOT, LineCoverage, Source, Test
from harness.upstream.patches import OVERLAY


@dataclass(frozen=True)
class Coverage:
    """What runs of the tests with --coverage have told, of which the first that fits is asked."""

    runs: tuple[LineCoverage, ...] = ()
    _digests: dict[str, str] = field(default_factory=dict, compare=False)

    def of(self, mutant: Mutant, variant: str, proofs: Iterable[str]) -> tuple[str, ...] | None:
        """Those of the tests `proofs` that can see a mutant on a variant, in the order in which to
        ask them; none if no test runs its lines.

        None if nothing is known of its file as it is, or its lines have no code.
        """
        found = self._source(mutant, variant)
        if found is None or mutant.fault is None:
            return None
        run, source = found
        lines = _with_code(source, mutant.fault.lines) or _with_code(source, mutant.fault.around)
        if not lines:
            return None
        ran = [run.tests[place] for line in lines for place in source.ran.get(line, ())]
        # What another variant of the kernel runs says something of one that was not asked.
        if any(test.variant == variant for test in run.tests):
            ran = [test for test in ran if test.variant == variant]
        names = {test.name for test in ran}
        known = {test.name for test in run.tests}
        there = list(proofs)
        # What a boot runs, any test may see; and of a new one nothing is known.
        others = [
            test for test in there if test not in names and (BOOT in names or test not in known)
        ]
        return (*_order([test for test in ran if test.name in there]), *others)

    def _source(self, mutant: Mutant, variant: str) -> tuple[LineCoverage, Source] | None:
        kernel = variants.named(variant).kernel
        for run in self.runs:
            source = run.sources.get(kernel, {}).get(mutant.edit.file)
            if source is not None and source.digest == self._digest(mutant):
                return run, source
        return None

    def _digest(self, mutant: Mutant) -> str:
        file = mutant.edit.file
        if file not in self._digests:
            self._digests[file] = linecoverage.digest(path_of(mutant).read_bytes())
        return self._digests[file]


NOTHING = Coverage()


def path_of(mutant: Mutant) -> Path:
    """The file that a fault is made in."""
    if mutant.source == MODULE:
        return paths.ROOT / mutant.edit.file
    return paths.PATCHES / mutant.edit.part / OVERLAY / mutant.edit.file


def _with_code(source: Source, lines: tuple[int, int]) -> list[int]:
    return [line for line in range(lines[0], lines[1] + 1) if line in source.code]


def _order(ran: Iterable[Test]) -> tuple[str, ...]:
    """The names of tests, a case of each function first (pure)."""
    cases: dict[str, dict[str, float]] = {}
    for test in ran:
        own = cases.setdefault(test.name.partition("[")[0], {})
        own[test.name] = min(test.seconds, own.get(test.name, test.seconds))
    ranked = [
        (number, seconds, name)
        for own in cases.values()
        for number, (seconds, name) in enumerate(sorted((took, name) for name, took in own.items()))
    ]
    return tuple(name for _, _, name in sorted(ranked))


def mixed(covering: Sequence[str], named: Sequence[str]) -> tuple[str, ...]:
    """All of `covering`, every second one the next of those that are `named`, too: of what the
    function serves (pure).
    """
    allowed = dict.fromkeys(covering)
    functions: dict[str, list[str]] = {}
    for test in named:
        if test in allowed:
            functions.setdefault(test.partition("[")[0], []).append(test)
    # A case of each function first, as of the others.
    hints = [test for row in itertools.zip_longest(*functions.values()) for test in row if test]
    pairs = itertools.zip_longest(covering, hints)
    return tuple(dict.fromkeys(test for pair in pairs for test in pair if test))


def load(given: str | None) -> Coverage:
    """The coverage that a command line names; without a word, that of this checkout's runs, of all
    tests only, the newest first.

    Raises UserError for a file that is none.
    """
    if given is not None:
        return Coverage((linecoverage.read(Path(given)),))
    found = []
    for path in linecoverage.newest(paths.RUNS):
        try:
            run = linecoverage.read(path)
        except UserError:
            # One of another version says nothing.
            continue
        if run.whole:
            found.append(run)
    return Coverage(tuple(found))
