# SPDX-License-Identifier: GPL-2.0-only
"""The programs that make the site: installed when they are first wanted, and kept in the cache.

They are no part of .venv, which the first `./inv` of all makes: nobody waits for them there.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from pathlib import Path

from harness.base import command, fingerprint, paths, store
from harness.base.errors import InfrastructureError, UnavailableError

LOCK = paths.ROOT / "requirements-docs.lock"

# Some 30 packages; pip waits a minute for each where an index is slow.
INSTALL_SECONDS = 900.0
_LOG = "docs-tools"
# What pip says where no index answers, or one that has not got them.
_OUT_OF_REACH = re.compile(r"Retrying|No matching distribution found|Could not find a version")


def folder() -> Path:
    """Where the packages are, for PYTHONPATH: made if need be.

    Raises UnavailableError if no package index is in reach, InfrastructureError if they cannot be
    installed for another reason.
    """
    # Some have parts for this Python alone.
    made_for = f"{sys.implementation.cache_tag} {sys.platform}"
    key = fingerprint.of_bytes("1", LOCK.read_bytes(), made_for)
    return store.obtain("docs", key, _install, "the tools for the documents").path


def _install(target: Path) -> None:
    log = command.new_log(_LOG)
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-compile"]
    try:
        command.run(
            [*pip, "--require-hashes", "--target", target, "-r", LOCK],
            what="the tools for the documents",
            log=log,
            seconds=INSTALL_SECONDS,
            # Who has set a number of retries means it; pip's own five take a third of a minute.
            env={"PIP_RETRIES": os.environ.get("PIP_RETRIES", "1")},
            inherit=True,
            into=target,
        )
    except InfrastructureError as error:
        if _OUT_OF_REACH.search(log.read_text(errors="replace")):
            raise _out_of_reach(log) from error
        raise


def _out_of_reach(log: Path) -> UnavailableError:
    return UnavailableError(
        f"the Python packages of {LOCK.name} cannot be downloaded; all that pip said: {log}",
        "with a network, or with pip told of an index that is in reach (PIP_INDEX_URL), "
        "run this again: ./inv docs",
    )


@functools.cache
def environment() -> dict[str, str]:
    """What a program of theirs needs to be set. Raises what `folder` raises."""
    return {
        "PYTHONPATH": str(folder()),
        # What is kept stays as it is: compiled modules go elsewhere.
        "PYTHONPYCACHEPREFIX": str(paths.BUILD / "pycache"),
    }
