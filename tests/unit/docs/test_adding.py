# SPDX-License-Identifier: GPL-2.0-only
"""docs/adding.md names places and checks that there are."""

from __future__ import annotations

import re

import pytest

from harness.base import paths
from harness.matrix import kernels

TEXT = (paths.ROOT / "docs" / "adding.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("| ") and not line.startswith("| place")
]


@pytest.mark.parametrize(("place", "_what", "check"), ROWS, ids=[row[0] for row in ROWS])
def test_place_and_check_are_there(place: str, _what: str, check: str) -> None:
    names = [*re.findall(r"`([\w./-]+)`", place), *re.findall(r"\btests/[\w/]+\.py", check)]
    lacking = [name for name in names if "/" in name and not (paths.ROOT / name).exists()]
    assert not lacking, f"docs/adding.md names what is not there: {lacking}"


def test_there_is_a_table_of_each() -> None:
    assert len(ROWS) > 15
    assert re.findall(r"^## A[n]? (\w+)", TEXT, re.M) == ["statement", "kernel", "option"]


def test_the_page_of_kernels_names_each() -> None:
    """A flavour (-cloud, -rt) stands behind the kernel that it is of."""
    text = (paths.ROOT / "docs" / "kernels.md").read_text()
    named = set(re.findall(r"`(linux-[\w.-]+)`", text))
    lacking = [
        name
        for name in kernels.load()
        if name not in named and re.sub(r"-(cloud|rt)$", "", name) not in named
    ]
    assert not lacking, f"docs/kernels.md names not one of {lacking}, which kernels.toml has"
