# SPDX-License-Identifier: GPL-2.0-only
"""Every statement of SPEC.md, and every case of it, has a test; what has none is told."""

from __future__ import annotations

import itertools
import json

import pytest

from harness.base import paths
from harness.base.errors import UserError
from harness.matrix import statements, variants
from harness.run import statementtests, worker
from harness.upstream import releases

pytestmark = pytest.mark.slow


def test_every_statement_and_case_has_a_test() -> None:
    assert statementtests.unproved(statements.load(), statementtests.by_part()) == []


def test_every_case_has_a_test_on_each_variant_to_which_it_applies() -> None:
    known = statements.load()
    tests = worker.collect(paths.GUEST_TESTS)
    lacking = []
    archives = tuple(source.gives for source in releases.load().values())
    assert all(archives)
    # Nor does it depend on a test that needs what only a missing archive gives.
    missing = [set(gone) for n in range(3) for gone in itertools.combinations(archives, n)]
    for variant, gone in itertools.product(variants.load().values(), missing):
        has = statements.features(variant) - gone
        run = [t for t in tests.values() if not statements.why_skipped(t, has, known)]
        proved = {name for names in run for name in names}
        for statement in known.values():
            for name, part in statement.parts.items():
                if statements.unmet(part.needs, has) is None and name not in proved:
                    lacking.append(f"{name} on {variant.name} without {gone or 'nothing'}")
    assert lacking == []


def test_case_without_a_test_is_named() -> None:
    known = {name: row for name, row in statements.load().items() if name in ("S1", "S12")}
    parts = [name for row in known.values() for name in row.parts]
    assert len(parts) > 2
    assert statementtests.unproved(known, {name: ["t"] for name in parts[1:]}) == parts[:1]


def test_unknown_statement_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="there is no statement s99"):
        statementtests.show("s99")


def test_test_is_named_once_with_the_number_of_its_cases() -> None:
    tests = ["a/t.py::one[x]", "a/t.py::two", "a/t.py::one[y]", "a/t.py::one[[z]/w]", "a/t.py::on"]
    assert statementtests.in_short(tests) == ["t.py::one (3 cases)", "t.py::two", "t.py::on"]


def test_statements_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    statementtests.show("S1", as_json=True)
    told = json.loads(capsys.readouterr().out)
    (row,) = told["statements"]
    assert (told["schema"], set(row)) == (1, {"statement", "origin", "text", "parts"})
    assert {key for part in row["parts"] for key in part} == {"part", "needs", "text", "tests"}
    assert all(part["tests"] for part in row["parts"])
