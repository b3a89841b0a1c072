# SPDX-License-Identifier: GPL-2.0-only
"""docs/two-kernels.md names files and functions that there are."""

from __future__ import annotations

import re

import pytest

from harness.base import paths

OVERLAY = paths.PATCHES / "linux-2.2.12" / "divert" / "overlay"
TEXT = (paths.ROOT / "docs" / "two-kernels.md").read_text()
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split("|"))
    for line in TEXT.splitlines()
    if line.startswith("| ") and ": `" in line
]
# A file, and what of it is named.
_NAMED = re.compile(r"([\w/]+\.[ch]): ((?:`\w+`(?:, )?)+)")


@pytest.mark.parametrize(("what", "reference", "module"), ROWS, ids=[row[0][:30] for row in ROWS])
def test_what_is_named_is_there(what: str, reference: str, module: str) -> None:
    assert what
    assert _NAMED.search(module), module
    for cell, folder in ((reference, OVERLAY), (module, paths.ROOT / "module")):
        for file, names in _NAMED.findall(cell):
            (path,) = folder.rglob(file)
            text = path.read_text()
            lacking = [name for name in re.findall(r"`(\w+)`", names) if name not in text]
            assert not lacking, f"docs/two-kernels.md names {lacking}, which {path} has not got"


def test_the_table_was_read() -> None:
    assert len(ROWS) > 12
