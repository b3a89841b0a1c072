# SPDX-License-Identifier: GPL-2.0-only
"""Which state of the project this checkout is: all that decides a verdict, as one fingerprint."""

from __future__ import annotations

import functools

from harness.base import fingerprint, paths

# What tests, and what is tested. docs/ and README decide nothing.
TREES = ("divert_reference", "harness", "images", "kernel-config", "module", "patches", "tests")
FILES = ("requirements.lock",)


@functools.cache
def identity() -> str:
    """The fingerprint: the same on every machine that has the same files."""
    files = [
        path
        for name in TREES
        for path in (paths.ROOT / name).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    ]
    files += [path for name in FILES if (path := paths.ROOT / name).is_file()]
    return fingerprint.of_files(paths.ROOT, files)


@functools.cache
def seed() -> int:
    """A number below a million that depends on the checkout alone.

    A verdict is of a state of the project: who changes nothing gets it again, on another machine
    too.
    """
    return int(identity()[:12], 16) % 10**6
