# SPDX-License-Identifier: GPL-2.0-only
"""The Debian packages that are made here, as packaging/packages.toml describes them."""

from __future__ import annotations

import datetime
import email.utils
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from harness.base import datafile, paths
from harness.base.datafile import Fault, Schema, Table
from harness.base.errors import UserError
from harness.image import guestprograms

FOLDER = paths.ROOT / "packaging"
CHANGELOG = "changelog"


class _Files(Table, frozen=True, kw_only=True):
    from_: str = msgspec.field(name="from")
    names: tuple[str, ...]
    to: str


class _Row(Table, frozen=True, kw_only=True):
    """What the file says of a package."""

    architecture: Literal["all", "amd64"]
    section: str
    summary: str
    description: tuple[str, ...]
    depends: tuple[str, ...] = ()
    recommends: tuple[str, ...] = ()
    suggests: tuple[str, ...] = ()
    manuals: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()
    files: tuple[_Files, ...] = ()
    programs: dict[str, str] = msgspec.field(default_factory=dict)
    commands: tuple[str, ...] = ()


class _Packages(Table, frozen=True, kw_only=True):
    maintainer: str
    package: dict[str, _Row]


DATA = Schema(_Packages, "packaging/packages.toml")

_ENTRY = re.compile(r"^\S+ \((?P<version>[^)\s]+)\) ", re.MULTILINE)
_SIGNED = re.compile(r"^ -- [^>]*>  (?P<date>.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Release:
    """What all packages have in common: their version, and the time that all their files have."""

    version: str
    time: int

    @property
    def day(self) -> str:
        """The day, as manual pages have it."""
        return datetime.datetime.fromtimestamp(self.time, datetime.UTC).strftime("%Y-%m-%d")


@dataclass(frozen=True)
class Files:
    """Files of the folder `source` that match `names`, for the package's folder `target`."""

    source: Path
    names: tuple[str, ...]
    target: str


@dataclass(frozen=True)
class Recipe:
    """One package. `relations` are fields of its control file.

    `programs` are compiled for this machine: their names in the package, and in programs.toml.
    """

    name: str
    maintainer: str
    architecture: str
    section: str
    summary: str
    description: tuple[str, ...]
    relations: Mapping[str, tuple[str, ...]]
    manuals: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()
    files: tuple[Files, ...] = ()
    programs: tuple[tuple[str, str], ...] = ()
    commands: tuple[str, ...] = ()


def load(path: Path | None = None) -> tuple[Recipe, ...]:
    """All packages. Raises UserError if the file is not as it says."""
    said = DATA.read(path)
    DATA.refuse(_wrong(said), path)
    return tuple(_recipe(name, row, said.maintainer) for name, row in said.package.items())


def _wrong(said: _Packages) -> Iterator[Fault]:
    """What is nowhere: manuals, scripts, programs, folders."""
    programs = [program.name for program in guestprograms.load()]
    manuals = sorted(path.name for path in (FOLDER / "man").iterdir())
    for name, row in said.package.items():
        keys = ("package", name)
        yield from datafile.each_among((*keys, "manuals"), row.manuals, manuals)
        for key, program in row.programs.items():
            yield from datafile.among((*keys, "programs", key), program, programs)
        for number, script in enumerate(row.scripts):
            if not (FOLDER / f"{name}.{script}").is_file():
                yield Fault((*keys, "scripts", number), f"there is no {name}.{script}")
        for number, files in enumerate(row.files):
            if not (paths.ROOT / files.from_).is_dir():
                yield Fault((*keys, "files", number, "from"), f"there is no {files.from_}")


def _recipe(name: str, row: _Row, maintainer: str) -> Recipe:
    relations = {"Depends": row.depends, "Recommends": row.recommends, "Suggests": row.suggests}
    return Recipe(
        name,
        maintainer,
        row.architecture,
        row.section,
        row.summary,
        row.description,
        {key: value for key, value in relations.items() if value},
        row.manuals,
        row.scripts,
        tuple(Files(paths.ROOT / each.from_, each.names, each.to) for each in row.files),
        tuple(row.programs.items()),
        row.commands,
    )


def release() -> Release:
    """The newest entry of the changelog. Raises UserError if it has none."""
    path = FOLDER / CHANGELOG
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot use {path}: {error}") from error
    return newest(text)


def newest(text: str) -> Release:
    """The newest entry of a changelog in Debian's format (pure). Raises UserError."""
    entry, signed = _ENTRY.search(text), _SIGNED.search(text)
    try:
        if not entry or not signed:
            raise ValueError("no entry with a version and a date")
        date = email.utils.parsedate_to_datetime(signed["date"])
    except ValueError as error:
        raise UserError(f"{CHANGELOG}: {error}", "see deb-changelog(5) for its format") from error
    return Release(entry["version"], int(date.timestamp()))
