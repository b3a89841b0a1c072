# SPDX-License-Identifier: GPL-2.0-only
"""How many packets can be given back: a number that the option's help text and the docs tell."""

from __future__ import annotations

import re

from harness.base import paths

DIVERT = paths.PATCHES / "linux-2.2.12" / "divert"


def test_number_is_the_same_wherever_it_is_told() -> None:
    header = (DIVERT / "overlay/include/net/ip_divert_pending.h").read_text()
    defined = re.search(r"#define DIVERT_PENDING\s+(\d+)", header)
    assert defined
    number = int(defined[1])
    assert number & (number - 1) == 0, "an id's place is its lower bits"
    assert f" {number} packets" in (DIVERT / "0001-options.patch").read_text().replace("\n+ ", "")
    test = (paths.ROOT / "tests/guest/i_injection/test_i_bounds.py").read_text()
    assert f"\nPENDING = {number:_}\n" in test
    assert f"{number:,}" in (paths.ROOT / "docs/kernel.md").read_text()
