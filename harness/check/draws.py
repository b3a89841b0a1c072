# SPDX-License-Identifier: GPL-2.0-only
"""What `invoke check` draws at random: the same from the same checkout, anew with each change."""

from __future__ import annotations

import functools

from harness.base import fingerprint, paths

# What decides what is drawn: all that the draws are about.
_TREES = ("divert_reference", "harness", "kernel-config", "module", "patches", "tests")


@functools.cache
def seed() -> int:
    """A number below a million, of all that is tested.

    A verdict is of a state of the project: who changes nothing gets it again, on another machine
    too, and is not blamed for what a new draw would find. The commands themselves draw anew.
    """
    files = (
        path
        for name in _TREES
        for path in (paths.ROOT / name).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    )
    return int(fingerprint.of_files(paths.ROOT, files)[:12], 16) % 10**6
