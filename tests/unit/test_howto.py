# SPDX-License-Identifier: GPL-2.0-only
"""The HOWTO's claims in docs/howto.md: each has its statement and its test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from harness.base import paths
from harness.matrix import statements
from harness.run import statementtests

pytestmark = pytest.mark.slow

_ORIGIN = "H"


@dataclass(frozen=True)
class Claim:
    """One row of the table."""

    section: str
    text: str
    proved: tuple[str, ...]
    tests: tuple[str, ...]


def claims() -> list[Claim]:
    rows = []
    for line in (paths.ROOT / "docs" / "howto.md").read_text().splitlines():
        if line.startswith("|") and not line.startswith(("|-", "| section")):
            section, text, proved, tests = (cell.strip() for cell in line.strip("|").split("|"))
            rows.append(Claim(section, text, _words(proved), _words(tests)))
    return rows


def _words(cell: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in cell.split(",") if word.strip())


@pytest.fixture(name="proving", scope="module")
def _proving() -> dict[str, set[str]]:
    """What each guest test proves: file and function -> statements and cases."""
    found: dict[str, set[str]] = {}
    for name, tests in statementtests.by_part().items():
        for test in tests:
            found.setdefault(test.partition("[")[0].rpartition("/")[2], set()).add(name)
    return found


def test_there_are_rows_of_each_section() -> None:
    assert len(claims()) > 40
    assert {claim.section[0] for claim in claims()} == {"4", "5", "6", "7"}


@pytest.mark.parametrize("claim", claims(), ids=lambda claim: claim.text[:40])
def test_a_claim_has_a_statement_and_a_test_that_proves_it(
    claim: Claim, proving: dict[str, set[str]]
) -> None:
    assert claim.proved
    assert claim.tests
    for name in claim.proved:
        statements.needs(name, statements.load())
    unknown = [test for test in claim.tests if test not in proving]
    assert not unknown, f"docs/howto.md names what is no guest test: {unknown}"
    for test in claim.tests:
        assert proving[test] & set(claim.proved), f"{test} proves none of {claim.proved}"
    proved = set[str]().union(*(proving[test] for test in claim.tests))
    assert set(claim.proved) <= proved, "no test named here proves it"


def _sections(origin: Sequence[str]) -> list[str]:
    return [each.removeprefix(_ORIGIN).strip() for each in origin if each.startswith(_ORIGIN)]


def test_every_statement_of_the_howtos_has_a_row_of_its_section() -> None:
    rows = {(claim.section, name.partition("/")[0]) for claim in claims() for name in claim.proved}
    named = {name for _, name in rows}
    missing = [
        (name, section)
        for name, statement in statements.load().items()
        for section in _sections(statement.origin)
        if (section, name) not in rows and (section or name not in named)
    ]
    assert not missing, "\n".join(
        f"docs/howto.md has no row of section {section or '(any)'} for {name}, whose origin is "
        "there: add one, with a test"
        for name, section in missing
    )
