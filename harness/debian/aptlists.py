# SPDX-License-Identifier: GPL-2.0-only
"""The host release's lists, and its kin's, kept in the cache; apt-get made ready to use them."""

from __future__ import annotations

import functools
from pathlib import Path

from harness.base import store
from harness.debian import aptarchives, hostrelease
from harness.debian.apt import Apt
from harness.debian.aptarchives import Archives
from harness.debian.aptfailure import Failure
from harness.debian.hostrelease import Release

APT_FOLDER = Path("/etc/apt")


def host_lists(release: Release, architecture: str | None) -> dict[str, str]:
    """APT lists of a release, made of the host's own: file name -> text.

    Raises what `packages.source` raises where the host names no archive that has it.
    """
    entries = _archives().of(release)
    return {
        f"{number:02}.{entry.ending}": entry.text(architecture)
        for number, entry in enumerate(entries)
    }


def _archives() -> Archives:
    host = hostrelease.host()
    root = store.root() / "apt" / f"{host.name}-archives"
    with store.disk_errors(root):
        root.parent.mkdir(parents=True, exist_ok=True)
        with store.lock(root.with_name(f"{root.name}.lock"), "the list of archives", download=True):
            return aptarchives.find(APT_FOLDER, host, root)


@functools.cache
def prepared(cache: Path, architecture: str | None, release: Release) -> Apt:
    """apt-get in a folder of `cache`, its package lists as new as the archive had them when this
    process first asked.
    """
    entries = _archives().of(release)
    apt = Apt(cache / "apt" / f"{release.name}-{architecture or 'source'}", architecture)
    apt.prepare(entries)
    what = f"fetching the lists of {release.name}"
    fetched = apt.update(entries, what)
    failures = {entry: row for entry, row in fetched.items() if isinstance(row, Failure)}
    if len(failures) == len(entries):
        raise aptarchives.unusable(failures, what, apt.log)
    aptarchives.left_out(failures)
    return apt
