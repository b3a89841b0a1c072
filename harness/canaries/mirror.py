# SPDX-License-Identifier: GPL-2.0-only
"""What a stage is made of: the files of a checkout, what it has built, and links to its cache."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from harness.base import digests

# What a checkout gets by itself, and what is the user's.
_NOT_COPIED = (".git", ".venv", ".venv.lock", "build", "__pycache__")
# Below build/, what `inv` has Python keep.
_COMPILED = "pycache"
# Of the cache, what is not a folder of fingerprints: apt writes into its lists.
_APT, _DOWNLOADS, OWN = "apt", "downloads", "canaries"


def files(root: Path) -> Iterator[Path]:
    """The files of a checkout that are its own, links among them."""
    for folder, below, names in os.walk(root):
        below[:] = [name for name in below if name not in _NOT_COPIED]
        for name in names:
            if name not in _NOT_COPIED:
                yield Path(folder, name)


def copy(source: Path, target: Path) -> None:
    """A file of the same content and time, so that what is compiled of it is not compiled anew."""
    if not target.is_symlink() and target.exists():
        mine, theirs = target.stat(), source.lstat()
        if (mine.st_size, mine.st_mtime_ns, mine.st_mode) == (
            theirs.st_size,
            theirs.st_mtime_ns,
            theirs.st_mode,
        ):
            return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    shutil.copy2(source, target, follow_symlinks=False)


def take_built(real: Path, copy: Path) -> None:
    """Have of what a checkout builds for itself its keys, and the guest image that has them."""
    for path in copy.iterdir() if copy.is_dir() else ():
        if path.name != _COMPILED:
            _remove(path)
    for name in ("keys", "image"):
        if (real / name).is_dir():
            ignored = shutil.ignore_patterns("*lock", "*.partial")
            shutil.copytree(real / name, copy / name, ignore=ignored)
    # Keys are a folder, and images are each one, with digests beside it.
    if digests.beside(real / "keys").is_file():
        shutil.copy2(digests.beside(real / "keys"), copy)


def take_compiled(real: Path, copy: Path) -> None:
    """Have what Python has compiled of a checkout, each at the path of its source, as `inv` has it:
    the sources in the copy are as old.
    """
    source, target = (root / "build" / _COMPILED / root.relative_to("/") for root in (real, copy))
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("build"))


def link_cache(real: Path, cache: Path) -> None:
    """Make `cache` one that has what the real one has, of which nothing can be changed through it.

    Each entry is a link; the lists of apt are files of their own, which it replaces, never changes,
    but for its locks. What is as it has to be already is left: files are made slowly.
    """
    links: dict[Path, Path] = {}
    files: dict[Path, Path] = {}
    for path in real.iterdir() if real.is_dir() else ():
        if path.name == _APT:
            found = (file for file in path.rglob("*") if file.is_file())
            files.update((file.relative_to(real), file) for file in found)
        elif path.is_file():
            files[path.relative_to(real)] = path
        elif path.is_dir() and path.name not in (OWN, _DOWNLOADS):
            entries = (entry for entry in path.iterdir() if _is_kept(entry))
            links.update((entry.relative_to(real), entry) for entry in entries)
    wanted = {**links, **files}
    folders = {parent for name in wanted for parent in name.parents}
    for folder in folders:
        (cache / folder).mkdir(parents=True, exist_ok=True)
    for folder in folders:
        _clear(cache, folder, wanted, folders)
    for name, entry in links.items():
        if not (cache / name).is_symlink():
            (cache / name).symlink_to(entry)
    for name, file in files.items():
        if name.parts[0] != _APT:
            shutil.copy2(file, cache / name)
        elif not name.name.endswith("lock") and not (cache / name).exists():
            os.link(file, cache / name)


def _is_kept(path: Path) -> bool:
    """Whether it is an entry of the cache that is whole, or what is kept of its digests."""
    if path.is_dir():
        return not path.suffix
    return path.name == digests.beside(path.with_suffix("")).name


def _clear(
    cache: Path, folder: Path, wanted: Mapping[Path, Path], folders: Collection[Path]
) -> None:
    """Remove from a folder of the cache what is not what is wanted there."""
    for path in list((cache / folder).iterdir()):
        name = folder / path.name
        real = wanted.get(name)
        if real is None:
            if name not in folders:
                _remove(path)
        elif path.is_symlink():
            if path.readlink() != real:
                _remove(path)
        elif path.is_dir() or not path.samefile(real):
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
