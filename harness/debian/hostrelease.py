# SPDX-License-Identifier: GPL-2.0-only
"""The release of a distribution that a host is, or is made of: whose packages it can use."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.base.datafile import Schema, Table

OS_RELEASE = Path("/etc/os-release")


class Distribution(Table, frozen=True, kw_only=True):
    """One, as harness/debian/distributions.toml describes it."""

    title: str
    origin: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    codename: str
    others: tuple[str, ...]


DATA = Schema(dict[str, Distribution], "harness/debian/distributions.toml")


@dataclass(frozen=True)
class Release:
    """A release, by words of os-release: ID, VERSION_ID, VERSION_CODENAME.

    `derived` is the name of the host's own system, if that is made of this release.
    """

    distribution: str
    version: str
    codename: str
    derived: str = ""

    def other(self, codename: str) -> Release:
        """Another release of the same distribution, by its code name; this one, if it is that."""
        return self if codename in {"", self.codename} else Release(self.distribution, "", codename)

    @property
    def name(self) -> str:
        """For folders and messages: `debian-12`, `ubuntu-24.04`, `debian-sid`."""
        return f"{self.distribution}-{self.version or self.codename or 'unknown'}"

    @property
    def described(self) -> str:
        """What a host is taken for, in words."""
        return f"{self.name}, which {self.derived} is made of" if self.derived else self.name

    @property
    def _row(self) -> Distribution | None:
        return distributions().get(self.distribution)

    @property
    def origin(self) -> str:
        """What Release files of its archive call themselves; a derivative's is known by its ID."""
        return self._row.origin if self._row else self.distribution

    @property
    def suites(self) -> frozenset[str]:
        """What lists of this host may call this release."""
        own = {self.codename, self.distribution} if self._row is None else {self.codename}
        return frozenset(own | set(self._row.suites if self._row else ())) - {""}

    @property
    def components(self) -> tuple[str, ...]:
        """Where its packages are."""
        return ("main", *(self._row.components if self._row else ()))

    @property
    def others(self) -> tuple[Release, ...]:
        """Releases that may have what this one cannot give, in the order to ask them."""
        names = self._row.others if self._row else ()
        return tuple(self.other(name) for name in names if name != self.codename)


@functools.cache
def distributions() -> Mapping[str, Distribution]:
    """Those of the data file, by the ID that os-release has for them."""
    return DATA.read()


def parse(text: str) -> Release:
    """The release that an os-release file describes; what it lacks is empty.

    A derivative is the release that it says it is made of, whose archive it uses besides its own.
    One that does not say has an archive of its own for everything.
    """
    fields = _fields(text)
    own = Release(
        fields.get("ID", "linux"),
        fields.get("VERSION_ID", ""),
        fields.get("VERSION_CODENAME", ""),
    )
    if own.distribution in distributions():
        return own
    like = fields.get("ID_LIKE", "").split()
    for name, row in distributions().items():
        if name in like and (codename := fields.get(row.codename)):
            derived = fields.get("PRETTY_NAME") or fields.get("NAME") or own.name
            return Release(name, "", codename, derived)
    return own


def host() -> Release:
    """The release of this host."""
    try:
        return parse(OS_RELEASE.read_text(errors="replace"))
    except OSError:
        return parse("")


def _fields(text: str) -> dict[str, str]:
    """The assignments of a file that a shell could read."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if not equals or key.lstrip().startswith("#"):
            continue
        try:
            words = shlex.split(value)
        except ValueError:
            words = [value.strip().strip("\"'")]
        fields[key.strip()] = " ".join(words)
    return fields
