# SPDX-License-Identifier: GPL-2.0-only
"""Where statements hold is data; what does not hold is skipped with that as the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import paths, statements, variants
from harness.errors import UserError

KNOWN = statements.load()
WORDS = {"patched", "divert", "passthrough", "defrag"}


def has(variant: str) -> frozenset[str]:
    return statements.features(variants.named(variant))


def test_features_of_the_variants() -> None:
    assert has("stock") == frozenset()
    assert has("off") == {"patched"}
    assert has("base") == {"patched", "divert"}
    assert has("passthrough+defrag") == WORDS


def test_data_is_whole() -> None:
    chapters = {"S": 12, "R": 6, "P": 4, "I": 8, "T": 4, "F": 7, "O": 3, "C": 5, "X": 5}
    expected = [f"{letter}{n}" for letter, count in chapters.items() for n in range(1, count + 1)]
    assert list(KNOWN) == expected
    for statement in KNOWN.values():
        assert statement.text
        assert {origin[0] for origin in statement.origin} <= set("HFKD")
        for needs in (statement.needs, *(case.needs for case in statement.cases.values())):
            assert {need.removeprefix("no ") for need in needs} <= WORDS


@pytest.mark.parametrize(
    ("names", "variant", "reason"),
    [
        (["S1"], "base", None),
        (["S1"], "off", "not applicable: S1 needs a kernel with divert"),
        (["S2"], "off", None),
        (["S2"], "defrag", "not applicable: S2 needs a kernel with no divert"),
        (["I2", "F1"], "passthrough", None),
        (["I2", "F1"], "defrag", "not applicable: F1 needs a kernel with no defrag"),
        (["R2/path"], "stock", None),
        (["O2"], "stock", "not applicable: O2 needs a kernel with patched"),
    ],
)
def test_why_not_applicable(names: list[str], variant: str, reason: str | None) -> None:
    assert statements.why_not_applicable(names, has(variant), KNOWN) == reason


@pytest.mark.parametrize("name", ["S99", "S1/nonsense", "", "s1"])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(UserError):
        statements.needs(name, KNOWN)


def test_statement_with_cases_is_named_by_its_cases() -> None:
    assert list(KNOWN["S1"].parts) == ["S1"]
    assert list(KNOWN["X5"].parts) == ["X5/compiles", "X5/run"]
    # A case in one string has the needs of its statement.
    assert statements.needs("R2/hooks", KNOWN) == KNOWN["R2"].needs
    with pytest.raises(UserError, match="a test has to name one"):
        statements.needs("X5", KNOWN)


def test_differences(tmp_path: Path) -> None:
    file = tmp_path / "differences.toml"
    file.write_text(
        "[colour]\nrows = [\n"
        '{ needs = ["defrag"], is = "red" },\n{ needs = ["divert"], is = "blue" },\n]\n'
    )
    assert statements.difference("colour", has("base"), file) == "blue"
    assert statements.difference("colour", has("passthrough+defrag"), file) == "red"
    for name, variant in (("colour", "off"), ("size", "base")):
        with pytest.raises(UserError, match="nothing says"):
            statements.difference(name, has(variant), file)


def test_differences_of_the_project() -> None:
    assert (paths.DATA / "differences.toml").is_file()
    for variant, expected in (("base", "dropped"), ("passthrough", "passes")):
        assert statements.difference("no-listener", has(variant)) == expected
