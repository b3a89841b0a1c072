# SPDX-License-Identifier: GPL-2.0-only
"""The pictures of the documents: small, named, for light and dark, with nothing from outside."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from harness.base import paths
from harness.docs import pages

SVG = "{http://www.w3.org/2000/svg}"
PICTURES = sorted((paths.ROOT / "docs" / "images").iterdir())


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_picture_has_a_name_and_both_schemes(path: Path) -> None:
    text = path.read_text()
    root = ET.fromstring(text)
    assert root.tag == f"{SVG}svg", f"{path} is no SVG"
    assert root.get("role") == "img", f'{path}: its <svg> lacks role="img"'
    title = root.find(f"{SVG}title")
    assert title is not None and title.text, f"{path} has no <title>"
    assert root.get("viewBox"), f"{path} cannot be scaled: no viewBox"
    assert "prefers-color-scheme: dark" in text, f"{path} is not made for the dark"
    outside = re.findall(r"(?:href=|url\()[\"']?(?!#)[^\"')]+", text)
    assert not outside, f"{path} wants something from outside: {outside}"
    assert len(text) < 60_000, f"{path} is larger than a picture of ours needs to be"


def test_each_picture_is_shown_and_each_shown_has_words() -> None:
    shown = set()
    for document in pages.documents_of(paths.ROOT):
        for words, target in re.findall(r"!\[([^\]]*)\]\(([^)\s]+)", document.read_text()):
            assert words, f"{document} shows {target} without words for who cannot see it"
            shown.add((document.parent / target).resolve())
    idle = [path.name for path in PICTURES if path not in shown]
    assert not idle, f"no document shows these of docs/images: {idle}"
