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
    told, known = list(_specified()), list(_known())
    faults = [
        f"{name} is in docs/SPEC.md and has no table: add one to "
        f"harness/matrix/statements/{name[0].lower()}.toml"
        for name in told
        if name not in known
    ]
    faults += [
        f"{name} is in harness/matrix/statements/{name[0].lower()}.toml and has no sentence: add "
        f"one to chapter {name[0]} of docs/SPEC.md, or take its table out"
        for name in known
        if name not in told
    ]
    assert not faults, "\n".join(faults)
    for one, other in zip(told, known, strict=True):
        assert one == other, f"docs/SPEC.md has {one} where the tables of statements have {other}"


def test_statements_of_a_chapter_are_numbered_without_a_gap() -> None:
    for chapter in statements.CHAPTERS:
        names = [name for name in _known() if name[0] == chapter]
        for number, name in enumerate(names, 1):
            due = f"{chapter}{number}"
            assert name == due, f"chapter {chapter} of docs/SPEC.md has {name} where {due} is due"


def test_origins_are_those_of_the_specification() -> None:
    known = _known()
    differing = {
        name: (origins, known[name])
        for name, origins in _specified().items()
        if origins and not set(origins) <= set(known[name])
    }
    assert not differing, "\n".join(
        f"{name} is of {', '.join(told)} in docs/SPEC.md, and of {', '.join(known)} by its origin "
        f"in harness/matrix/statements/{name[0].lower()}.toml"
        for name, (told, known) in differing.items()
    )
