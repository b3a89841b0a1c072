# SPDX-License-Identifier: GPL-2.0-only
"""What differs between two trees, as a patch: `diff -p -U3`, the same bytes each time."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from harness.base import command
from harness.base.errors import InfrastructureError

# Lines around a change, by which a reader knows the place.
CONTEXT = 3

DIFF_SECONDS = 60.0
# diff's own exit statuses: no difference, some; any other is a failure.
_ORDERLY = (0, 1)


def of_files(old: Path, new: Path, names: Iterable[str]) -> bytes:
    """The patch for `patch -p1` that makes of the files `names` below `old` those below `new`.

    A file may be missing on either side. Files without a difference leave nothing. Raises
    InfrastructureError if diff fails.
    """
    return b"".join(_of_file(old, new, name) for name in names)


def _of_file(old: Path, new: Path, name: str) -> bytes:
    sides = [(old / name, f"a/{name}"), (new / name, f"b/{name}")]
    argv = ["diff", "--text", "-p", f"-U{CONTEXT}"]
    for path, label in sides:
        argv += ["--label", label if path.is_file() else os.devnull]
    argv += [str(path) if path.is_file() else os.devnull for path, _ in sides]
    try:
        done = subprocess.run(
            argv,
            env=command.clean(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=DIFF_SECONDS,
            check=False,
        )
    except OSError as error:
        raise InfrastructureError(
            f"cannot start diff: {error.strerror}", "run: ./inv setup"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise InfrastructureError(f"diff of {name} took more than {DIFF_SECONDS:g} s") from error
    if done.returncode not in _ORDERLY:
        said = done.stderr.decode(errors="replace").strip()
        raise InfrastructureError(f"diff of {name} failed: {said}")
    return done.stdout
