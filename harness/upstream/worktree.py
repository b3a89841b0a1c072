# SPDX-License-Identifier: GPL-2.0-only
"""A working tree to patch and build in, made from a verified source without copying all of it."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from harness.base.errors import InfrastructureError
from harness.upstream import archive
from harness.upstream.sources import Verified


def lay_out(source: Verified, tree: Path) -> None:
    """Make `tree`, which is not there yet, from the unpacked source.

    What the source's own make writes in place is copied, everything else is linked, which saves
    three quarters of the writing. patch(1) and patches.py replace the files that they change.
    """
    written = source.source.written
    for folder, _folders, names in os.walk(source.tree):
        here = tree / Path(folder).relative_to(source.tree)
        here.mkdir()
        for name in names:
            target = here / name
            copied = any(map(target.relative_to(tree).match, written))
            _lay_file(Path(folder, name), target, copied=copied)


def _lay_file(origin: Path, target: Path, *, copied: bool) -> None:
    if not copied:
        # Some file systems have no links; there, all is copied.
        with contextlib.suppress(OSError):
            os.link(origin, target, follow_symlinks=False)
            return
    shutil.copy2(origin, target, follow_symlinks=False)


def even(tree: Path) -> None:
    """Let all headers of a configured tree be of one age, before anything is compiled.

    2.2.12's make touches a header whose own headers are younger, and compiles all that depends on
    it anew, at each change of another file.
    """
    for path in tree.rglob("*.h"):
        if not path.is_symlink() and path.stat().st_mtime != archive.FILE_TIME:
            os.utime(path, (archive.FILE_TIME, archive.FILE_TIME))


def check_pristine(source: Verified) -> None:
    """See that nothing has written into the unpacked source, through a link.

    Raises InfrastructureError after taking the source out of the cache if something has: what was
    built is not to be trusted, and the next run unpacks it anew.
    """
    for folder, _folders, names in os.walk(source.tree):
        for name in names:
            path = Path(folder, name)
            if not path.is_symlink() and path.stat().st_mtime != archive.FILE_TIME:
                shutil.rmtree(source.tree.parent)
                raise InfrastructureError(
                    f"{path.relative_to(source.tree)} of the unpacked {source.source.title} was "
                    "written to, so what was built from it is not to be trusted",
                    "name the file in `written` of harness/upstream/sources.toml, or see what else "
                    "writes there; the next run unpacks the source anew",
                )
