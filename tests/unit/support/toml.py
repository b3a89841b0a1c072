# SPDX-License-Identifier: GPL-2.0-only
"""Values as TOML has them, for data files of a test's own."""

from __future__ import annotations

import json


def toml(value: object) -> str:
    """A value in one line; what JSON has of strings, numbers and lists is TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value)
