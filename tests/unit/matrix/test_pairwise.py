# SPDX-License-Identifier: GPL-2.0-only
"""Covering arrays: every pair that can be, none that cannot, and the same rows each time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.matrix.pairwise import Model, Row

NAMES = "abcde"
VALUES = ("y", "n")


def every(model: Model, clauses: Iterable[Mapping[str, frozenset[str]]]) -> list[Row]:
    """All rows that keep the clauses, found by looking at each."""
    clauses = list(clauses)
    crossed = (
        dict(zip(model.factors, values, strict=True))
        for values in itertools.product(*model.factors.values())
    )
    return [
        row
        for row in crossed
        if all(any(row[name] in right for name, right in clause.items()) for clause in clauses)
    ]


def pairs(rows: Iterable[Row]) -> set[tuple[str, str, str, str]]:
    return {(*one, *other) for row in rows for one, other in itertools.combinations(row.items(), 2)}


CLAUSES = st.lists(
    st.dictionaries(
        st.sampled_from(NAMES),
        st.sampled_from(VALUES).map(lambda value: frozenset({value})),
        min_size=1,
        max_size=3,
    ),
    max_size=6,
)


@given(CLAUSES)
def test_has_every_pair_that_can_be_and_no_other(
    clauses: list[dict[str, frozenset[str]]],
) -> None:
    model = Model(dict.fromkeys(NAMES, VALUES), clauses)
    right = every(model, clauses)
    rows = list(model.rows({}))
    assert all(row in right for row in rows)
    assert pairs(rows) == pairs(right) == set(model.pairs({}))


@pytest.fixture
def model() -> Model:
    """b needs a; c of three values, of which m needs a."""
    factors = {"a": ("y", "n"), "b": ("y", "n"), "c": ("y", "m", "n"), "d": ("y", "n")}
    needs = {"b": frozenset("n"), "a": frozenset("y")}
    return Model(factors, [needs, {"c": frozenset("yn"), "a": frozenset("y")}])


def test_what_is_fixed_is_in_each_row(model: Model) -> None:
    rows = list(model.rows({"c": "m"}))
    assert {(row["a"], row["c"]) for row in rows} == {("y", "m")}
    assert {row["d"] for row in rows} == {row["b"] for row in rows} == {"y", "n"}


def test_nothing_where_what_is_fixed_cannot_be(model: Model) -> None:
    assert list(model.rows({"a": "n", "b": "y"})) == []


def test_what_rows_before_have_is_not_made_again(model: Model) -> None:
    rows = list(model.rows({}))
    assert list(model.rows({}, rows)) == []
    first, *rest = rows
    assert pairs(model.rows({}, rest)) >= pairs([first]) - pairs(rest)


def test_the_same_each_time_and_the_most_new_first(model: Model) -> None:
    rows = list(model.rows({}))
    assert rows == list(model.rows({}))
    seen: set[tuple[str, str, str, str]] = set()
    new = []
    for row in rows:
        new.append(len(pairs([row]) - seen))
        seen |= pairs([row])
    assert new[0] == max(new)


def test_ten_factors_are_covered_by_few_rows() -> None:
    free = Model(dict.fromkeys("abcdefghij", VALUES), [])
    # Of 1,024 that there are; the least that would do is 6.
    assert len(list(free.rows({}))) <= 10
