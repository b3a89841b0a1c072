# SPDX-License-Identifier: GPL-2.0-only
"""A downloaded package, as it is kept: a folder with its one file, and the SHA-256 of that."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from harness.base import fingerprint, store
from harness.base.errors import InfrastructureError

_DIGEST = "SHA256SUMS"

_TARBALL = re.compile(r"(?P<name>[^_]+)_(?P<version>.+?)\.(?:orig\.)?tar\.(?:gz|bz2|xz|zst)")
_DEB = re.compile(r"(?P<name>[^_]+)_(?P<version>.+?)_[^_]+\.deb")

# What Debian adds to the version of a source that it has packed anew, without files that it must
# not or need not have: +dfsg, ~ds1, +dfsg.2.
_REPACKED = re.compile(r"[+~.-](?:dfsg|ds|repack)[.\d]*$")


@dataclass(frozen=True)
class Package:
    """A downloaded package: its one file, its version, and the file's SHA-256.

    The version is the upstream one for a source package, the whole one for a binary package.
    """

    name: str
    version: str
    path: Path
    digest: str

    @property
    def upstream(self) -> str:
        """Upstream's own version of a source package, which Debian may have packed anew."""
        return upstream_version(self.version)


def upstream_version(version: str) -> str:
    """A source package's version without Debian's words for a source that it packed anew."""
    while match := _REPACKED.search(version):
        version = version[: match.start()]
    return version


class DamagedError(InfrastructureError):
    """A package is not what was downloaded."""


def write(file: Path) -> None:
    """Write down beside a file what it is."""
    (file.parent / _DIGEST).write_text(f"{fingerprint.of_file(file)}  {file.name}\n")


def read(name: str, folder: Path) -> Package:
    """The package in a folder. Raises DamagedError unless its file is what was written down."""
    store.note(folder)
    try:
        digest, file = (folder / _DIGEST).read_text().split()
        version = version_in(file)
        found = fingerprint.of_file(folder / file)
    except (OSError, ValueError) as error:
        raise _damaged(name, folder) from error
    if found != digest or version is None:
        raise _damaged(name, folder)
    return Package(name, version, folder / file, digest)


def _damaged(name: str, folder: Path) -> DamagedError:
    return DamagedError(f"the package {name} in {folder} is not what was downloaded")


def version_in(file: str) -> str | None:
    """The version in a file's name; none, if it is no package's (pure)."""
    match = _DEB.fullmatch(file) or _TARBALL.fullmatch(file)
    # In a file's name the colon after an epoch is escaped.
    return match["version"].replace("%3a", ":") if match else None
