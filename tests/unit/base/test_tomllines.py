# SPDX-License-Identifier: GPL-2.0-only
"""The line of each key and element, in all the ways in which TOML can say them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator

import pytest

from harness.base import paths, tomllines
from harness.base.tomllines import Keys

TEXT = """\
# a comment

plain = 1  # one behind a value
"quoted key" = 2
'literal' = [ # one behind the bracket
    1,
    # and between
    { inner = 1, list = [1,
      2] },  # the last
]
dotted."in quotes".key = '''
two lines'''
dotted.second = true

[table]
a = { b.c = 1, "d" = [] }
[table.sub."x.y"]
key = 1979-05-27
[[list]]
name = "one"
[list.of]
first = 1
[[list]]
[[list.deeper]]
a = 1
[[list.deeper]]
[list.deeper.table]
b = 2
"""

LINES = {
    ("plain",): 3,
    ("quoted key",): 4,
    ("literal",): 5,
    ("literal", 0): 6,
    ("literal", 1): 8,
    ("literal", 1, "inner"): 8,
    ("literal", 1, "list", 0): 8,
    ("literal", 1, "list", 1): 9,
    ("dotted",): 11,
    ("dotted", "in quotes", "key"): 11,
    ("dotted", "second"): 13,
    ("table",): 15,
    ("table", "a", "b", "c"): 16,
    ("table", "a", "d"): 16,
    ("table", "sub"): 17,
    ("table", "sub", "x.y"): 17,
    ("table", "sub", "x.y", "key"): 18,
    ("list",): 19,
    ("list", 0): 19,
    ("list", 0, "of", "first"): 22,
    ("list", 1): 23,
    ("list", 1, "deeper", 0, "a"): 25,
    ("list", 1, "deeper", 1): 26,
    ("list", 1, "deeper", 1, "table", "b"): 28,
}


@pytest.mark.parametrize(("keys", "line"), LINES.items())
def test_line_of(keys: Keys, line: int) -> None:
    assert tomllines.of(TEXT)[keys] == line


def every(value: object, keys: Keys = ()) -> Iterator[Keys]:
    """What leads to each part of what tomllib has read."""
    yield keys
    parts = value.items() if isinstance(value, dict) else ()
    for key, part in [*parts, *(enumerate(value) if isinstance(value, list) else ())]:
        yield from every(part, (*keys, key))


def test_all_that_there_is_and_no_more() -> None:
    """Of the text above, and of each file of the project: what tomllib finds, and nothing else."""
    files = sorted(paths.HARNESS.rglob("*.toml")) + sorted(paths.GUEST_TESTS.rglob("*.toml"))
    assert len(files) > 40
    for text in (TEXT, TEXT.replace("\n", "\r\n"), *(file.read_text() for file in files)):
        assert set(tomllines.of(text)) == set(every(tomllib.loads(text)))
