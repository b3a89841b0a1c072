# SPDX-License-Identifier: GPL-2.0-only
"""The upstream releases as data: what they are called, where they are, how they are recognised."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base import paths
from harness.base.datafile import Schema, Table
from harness.base.errors import UserError


class _Version(Table, frozen=True, kw_only=True):
    file: str
    pattern: str
    expected: str


class _Row(Table, frozen=True, kw_only=True):
    """What the file says of a release."""

    title: str
    archive: str
    endings: tuple[str, ...]
    places: tuple[str, ...]
    digests: dict[str, str]
    manifest: str
    version: _Version
    leave_out: tuple[str, ...]
    written: tuple[str, ...]
    gives: str = ""
    instead: str = ""


DATA = Schema(dict[str, _Row], "harness/upstream/sources.toml")


@dataclass(frozen=True)
class Source:
    """An upstream release, as harness/upstream/sources.toml describes it.

    `gives` is what guests have only where it is at hand, `instead` what they have where it is not.
    """

    name: str
    title: str
    archives: tuple[str, ...]
    places: tuple[str, ...]
    digests: Mapping[str, str]
    manifest: Path
    version_file: str
    version_pattern: str
    version: str
    leave_out: tuple[str, ...]
    written: tuple[str, ...]
    gives: str = ""
    instead: str = ""


def load() -> dict[str, Source]:
    """All sources by name, as harness/upstream/sources.toml has them.

    Raises UserError if it is not as it says.
    """
    manifests = paths.HARNESS / "upstream" / "manifests"
    return {
        name: Source(
            name=name,
            title=row.title,
            archives=tuple(row.archive + ending for ending in row.endings),
            places=row.places,
            digests=row.digests,
            manifest=manifests / row.manifest,
            version_file=row.version.file,
            version_pattern=row.version.pattern,
            version=row.version.expected,
            leave_out=row.leave_out,
            written=row.written,
            gives=row.gives,
            instead=row.instead,
        )
        for name, row in DATA.read().items()
    }


def parse_given(given: Sequence[str]) -> dict[str, Path]:
    """What `--source NAME=PATH` gave, by name.

    Raises UserError for an unknown name, a path that is not there, or a string of another shape.
    """
    names = load()
    result: dict[str, Path] = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not equals or not path:
            raise UserError(f"--source {text}: not NAME=PATH", f"NAME is {' or '.join(names)}")
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UserError(f"there is no source {name}", f"{hint}known: {', '.join(names)}")
        result[name] = Path(path).expanduser().absolute()
        if not result[name].exists():
            raise UserError(f"--source {name}: there is no {result[name]}")
    return result
