# SPDX-License-Identifier: GPL-2.0-only
"""The commands that README tells a newcomer to type, as printed there (pure)."""

from __future__ import annotations

import re

SECTION = "Quick start"

_COMMAND = re.compile(r"(?: {4}|\t)(?P<command>\./inv(?:\s.*)?)")


def commands(text: str, section: str = SECTION) -> tuple[str, ...]:
    """The indented lines of a section that begin with `./inv`, in their order, without comments."""
    found: list[str] = []
    inside = False
    for line in text.splitlines():
        if line.startswith("## "):
            inside = line.removeprefix("## ").strip() == section
        match = _COMMAND.fullmatch(line) if inside else None
        if match:
            found.append(re.sub(r"\s+#\s.*", "", match["command"]).rstrip())
    return tuple(found)
