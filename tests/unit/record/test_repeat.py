# SPDX-License-Identifier: GPL-2.0-only
"""The command line that repeats a test: what pytest's -k can take."""

from __future__ import annotations

import pytest

from harness.record.events import TestFinished
from harness.record.repeat import repeat


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("test_a", "test_a"),
        ("test_a[input-udp]", "'test_a[input-udp]'"),
        ("test_a[interceptor --x]", "'test_a[interceptor and --x]'"),
    ],
)
def test_repeat(name: str, words: str) -> None:
    test = TestFinished(
        variant="base", test=f"t.py::{name}", outcome="failed", statements=(), seconds=1
    )
    assert repeat(test) == f"./inv test --variant base -k {words}"
