# SPDX-License-Identifier: GPL-2.0-only
"""docs/design.md tells of the rooms that there are, and draws them as the contract has them."""

from __future__ import annotations

import re
import tomllib

from harness.base import paths

TEXT = (paths.ROOT / "docs" / "design.md").read_text()
CONTRACT, _PUBLIC = tomllib.loads((paths.ROOT / "pyproject.toml").read_text())["tool"][
    "importlinter"
]["contracts"]
LAYERS = [layer.split(" | ") for layer in CONTRACT["layers"]]


def test_the_picture_is_the_contract() -> None:
    picture = "\n".join(f"    {' · '.join(layer)}" for layer in LAYERS)
    assert f"\n\n{picture}\n\n" in TEXT, f"docs/design.md has to have this:\n{picture}"


def test_each_room_has_a_paragraph_in_the_order_of_the_picture() -> None:
    told = re.findall(r"^\*\*([a-z]+)\*\*.*$", TEXT, re.MULTILINE)
    several = re.search(r"^\*\*[a-z]+\*\*(?:, \*\*[a-z]+\*\*)+", TEXT, re.MULTILINE)
    assert several is not None
    together = re.findall(r"\*\*([a-z]+)\*\*", several.group(0))
    at = told.index(together[0])
    upwards = [room for layer in reversed(LAYERS) for room in layer]
    assert [*told[:at], *together, *told[at + 1 :]] == upwards


def test_each_room_says_what_it_is_for_and_each_module_what_it_is() -> None:
    folder = paths.HARNESS
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text()
        assert text.startswith('# SPDX-License-Identifier: GPL-2.0-only\n"""'), path
    rooms = {path.parent.name for path in folder.glob("*/__init__.py")}
    assert rooms == {room for layer in LAYERS for room in layer}


def test_the_files_that_a_newcomer_is_sent_to_are_there() -> None:
    table = TEXT.partition("## Where is what")[2].partition("## Tests")[0]
    named = re.findall(r"`([a-z.0-9/-]+/[a-z.0-9/-]*)`", table)
    assert len(named) > 5
    assert [name for name in named if not (paths.ROOT / name).exists()] == []
