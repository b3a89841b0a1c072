# SPDX-License-Identifier: GPL-2.0-only
"""The statements that tests name are those of docs/SPEC.md, with the origins given there."""

from __future__ import annotations

import re

from harness.base import paths
from harness.matrix import statements

_STATEMENT = re.compile(rf"^- ([{statements.CHAPTERS}]\d+)(?: \[([^\]]*)\])? ", re.MULTILINE)
_CHAPTER = re.compile(r"^## ([A-Z])\. ", re.MULTILINE)


def _specified() -> dict[str, list[str]]:
    """Statement -> the origins that its first words give, as `H 4` for [H4]."""
    text = (paths.ROOT / "docs" / "SPEC.md").read_text()
    return {
        name: [re.sub(r"^H(?=\d)", "H ", origin) for origin in re.findall(r"[^, ]+", origins)]
        for name, origins in _STATEMENT.findall(text)
    }


def _known() -> dict[str, list[str]]:
    return {name: list(statement.origin) for name, statement in statements.load().items()}


def test_chapters_are_those_of_the_specification_in_its_order() -> None:
    text = (paths.ROOT / "docs" / "SPEC.md").read_text()
    assert "".join(_CHAPTER.findall(text)) == statements.CHAPTERS


def test_every_statement_is_known_and_no_other() -> None:
    assert sorted(_specified()) == sorted(_known())


def test_origins_are_those_of_the_specification() -> None:
    known = _known()
    differing = {
        name: (origins, known[name])
        for name, origins in _specified().items()
        if origins and not set(origins) <= set(known[name])
    }
    assert differing == {}
