# SPDX-License-Identifier: GPL-2.0-only
"""The patches of this checkout in their form, `diff -p -U3`; their heads stay as they are."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base import command, difference, terminal
from harness.base.errors import TestsFailedError, UnavailableError
from harness.debian import packages
from harness.kernel import kernel, parts
from harness.release import export
from harness.upstream import patches, sources, worktree
from harness.upstream.patches import Series
from harness.upstream.patchfile import Patch, shown

# A file's difference begins with it.
_FILE = b"--- "


@dataclass(frozen=True)
class Origin:
    """What series are made against: its name, the series in order, and how to have the source."""

    name: str
    series: tuple[Series, ...]
    lay_out: Callable[[Path], None]


def refresh(*, check: bool = False, given: Sequence[str] = ()) -> None:
    """`invoke refresh-patches`: write each patch that is not in its form anew, and say which.

    With `check` nothing is written, and TestsFailedError is raised if there are any. Raises, after
    all others are done, UnavailableError for what a source is missing for; InfrastructureError if a
    patch does not apply.
    """
    missing: list[UnavailableError] = []
    differing = 0
    for find in ORIGINS:
        try:
            for patch, data in refreshed(find(given)):
                differing += 1
                terminal.show(f"{shown(patch.path)}{'' if check else ': written anew'}")
                if not check:
                    patch.path.write_bytes(data)
        except UnavailableError as error:
            missing.append(error)
    if not differing:
        terminal.say("every patch that could be looked at is in its form")
    if missing:
        raise missing[0]
    if check and differing:
        raise TestsFailedError(
            f"{differing} patches are not what diff -p -U3 makes", "run: ./inv refresh-patches"
        )


def refreshed(origin: Origin) -> Iterator[tuple[Patch, bytes]]:
    """The patches of an origin that are not in their form, with what they have to be."""
    log = command.new_log(f"refresh-{origin.name}")
    with tempfile.TemporaryDirectory(prefix="refresh-") as work:
        tree, before = Path(work) / "tree", Path(work) / "before"
        origin.lay_out(tree)
        for part in origin.series:
            patches.apply([Series(part.folder, (), part.overlay)], tree, log)
            for patch in part.patches:
                names = _names(patch)
                _keep(tree, before, names)
                patches.apply([Series(part.folder, (patch,), {})], tree, log)
                data = _head(patch) + difference.of_files(before, tree, names)
                if data != patch.data:
                    yield patch, data


def _names(patch: Patch) -> list[str]:
    found = (name for change in patch.changes for name in (change.old, change.new) if name)
    return list(dict.fromkeys(found))


def _keep(tree: Path, before: Path, names: Sequence[str]) -> None:
    """Copy files as they are; patch makes new ones in the place of those that it changes."""
    shutil.rmtree(before, ignore_errors=True)
    for name in names:
        (before / name).parent.mkdir(parents=True, exist_ok=True)
        if (tree / name).exists():
            shutil.copyfile(tree / name, before / name)


def _head(patch: Patch) -> bytes:
    """All before the first file."""
    lines = patch.data.splitlines(keepends=True)
    first = next(number for number, line in enumerate(lines) if line.startswith(_FILE))
    return b"".join(lines[:first])


def _kernel(given: Sequence[str]) -> Origin:
    source = sources.obtain(kernel.SOURCE, given)
    series = patches.load_parts(kernel.SOURCE, ("toolchain", "divert"))
    return Origin(kernel.SOURCE, series, lambda tree: worktree.lay_out(source, tree))


def _ipchains(given: Sequence[str]) -> Origin:
    source = sources.obtain(export.IPCHAINS, given)
    series = patches.load_all(export.IPCHAINS)
    return Origin(export.IPCHAINS, series, lambda tree: worktree.lay_out(source, tree))


def _libc(_given: Sequence[str]) -> Origin:
    name = parts.load()["libc"].package
    assert name is not None
    package = packages.source(name)
    series = patches.load_for(name, package.upstream)
    log = command.new_log(f"refresh-{name}")
    return Origin(name, series, lambda tree: packages.unpack(package, tree, log))


ORIGINS: tuple[Callable[[Sequence[str]], Origin], ...] = (_kernel, _ipchains, _libc)
