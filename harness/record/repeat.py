# SPDX-License-Identifier: GPL-2.0-only
"""The command line that repeats one test alone."""

from __future__ import annotations

import re
import shlex

from harness.record.events import TestFinished

# What pytest's -k takes as part of one name; anything else ends a name there.
_NAME = re.compile(r"[\w\[\].:+-]+")


def repeat(test: TestFinished) -> str:
    """`./inv test --variant base -k 'test_x[case]'`; a name with spaces by all of its words."""
    words = _NAME.findall(test.test.rpartition("::")[2])
    file = f"{shlex.quote(test.own)} " if test.own else ""
    chosen = shlex.quote(" and ".join(words))
    return f"./inv test {file}--variant {test.variant} -k {chosen}"
