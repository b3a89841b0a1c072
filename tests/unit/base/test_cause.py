# SPDX-License-Identifier: GPL-2.0-only
"""The line that names why a command failed, among all that it said."""

from __future__ import annotations

import pytest

from harness.base import cause

KERNEL = """inv: making the virtual environment .venv from requirements.lock
this host lacks:
  bc (package bc): calculates
installed; this host has all the programs that are needed
test: kernel base does not compile:
  /usr/include/linux/errno.h:1:10: fatal error: asm/errno.h: No such file or directory
  make: *** [Makefile:475: scripts/split-include] Error 1
all of its output: build/logs/base.log
"""
APT = """running: apt-get install bc
Reading package lists...
E: Unable to locate package bc
setup: apt-get install: apt-get ended with status 100:
  E: Unable to locate package bc
"""
PIP = """inv: making the virtual environment .venv from requirements.lock
WARNING: Retrying (Retry(total=4))
ERROR: Could not find a version that satisfies the requirement bcrypt
inv: could not install the Python packages of requirements.lock into .venv
"""


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (
            KERNEL,
            "/usr/include/linux/errno.h:1:10: fatal error: asm/errno.h: No such file or directory",
        ),
        (APT, "E: Unable to locate package bc"),
        (PIP, "ERROR: Could not find a version that satisfies the requirement bcrypt"),
        ("sh: 1: sudo: not found\n", "sh: 1: sudo: not found"),
        ("base: 3 passed\n\nFAIL: 3 passed, 1 failed\n", "FAIL: 3 passed, 1 failed"),
        ("test: there is no variant basf\ndid you mean base?\n", "test: there is no variant basf"),
        ("inv: this host lacks:\ninv:   bc\ninv: no apt-get here\n", "inv: no apt-get here"),
        ("\x1b[31mE: red\x1b[0m\n", "E: red"),
        ("one\ntwo\n", "two"),
        ("", ""),
    ],
)
def test_cause(output: str, expected: str) -> None:
    assert cause.first(output) == expected
