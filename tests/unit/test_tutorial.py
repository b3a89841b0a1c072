# SPDX-License-Identifier: GPL-2.0-only
"""docs/tutorial.md shows lines of its programs as they are, and a run of each on both kernels.

That the commands print what is shown, test_x_tutorial.py sees in guests.
"""

from __future__ import annotations

import re

import pytest

from harness.base import paths
from harness.matrix import kernels, variants
from tests.guest.support import shown

TUTORIAL = "docs/tutorial.md"
TEXT = (paths.ROOT / TUTORIAL).read_text()
PROGRAMS = {
    path.name: path.read_text() for path in sorted((paths.ROOT / "docs" / "tutorial").iterdir())
}


@pytest.mark.parametrize("block", re.findall(r"^```c\n(.*?)^```$", TEXT, re.M | re.S))
def test_the_lines_of_c_are_those_of_a_program(block: str) -> None:
    holders = [name for name, text in PROGRAMS.items() if block in text]
    assert holders, f"no file of docs/tutorial has these lines of {TUTORIAL}:\n{block}"


def test_each_program_is_compiled_and_run_on_both_kernels() -> None:
    compiled = shown.sources(TUTORIAL)
    assert {path.name for path in compiled.values()} == set(PROGRAMS) - {"port.h"}
    ran = {
        (each.option("--put"), variants.named(each.option("--variant")).kernel)
        for each in shown.commands(TUTORIAL)
        if each.words[0] == "run" and each.option("--put")
    }
    of_today = "linux-6.1"
    assert ran == {(name, kernel) for name in compiled for kernel in (kernels.REFERENCE, of_today)}
