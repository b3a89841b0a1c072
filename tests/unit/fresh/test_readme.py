# SPDX-License-Identifier: GPL-2.0-only
"""README's commands: found as they are printed, and such that `inv` understands them."""

from __future__ import annotations

import shlex

import pytest
from invoke.parser import Parser

from harness.base import paths
from harness.fresh import readme, visit
from tests.unit.support import commandline

TEXT = """
## Other

    ./inv no

## Quick start

Text with ./inv in it.

    ./inv setup test            # what it does
    ./inv setup check
    ./inventory
    a table: ./inv no
\t./inv doctor

### Below it

    ./inv test -k 'a # b'

## The next

    ./inv no
"""


def test_indented_lines_of_the_section_that_begin_with_inv() -> None:
    assert readme.commands(TEXT) == (
        "./inv setup test",
        "./inv setup check",
        "./inv doctor",
        "./inv test -k 'a",
    )


def test_readme_has_commands_and_inv_knows_all_their_words() -> None:
    found = readme.commands((paths.ROOT / visit.README).read_text())
    assert "./inv setup check" in found
    known = commandline.contexts()
    for command in found:
        parsed = Parser(contexts=known).parse_argv(shlex.split(command)[1:])
        assert parsed.unparsed == []
        assert [context.name for context in parsed]


@pytest.mark.parametrize("text", ["", "## Quick start\n", "    ./inv test\n"])
def test_no_section_or_no_command_is_none(text: str) -> None:
    assert readme.commands(text) == ()
