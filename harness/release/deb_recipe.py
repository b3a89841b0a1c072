# SPDX-License-Identifier: GPL-2.0-only
"""The Debian packages that are made here, as packaging/packages.toml describes them."""

from __future__ import annotations

import datetime
import email.utils
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.base import paths, tables
from harness.base.errors import UserError

FOLDER = paths.ROOT / "packaging"
FILE = "packages.toml"
CHANGELOG = "changelog"

_COMMON = "common"
_NEEDED: Mapping[str, type] = {
    "architecture": str,
    "section": str,
    "summary": str,
    "description": list,
}
_KEYS: Mapping[str, type] = {
    **_NEEDED,
    "depends": list,
    "recommends": list,
    "suggests": list,
    "manuals": list,
    "scripts": list,
    "files": list,
    "programs": dict,
    "commands": list,
}
_FILES = {"from", "names", "to"}

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


def load() -> tuple[Recipe, ...]:
    """All packages. Raises UserError if the file is not as it says."""
    path = FOLDER / FILE
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot use {path}: {error}") from error
    return parse(data)


def parse(data: Mapping[str, Any]) -> tuple[Recipe, ...]:
    """The same of what is read already (pure)."""
    maintainer = str(data[_COMMON]["maintainer"])
    return tuple(_recipe(name, row, maintainer) for name, row in data.items() if name != _COMMON)


def _recipe(name: str, row: Mapping[str, Any], maintainer: str) -> Recipe:
    tables.check(FILE, name, row, _KEYS, needed=_NEEDED)
    relations = ("depends", "recommends", "suggests")
    return Recipe(
        name,
        maintainer,
        row["architecture"],
        row["section"],
        row["summary"],
        tuple(row["description"]),
        {key.capitalize(): tuple(row[key]) for key in relations if row.get(key)},
        tuple(row.get("manuals", ())),
        tuple(row.get("scripts", ())),
        tuple(_files(name, each) for each in row.get("files", ())),
        tuple(row.get("programs", {}).items()),
        tuple(row.get("commands", ())),
    )


def _files(name: str, row: Mapping[str, Any]) -> Files:
    if set(row) != _FILES:
        raise UserError(f"{FILE}: files of {name} need {', '.join(sorted(_FILES))}")
    return Files(paths.ROOT / row["from"], tuple(row["names"]), row["to"])


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
