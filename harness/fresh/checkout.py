# SPDX-License-Identifier: GPL-2.0-only
"""What of this checkout is committed: as a fresh clone, a file of it, and what is not in it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from harness.base import cause, paths
from harness.base.errors import InfrastructureError

GIT_SECONDS = 120.0

_HINT = "a room has what is committed: run this in a git checkout, with git"


def clone(target: Path, umask: int) -> None:
    """A fresh clone of what is committed. Raises InfrastructureError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _git("clone", "--quiet", "--no-hardlinks", str(paths.ROOT), str(target), umask=umask)


def committed(name: str) -> str:
    """What is committed of the file `name`. Raises InfrastructureError."""
    return _git("-C", str(paths.ROOT), "show", f"HEAD:{name}")


def uncommitted() -> int:
    """How many files of the checkout differ from what is committed, and so from what rooms get.

    Raises InfrastructureError.
    """
    return len(_git("-C", str(paths.ROOT), "status", "--porcelain").splitlines())


def _git(*arguments: str, umask: int = -1) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=GIT_SECONDS,
            umask=umask,
            check=False,
        )
    except OSError as error:
        raise InfrastructureError(f"cannot start git: {error.strerror}", _HINT) from error
    except subprocess.TimeoutExpired as error:
        raise InfrastructureError(f"git did not end within {GIT_SECONDS:g} s", _HINT) from error
    if done.returncode != 0:
        raise InfrastructureError(
            f"git does not read this checkout: {cause.first(done.stderr)}", _HINT
        )
    return done.stdout
