# SPDX-License-Identifier: GPL-2.0-only
"""The files of a Debian package, laid out in a folder: the same bytes, modes, times each time."""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.base.errors import InfrastructureError
from harness.release import deb_recipe
from harness.release.deb_recipe import Files, Recipe, Release

COMMANDS = "usr/sbin"
CONTROL = "DEBIAN"

# What a build in the module's folder leaves there.
_LEFT = (".mod.c",)
_KIB = 1024


def lay_out(root: Path, recipe: Recipe, release: Release, programs: Mapping[str, Path]) -> None:
    """Put all but the control files of a package below `root`; `programs` are compiled already.

    Raises InfrastructureError if a pattern of the recipe matches no file.
    """
    for files in recipe.files:
        for path in matched(files):
            target = root / files.target.format(version=release.version)
            _write(target / path.relative_to(files.source), _content(path, release))
    for name in recipe.commands:
        _write(root / COMMANDS / name, _content(deb_recipe.FOLDER / name, release), 0o755)
    for name, path in programs.items():
        _write(root / COMMANDS / name, path.read_bytes(), 0o755)
    for name in recipe.manuals:
        text = _content(deb_recipe.FOLDER / "man" / name, release)
        section = name.rpartition(".")[2]
        _write(root / f"usr/share/man/man{section}/{name}.gz", _packed(text))
    folder = root / "usr/share/doc" / recipe.name
    _write(folder / "copyright", _content(deb_recipe.FOLDER / "copyright", release))
    changelog = (deb_recipe.FOLDER / deb_recipe.CHANGELOG).read_bytes()
    _write(folder / "changelog.gz", _packed(changelog))


def add_control(root: Path, recipe: Recipe, release: Release, control: str) -> None:
    """Add the control file, the maintainer scripts, and the sums of all files that are there."""
    sums = [
        f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  "
        f"{path.relative_to(root)}\n"
        for path in _files_of(root)
    ]
    _write(root / CONTROL / "control", control.encode())
    _write(root / CONTROL / "md5sums", "".join(sums).encode())
    for name in recipe.scripts:
        text = _content(deb_recipe.FOLDER / f"{recipe.name}.{name}", release)
        _write(root / CONTROL / name, text, 0o755)


def settle(root: Path, release: Release) -> None:
    """Give all folders their mode, whatever the umask was, and everything the release's time."""
    for path in [*root.rglob("*"), root]:
        if path.is_dir():
            path.chmod(0o755)
        os.utime(path, (release.time, release.time))


def size(root: Path) -> int:
    """Its installed size, in units of 1,024 bytes, as Debian counts it: a folder is one."""
    files = sum(-(-path.stat().st_size // _KIB) for path in _files_of(root))
    return files + sum(path.is_dir() for path in root.rglob("*"))


def matched(files: Files) -> list[Path]:
    """The files that a row of a recipe names. Raises InfrastructureError if a name has none."""
    found: set[Path] = set()
    for name in files.names:
        new = {
            path
            for path in files.source.glob(name)
            if path.is_file() and not path.name.endswith(_LEFT)
        }
        if not new:
            raise InfrastructureError(
                f"{deb_recipe.DATA.where} packs {name} of {files.source}, and there is none"
            )
        found |= new
    return sorted(found)


def _files_of(root: Path) -> Iterator[Path]:
    return (path for path in sorted(root.rglob("*")) if path.is_file())


def _content(path: Path, release: Release) -> bytes:
    """A file's bytes; in one of our own folder, with what stands for version and day filled in."""
    content = path.read_bytes()
    if not path.is_relative_to(deb_recipe.FOLDER):
        return content
    filled = content.replace(b"@VERSION@", release.version.encode())
    return filled.replace(b"@DATE@", release.day.encode())


def _packed(content: bytes) -> bytes:
    return gzip.compress(content, compresslevel=9, mtime=0)


def _write(path: Path, content: bytes, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
