# SPDX-License-Identifier: GPL-2.0-only
"""module/README.md: each bound and loss that it tells names what proves it, or why nothing can."""

from __future__ import annotations

import re

import pytest

from harness.base import paths
from harness.matrix import statements

README = (paths.ROOT / "module" / "README.md").read_text()
# In brackets: statements, or their cases.
_NAMED = re.compile(r"\b([A-Z]\d+)(?:/([a-z][a-z0-9-]*))?\b")
_WITHOUT = re.compile(r"\(without a test: \w+")
# Lists of such.
_SECTIONS = ("Bounds", "What it does not")


def _section(name: str) -> str:
    found = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    assert found, f"module/README.md has no section {name}"
    return found[1]


def _items() -> list[str]:
    """The items of these lists, each in one line."""
    items = []
    for name in _SECTIONS:
        for item in re.split(r"^- ", _section(name), flags=re.MULTILINE)[1:]:
            items.append(" ".join(item.split("\n\n", maxsplit=1)[0].split()))
    return items


@pytest.mark.parametrize("item", _items(), ids=lambda item: item[:40])
def test_each_names_its_test_or_why_there_is_none(item: str) -> None:
    assert _NAMED.search(item) or _WITHOUT.search(item)


def test_what_is_named_is_there() -> None:
    known = statements.load()
    wrong = [
        match[0]
        for match in _NAMED.finditer(README)
        if match[1] not in known or (match[2] and match[2] not in known[match[1]].cases)
    ]
    assert not wrong, f"module/README.md names what is no statement or case: {wrong}"


def test_where_the_reference_is_not_followed_each_names_its_test() -> None:
    (text,) = re.findall(
        r"^Where 2\.2\.12 has faults.*?(?=\n\n|\Z)", README, re.MULTILINE | re.DOTALL
    )
    assert len(_NAMED.findall(text)) == 4
