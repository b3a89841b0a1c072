# SPDX-License-Identifier: GPL-2.0-only
"""Where statements hold is data; what does not hold is skipped with that as the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base import paths
from harness.base.errors import UserError
from harness.matrix import configurations, features, kernels, statements, variants
from harness.matrix.statements import Case, Statement

KNOWN = statements.load()
OPTIONS = {"patched", "divert", "passthrough", "defrag"}
# Statements of the tests' own: those of SPEC.md get cases as they get tests.
TOY = {
    "D1": Statement("D1", ("D",), ("divert",), "with divert sockets", {}),
    "N1": Statement("N1", ("K",), ("no divert",), "without", {}),
    "F1": Statement("F1", ("D",), ("divert", "no defrag"), "fragments as they come", {}),
    "P1": Statement("P1", ("D",), ("patched",), "patched, whatever is on", {}),
    "C1": Statement(
        "C1", ("D",), ("divert",), "", {"wire": Case((), ""), "own": Case(("divert",), "")}
    ),
}


def has(variant: str) -> frozenset[str]:
    return statements.features(variants.named(variant))


def test_features_of_the_variants() -> None:
    reference = kernels.load()[kernels.REFERENCE].features
    assert has("stock") == reference
    assert has("off") == reference | {"patched"}
    assert has("base") == reference | {"patched", "divert"}
    assert has("passthrough+defrag") == reference | OPTIONS
    modern = kernels.load()["linux-6.1"]
    assert has("linux-6.1:stock") == modern.features
    with_module = modern.features | modern.module_features
    assert has("linux-6.1:passthrough+defrag") == with_module | OPTIONS - {"patched"}


def test_data_is_whole() -> None:
    words = features.words()
    for name, statement in KNOWN.items():
        assert statement.text, f"{name} has no text"
        strange = [each for each in statement.origin if each[0] not in "HFKD"]
        assert not strange, f"{name} is of {strange}: an origin begins with H, F, K or D"
        for needs in (statement.needs, *(case.needs for case in statement.cases.values())):
            unknown = {need.removeprefix("no ") for need in needs} - words
            assert not unknown, f"{name} needs {unknown}, of which features.toml knows nothing"


@pytest.mark.parametrize(
    ("names", "variant", "reason"),
    [
        (["D1"], "base", None),
        (["D1"], "off", "not applicable: D1 needs a kernel with divert"),
        (["N1"], "off", None),
        (["N1"], "defrag", "not applicable: N1 needs a kernel with no divert"),
        (["C1/own", "F1"], "passthrough", None),
        (["C1/own", "F1"], "defrag", "not applicable: F1 needs a kernel with no defrag"),
        (["C1/wire"], "stock", None),
        (["P1"], "stock", "not applicable: P1 needs a kernel with patched"),
    ],
)
def test_why_skipped(names: list[str], variant: str, reason: str | None) -> None:
    assert statements.why_skipped(names, has(variant), TOY) == reason


def test_why_skipped_for_what_is_missing() -> None:
    lacks = {"divert": "toy-1.0"}
    reason = statements.why_skipped(["D1"], has("off"), TOY, lacks)
    assert reason == "not run: D1 needs divert, and toy-1.0 is missing"
    # What would not apply if it were there does not apply.
    assert statements.missing(["divert", "smp"], frozenset(), lacks) is None
    assert statements.missing(["smp", "divert"], frozenset(), lacks) is None
    assert statements.missing(["chains"], frozenset({"chains"}), lacks) is None


@pytest.mark.parametrize("name", ["D99", "D1/nonsense", "", "d1"])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(UserError):
        statements.needs(name, TOY)


def test_statement_with_cases_is_named_by_its_cases() -> None:
    assert list(TOY["D1"].parts) == ["D1"]
    assert list(TOY["C1"].parts) == ["C1/wire", "C1/own"]
    with pytest.raises(UserError, match="a test has to name one"):
        statements.needs("C1", TOY)


def test_case_in_one_string_has_the_needs_of_its_statement() -> None:
    assert statements.needs("I2/bytes", KNOWN) == KNOWN["I2"].needs == ("divert",)
    assert statements.needs("I3/martian-wire", KNOWN) == ()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('["divert"]', '["divret"]', "7: S1.needs[1]: divret is not known, did you mean divert?"),
        ('["no divert"]', '["not divert"]', "S2.needs[1]: not divert is not known"),
        ('["H 4", "H 6.4"]', '["X 4"]', "6: S1.origin[1]: expected string matching regex"),
        (
            "[S1]\n",
            '[T9]\norigin = []\nneeds = []\ntext = ""\n[S1]\n',
            "5: T9: no name of this chapter's, as S1",
        ),
        ("\nbind = ", "\nbind.is = ", "S2.cases.bind.is: no such key; known: needs, text"),
        (
            "[S1]\n",
            "[S1]\nneed = 1\n",
            "6: S1.need: no such key, did you mean needs? known",
        ),
    ],
)
def test_chapter_that_is_not_as_it_should_be(old: str, new: str, says: str, tmp_path: Path) -> None:
    there = paths.ROOT / "harness" / "matrix" / "statements"
    for file in there.glob("*.toml"):
        text = file.read_text()
        (tmp_path / file.name).write_text(text.replace(old, new, 1) if file.stem == "s" else text)
    with pytest.raises(UserError) as caught:
        statements.load(tmp_path)
    assert f"{tmp_path}/s.toml:" in caught.value.message
    assert says in caught.value.message


def test_each_word_is_what_some_kernel_has() -> None:
    """One that no kernel has would be a need that nothing meets."""
    had = frozenset().union(*(has(name) for name in variants.load()))
    choices = configurations.load().choices.values()
    had |= frozenset().union(*(choice.gives for choice in choices))
    assert features.words() == had | {statements.CONFIGURATION}


def test_differences(tmp_path: Path) -> None:
    file = tmp_path / "differences.toml"
    file.write_text(
        "[colour]\nrows = [\n"
        '{ needs = ["defrag"], is = "red" },\n{ needs = ["divert"], is = "blue" },\n]\n'
    )
    assert statements.difference("colour", has("base"), file)[0] == "blue"
    assert statements.difference("colour", has("passthrough+defrag"), file)[0] == "red"
    for name, variant in (("colour", "off"), ("size", "base")):
        with pytest.raises(UserError, match="nothing says"):
            statements.difference(name, has(variant), file)


def test_difference_by_a_word_that_nobody_knows(tmp_path: Path) -> None:
    file = tmp_path / "differences.toml"
    file.write_text('[colour]\nrows = [\n{ needs = ["defarg"], is = "red" },\n]\n')
    with pytest.raises(UserError, match=r"toml:3: colour\.rows\[1\]\.needs\[1\]: defarg is not"):
        statements.difference("colour", has("base"), file)


def test_differences_of_the_project() -> None:
    assert (paths.HARNESS / "matrix" / "differences.toml").is_file()
    for variant, expected in (("base", "dropped"), ("passthrough", "passes")):
        assert statements.difference("no-listener", has(variant))[0] == expected
