# SPDX-License-Identifier: GPL-2.0-only
"""What of this checkout is committed: as a fresh clone, and what is not in it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from harness import cause, paths
from harness.errors import InfrastructureError

GIT_SECONDS = 120.0


def clone(target: Path, umask: int) -> None:
    """A fresh clone of what the checkout has committed. Raises InfrastructureError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(
            ["git", "clone", "--quiet", "--no-hardlinks", str(paths.ROOT), str(target)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=GIT_SECONDS,
            umask=umask,
            check=False,
        )
        why = "" if done.returncode == 0 else cause.first(done.stderr)
    except (OSError, subprocess.TimeoutExpired) as error:
        why = str(error)
    if why:
        raise InfrastructureError(
            f"the project cannot be cloned from {paths.ROOT}: {why}",
            "a room has a clone of what is committed: run this in a git checkout",
        )


def uncommitted() -> int:
    """How many files of the checkout differ from what is committed, and so from what rooms get."""
    try:
        done = subprocess.run(
            ["git", "-C", str(paths.ROOT), "status", "--porcelain"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return len(done.stdout.splitlines())
