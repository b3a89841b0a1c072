# SPDX-License-Identifier: GPL-2.0-only
"""The other configurations, as data, and how one of them is made of the variant's."""

from __future__ import annotations

from harness import configurations, kernelconfig, variants
from harness.kernelconfig import Option


def test_each_changes_an_answer_of_the_variant() -> None:
    base = variants.load()[configurations.BASE]
    asked = {option.symbol: option.value for option in kernelconfig.compose(base.fragments)}
    for row in configurations.load().values():
        assert row.what
        assert row.options, row.name
        for option in row.options:
            # What base.config does not answer, oldconfig would ask.
            assert asked[option.symbol] != option.value, row.name


def test_macros_are_the_compilers() -> None:
    row = configurations.Configuration("x", "", (), ("DEBUG", "LEVEL=2"), boots=False)
    assert row.flags == ("-DDEBUG", "-DLEVEL=2")


def test_options_are_overlaid_by_symbol() -> None:
    one, two, other = Option("B", "y", "a"), Option("A", "n", "a"), Option("B", "n", "b")
    assert kernelconfig.overlaid((one, two), (other,)) == (two, other)
    assert kernelconfig.overlaid((one, two), ()) == (two, one)
