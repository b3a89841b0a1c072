# SPDX-License-Identifier: GPL-2.0-only
"""Why a command failed, in one line of its output (pure).

Its last lines are seldom the reason: make says that it stops, and apt-get that something was wrong.
"""

from __future__ import annotations

import re

from harness.base import complaints

# What our own tasks say while all is well.
_PROGRESS = "installing|making|fetching|running|this host|warning|waiting|passed|NOT RUN"

# The first line of the first of these families that the output has is the cause. What a compiler
# says of it goes before: it is nearer to the cause than what our own tasks say.
_FAMILIES = tuple(
    re.compile(pattern)
    for pattern in (
        r"^(E: |Err:\d+ )",
        r"^ERROR: ",
        r"^\s*(FAILED |FAIL: )",
        rf"^(inv|[a-z][a-z-]+): (?!{_PROGRESS})\S",
        r"^Traceback ",
        r"(?i)(not found|no such file|cannot|could not|unable to|denied)",
    )
)
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def first(output: str) -> str:
    """The line that names the cause; the last line, if none does; "" of no output at all."""
    lines = [_ESCAPE.sub("", line).rstrip() for line in output.splitlines()]
    lines = [line for line in lines if line]
    for fault in complaints.first("\n".join(lines))[:1]:
        return fault.strip()
    for family in _FAMILIES:
        for line in lines:
            if family.search(line):
                return line.strip()
    return lines[-1].strip() if lines else ""
