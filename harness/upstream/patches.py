# SPDX-License-Identifier: GPL-2.0-only
"""A series of patches with its overlay, and how it is applied: exactly, or not at all.

A part of a series is a folder: `NNNN-what.patch` files, applied in the order of their names, and
`overlay/`, whose files are copied into the tree first, new ones and ones replaced as a whole.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base import command, fingerprint, paths
from harness.base.errors import InfrastructureError
from harness.upstream.patchfile import Patch, parse, read, shown

OVERLAY = "overlay"

# One patch is applied in milliseconds.
PATCH_SECONDS = 60.0

_PATCHING = re.compile(r"(?:patching|checking) file '?(.*?)'?(?: \(.*\))?$")
_BAD_HUNK = re.compile(r"Hunk #(\d+) (FAILED at (\d+)|succeeded at (\d+) .*(?:offset|fuzz))")


@dataclass(frozen=True)
class Series:
    """One part of a series: its patches in order, and its overlay's files by their paths.

    It holds what was read, so that what is applied is what the fingerprint says, whatever happens
    to the files meanwhile.
    """

    folder: Path
    patches: tuple[Patch, ...]
    overlay: Mapping[str, bytes]

    @property
    def name(self) -> str:
        """The folder as it is named in messages."""
        return shown(self.folder)

    @property
    def fingerprint(self) -> str:
        """Of the patches and the overlay: names, order and content."""
        parts: list[bytes | str] = []
        for patch in self.patches:
            parts += [patch.path.name, patch.data]
        for name in sorted(self.overlay):
            parts += [f"{OVERLAY}/{name}", self.overlay[name]]
        return fingerprint.of_bytes(*parts)

    def touched(self) -> frozenset[str]:
        """Paths in the source that the series changes, replaces, adds or removes."""
        changed = {
            path
            for patch in self.patches
            for change in patch.changes
            for path in (change.old, change.new)
            if path is not None
        }
        return frozenset(changed | self.overlay.keys())


def load(folder: Path) -> Series:
    """The part in `folder`; an absent folder is an empty part.

    Raises InfrastructureError for a file that is no patch.
    """
    overlay = folder / OVERLAY
    return Series(
        folder,
        tuple(parse(path) for path in sorted(folder.glob("*.patch"))),
        {
            path.relative_to(overlay).as_posix(): read(path)
            for path in overlay.rglob("*")
            if path.is_file()
        },
    )


def load_parts(name: str, parts: Sequence[str]) -> tuple[Series, ...]:
    """The named parts of `patches/<name>`, in the order given.

    Raises InfrastructureError if one is not there: a kernel without it would pass for one with it.
    """
    folders = [paths.PATCHES / name / part for part in parts]
    for folder in folders:
        if not folder.is_dir():
            raise InfrastructureError(
                f"the checkout has no folder {shown(folder)}", "get it back: git status"
            )
    return tuple(load(folder) for folder in folders)


def load_all(name: str) -> tuple[Series, ...]:
    """All that `patches/<name>` holds: its own patches and overlay, then each part's, by name."""
    root = paths.PATCHES / name
    parts = sorted(path for path in root.glob("*") if path.is_dir() and path.name != OVERLAY)
    return tuple(load(folder) for folder in (root, *parts))


def load_for(package: str, version: str) -> tuple[Series, ...]:
    """All that there is for this upstream version of a package; nothing, if none is for any.

    Raises InfrastructureError if there is a series, but for other versions: the package without it
    would build, and be another program.
    """
    name = f"{package}-{version}"
    known = sorted(path.name for path in paths.PATCHES.glob(f"{package}-[0-9]*") if path.is_dir())
    if known and name not in known:
        raise InfrastructureError(
            f"{name} has no patches here, which are for {' and '.join(known)}",
            f"see whether they fit, and copy them to {shown(paths.PATCHES / name)}",
        )
    return load_all(name)


def touched(name: str) -> frozenset[str]:
    """Paths in the source `name` that anything below `patches/<name>` touches."""
    return frozenset[str]().union(*(series.touched() for series in load_all(name)))


def apply(series: Iterable[Series], tree: Path, log: Path) -> None:
    """Put each part's overlay into `tree`, then apply its patches; what patch says goes to `log`.

    Neither fuzz nor offsets are accepted. Raises InfrastructureError that names the patch, the file
    and the line; and for a patch that changes a file of its own part's overlay, since the overlay
    could have had the change itself.
    """
    for part in series:
        for name, data in part.overlay.items():
            target = tree / name
            target.parent.mkdir(parents=True, exist_ok=True)
            # The tree may share its files with the unpacked source.
            target.unlink(missing_ok=True)
            target.write_bytes(data)
        for patch in part.patches:
            _refuse_overlaid(part, patch)
            _apply_one(patch, tree, log)


def _refuse_overlaid(part: Series, patch: Patch) -> None:
    for change in patch.changes:
        for name in (change.old, change.new):
            if name in part.overlay:
                raise InfrastructureError(
                    f"{shown(patch.path)} changes {name}, which {part.name}/{OVERLAY} replaces",
                    f"make the change in {part.name}/{OVERLAY}/{name}",
                )


def _apply_one(patch: Patch, tree: Path, log: Path) -> None:
    name = shown(patch.path)
    argv = ["patch", "-p1", "--fuzz=0", "--batch", "--forward", "--no-backup-if-mismatch"]
    argv += ["--reject-file=-"]
    try:
        done = subprocess.run(
            argv,
            cwd=tree,
            env=command.clean(),
            input=patch.data,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATCH_SECONDS,
            check=False,
        )
    except OSError as error:
        raise InfrastructureError(
            f"cannot start patch: {error.strerror}", "run: ./inv setup"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise InfrastructureError(
            f"patch was still applying {name} after {PATCH_SECONDS:g} s"
        ) from error
    output = done.stdout.decode(errors="replace")
    with log.open("a") as stream:
        stream.write(f"patch -p1 < {name}\n{output}")
    problem = misapplied(output)
    if problem is None and done.returncode != 0:
        problem = output.strip().splitlines()[-1] if output.strip() else f"status {done.returncode}"
    if problem is not None:
        raise InfrastructureError(
            f"{name} does not apply: {problem}",
            "the source, or a patch before it, is not what this patch was made from",
        )


def misapplied(output: str) -> str | None:
    """What patch's output says of the first hunk that did not apply exactly: file, line, hunk.

    None if every hunk went where the patch says. Shape: `net/ipv4/raw.c line 45 (hunk 2)`.
    """
    file = "?"
    for line in output.splitlines():
        if match := _PATCHING.match(line):
            file = match[1]
        elif match := _BAD_HUNK.match(line):
            number, failed, succeeded = match[1], match[3], match[4]
            if failed:
                return f"{file} line {failed} (hunk {number}) differs"
            return f"{file} line {succeeded} (hunk {number}) is not where the patch says: {line}"
        elif "can't find file to patch" in line:
            return "the file that it changes is not there"
    return None
