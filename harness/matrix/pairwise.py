# SPDX-License-Identifier: GPL-2.0-only
"""Covering arrays: few rows in which each two factors have each two values that can go together."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

# What a factor can be; in a domain of one value it is that.
Domains = dict[str, frozenset[str]]
# At least one of the factors has one of its values: dependencies, each as what they amount to.
Clause = Mapping[str, frozenset[str]]
# Two factors, the one that comes first in the model first, and a value of each.
Pair = tuple[str, str, str, str]
Row = dict[str, str]


class Model:
    """Factors with their values, and what does not go together.

    Of the values of a factor that fit a row equally well, the first is taken.
    """

    def __init__(self, factors: Mapping[str, Sequence[str]], clauses: Iterable[Clause]) -> None:
        self.factors = {name: tuple(values) for name, values in factors.items()}
        self._clauses: dict[str, list[Clause]] = {name: [] for name in factors}
        for clause in clauses:
            for name in clause:
                self._clauses[name].append(clause)

    def narrowed(self, domains: Mapping[str, frozenset[str]], given: Row) -> Domains | None:
        """The domains when `given` holds too, with all that follows; None if that cannot be."""
        narrow = dict(domains)
        changed = list(given)
        for name, value in given.items():
            narrow[name] &= {value}
        while changed:
            name = changed.pop()
            if not narrow[name]:
                return None
            for clause in self._clauses[name]:
                left = [other for other in clause if narrow[other] & clause[other]]
                if not left:
                    return None
                if len(left) == 1 and not narrow[left[0]] <= clause[left[0]]:
                    narrow[left[0]] &= clause[left[0]]
                    changed.append(left[0])
        return narrow

    def completed(self, domains: Domains | None) -> Row | None:
        """The first row in these domains; None if there is none."""
        if domains is None:
            return None
        name = next((name for name, domain in domains.items() if len(domain) > 1), None)
        if name is None:
            return {name: next(iter(domain)) for name, domain in domains.items()}
        for value in self.factors[name]:
            if value in domains[name]:
                row = self.completed(self.narrowed(domains, {name: value}))
                if row is not None:
                    return row
        return None

    def domains(self, fixed: Row) -> Domains | None:
        """What each factor can be where `fixed` holds; None if that cannot be."""
        return self.narrowed({n: frozenset(values) for n, values in self.factors.items()}, fixed)

    def pairs(self, fixed: Row) -> dict[Pair, None]:
        """Every pair of values that some row with `fixed` has."""
        domains = self.domains(fixed)
        if domains is None:
            return {}
        return {
            (one, value, other, second): None
            for one, other in itertools.combinations(self.factors, 2)
            for value in self.factors[one]
            for second in self.factors[other]
            if self.completed(self.narrowed(domains, {one: value, other: second})) is not None
        }

    def rows(self, fixed: Row, before: Iterable[Row] = ()) -> Iterator[Row]:
        """Rows with `fixed` that have every such pair which no row of `before` has.

        Each has as many pairs that are new as one finds who takes the best next step, so the first
        rows differ most.
        """
        missing = self.pairs(fixed)
        for row in before:
            self._strike(missing, row)
        domains = self.domains(fixed)
        while missing and domains is not None:
            row = self._best(missing, domains)
            self._strike(missing, row)
            yield row

    def _strike(self, missing: dict[Pair, None], row: Row) -> None:
        for one, other in itertools.combinations(self.factors, 2):
            missing.pop((one, row[one], other, row[other]), None)

    def _best(self, missing: Mapping[Pair, None], domains: Domains) -> Row:
        """A row that has the first pair that is missing, and what next to it brings most others."""
        gains: dict[tuple[str, str], dict[tuple[str, str], None]] = {}
        for one, value, other, second in missing:
            gains.setdefault((one, value), {})[other, second] = None
            gains.setdefault((other, second), {})[one, value] = None
        one, value, other, second = next(iter(missing))
        row = self.narrowed(domains, {one: value, other: second})
        assert row is not None
        while True:
            sure = {each for each in _single(row) if each in gains}
            open_ = [
                (name, value) for name, value in gains if len(row[name]) > 1 and value in row[name]
            ]
            # Of what brings nothing now, that of which most is missing will bring most later.
            open_.sort(key=lambda each: (-len(gains[each].keys() & sure), -len(gains[each])))
            for name, value in open_:
                narrow = self.narrowed(row, {name: value})
                if self.completed(narrow) is not None and narrow is not None:
                    row = narrow
                    break
            else:
                break
        made = self.completed(row)
        assert made is not None
        return made


def _single(domains: Domains) -> Iterator[tuple[str, str]]:
    for name, domain in domains.items():
        if len(domain) == 1:
            yield name, next(iter(domain))
