# SPDX-License-Identifier: GPL-2.0-only
"""The words of docs/glossary.md: what a reader is told has one name, and not another besides."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.base import paths
from harness.docs import pages

# What is not to be said, and the glossary's word for it. Memory and references are given back, too.
AVOIDED = {
    r"\bgiv(?:e|es|en|ing)\b(?: (?:it|them|one|each|nothing|(?:a|each) packet|packets))? back\b": (
        "reinject"
    ),
    r"\bre-inject": "reinject",
}
_OF_MEMORY = re.compile(r"\b(?:memory|reference|not given back \(status 1\)|lock)\b")

TEXTS = [
    *(path for path in pages.documents_of(paths.ROOT) if path.name != "CHANGELOG.md"),
    *sorted((paths.HARNESS / "matrix").rglob("*.toml")),
    *sorted((paths.ROOT / "docs" / "tutorial").iterdir()),
    paths.ROOT / "tasks.py",
]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.relative_to(paths.ROOT).as_posix())
def test_a_thing_has_one_name(path: Path) -> None:
    faults = [
        f"{path}:{number}: {match[0]}: the glossary says {word}"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for avoided, word in AVOIDED.items()
        if (match := re.search(avoided, line, re.IGNORECASE)) and not _OF_MEMORY.search(line)
    ]
    assert not faults, "\n".join(faults)


def test_each_word_of_the_glossary_is_explained_once() -> None:
    text = (paths.ROOT / "docs" / "glossary.md").read_text()
    words = [
        word.strip() for row in re.findall(r"^\| ([^|]+) \|", text, re.M) for word in row.split(",")
    ]
    words = [word for word in words if word != "word"]
    assert len(words) > 40
    twice = sorted({word for word in words if words.count(word) > 1})
    assert not twice, f"docs/glossary.md explains twice: {twice}"
