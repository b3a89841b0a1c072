# SPDX-License-Identifier: GPL-2.0-only
"""The Debian packages of the module, its headers and its tools, built without root.

The same checkout and compiler give the same bytes: times are the changelog's, owners are root's.
"""

from __future__ import annotations

import tempfile
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.base import command, diskroom, paths, store, terminal
from harness.base.errors import InfrastructureError, UserError
from harness.release import deb_programs, deb_recipe, deb_tree
from harness.release.deb_recipe import Recipe, Release

FOLDER = paths.BUILD / "packages"

PACK_SECONDS = 120.0
# Columns of a description's line, with the blank before it.
_COLUMNS = 79


@dataclass(frozen=True)
class Packed:
    """One package that was made."""

    recipe: Recipe
    version: str
    path: Path


def package(output: str | None = None) -> None:
    """Build all packages, and print where they are.

    Raises UserError if `output` is no folder, InfrastructureError if one cannot be built.
    """
    folder = Path(output) if output else FOLDER
    if output and folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is no folder", "name one for the packages: --output DIR")
    grid = terminal.Grid("package", "version", "for", "bytes", "where", right=("bytes",))
    for made in build(folder):
        size = made.path.stat().st_size
        row = (made.recipe.name, made.version, made.recipe.architecture)
        grid.row(*row, f"{size:,}", str(made.path))
    terminal.show(grid)


def build(folder: Path) -> list[Packed]:
    """All packages, in `folder`, which is made if it is not there. Raises InfrastructureError."""
    release = deb_recipe.release()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [_built(recipe, release, folder) for recipe in deb_recipe.load()]
    except OSError as error:
        if error.errno in diskroom.ERRNOS:
            raise store.unwritten(error, folder) from error
        raise InfrastructureError(
            f"cannot write {error.filename or folder}: {error.strerror or error}",
            "name another folder for the packages: --output DIR",
        ) from error


def _built(recipe: Recipe, release: Release, folder: Path) -> Packed:
    log = command.new_log(f"package-{recipe.name}")
    target = folder / f"{recipe.name}_{release.version}_{recipe.architecture}.deb"
    with tempfile.TemporaryDirectory(dir=folder, prefix=".partial-") as work:
        compiled = Path(work) / "programs"
        compiled.mkdir()
        programs = {name: compiled / name for name, _ in recipe.programs}
        for name, source in recipe.programs:
            deb_programs.build(source, programs[name], log)
        words = {"libc": deb_programs.libc(list(programs.values()))} if programs else {}
        root = Path(work) / "root"
        deb_tree.lay_out(root, recipe, release, programs)
        text = control(recipe, release, deb_tree.size(root), words)
        deb_tree.add_control(root, recipe, release, text)
        deb_tree.settle(root, release)
        packed = Path(work) / target.name
        command.run(
            ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", root, packed],
            what=f"the package {recipe.name}",
            log=log,
            seconds=PACK_SECONDS,
            env={"SOURCE_DATE_EPOCH": str(release.time)},
            into=Path(work),
        )
        packed.chmod(0o644)
        packed.replace(target)
    return Packed(recipe, release.version, target)


def control(recipe: Recipe, release: Release, size: int, words: Mapping[str, str]) -> str:
    """The control file (pure). `words` are what its dependencies say in braces."""
    fields = {
        "Package": recipe.name,
        "Version": release.version,
        "Architecture": recipe.architecture,
        "Maintainer": recipe.maintainer,
        "Installed-Size": str(size),
        **{
            name: ", ".join(each.format(**words) for each in row)
            for name, row in recipe.relations.items()
        },
        "Section": recipe.section,
        "Priority": "optional",
        "Description": recipe.summary,
    }
    lines = [f"{name}: {value}" for name, value in fields.items()]
    paragraphs = [
        textwrap.fill(
            " ".join(each.split()),
            _COLUMNS,
            initial_indent=" ",
            subsequent_indent=" ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for each in recipe.description
    ]
    return "\n".join([*lines, "\n .\n".join(paragraphs), ""])
