# SPDX-License-Identifier: GPL-2.0-only
"""The archives of a distribution that the host's APT names: by what they say of themselves."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.base import terminal
from harness.base.errors import HarnessError, UnavailableError
from harness.debian import aptsources
from harness.debian.apt import Apt, release_fields
from harness.debian.aptfailure import Failure
from harness.debian.aptsources import Entry
from harness.debian.hostrelease import Release

WHAT = "fetching the lists of packages"


@dataclass(frozen=True)
class Archives:
    """Entries of the host's lists whose Release files say that they are its distribution's."""

    host: Release
    codenames: Mapping[Entry, str]

    def of(self, release: Release) -> list[Entry]:
        """The entries for a release: the host's as it has them, another's in the same archives.

        A suite such as `stable` may be of another release than the host is by now; it is used only
        where no entry is of the host's own.
        """
        if release != self.host:
            every = [entry.of(release.codename, entry.components) for entry in self.codenames]
            return list(dict.fromkeys(every))
        own = [entry for entry, name in self.codenames.items() if name == release.codename]
        return own or list(self.codenames)


def read_lists(folder: Path) -> list[Entry]:
    """All entries of the lists in `folder`, as /etc/apt is one."""
    parts = folder / "sources.list.d"
    entries: list[Entry] = []
    for path in [folder / "sources.list", *sorted(parts.glob("*.list"))]:
        if path.is_file():
            entries += aptsources.parse_list(path.read_text(errors="replace"))
    for path in sorted(parts.glob("*.sources")):
        entries += aptsources.parse_sources(path.read_text(errors="replace"))
    return entries


@functools.cache
def find(folder: Path, host: Release, root: Path) -> Archives:
    """Those of the lists in `folder`, asked once a process; apt-get works in `root`.

    A list that cannot be fetched is told of and left out. Raises UnavailableError if none is left,
    with the reason for each; InfrastructureError if that is a bad signature.
    """
    entries = aptsources.candidates(read_lists(folder), host)
    if not entries:
        raise _none(folder, host, "none of its lists is of that release, with component main")
    apt = Apt(root, indexes=False)
    apt.prepare(entries)
    fetched = apt.update(entries, WHAT)
    codenames: dict[Entry, str] = {}
    others: list[str] = []
    for entry, release_file in fetched.items():
        if isinstance(release_file, Failure):
            continue
        fields = release_fields(release_file)
        origin = fields.get("Origin", "")
        if origin.casefold() == host.origin.casefold():
            codenames[entry] = fields.get("Codename", "")
        else:
            others.append(f"{entry.name} is of {origin or 'nobody'}")
    failures = {entry: row for entry, row in fetched.items() if isinstance(row, Failure)}
    if not codenames and failures:
        raise unusable(failures, WHAT, apt.log)
    if not codenames:
        raise _none(folder, host, "; ".join(others))
    left_out(failures)
    return Archives(host, codenames)


def left_out(failures: Mapping[Entry, Failure]) -> None:
    """Tell of entries that cannot be used, where others can."""
    for entry, failure in failures.items():
        _warn(f"warning: {entry.name} in APT's lists is left out: {failure.words}")


def unusable(failures: Mapping[Entry, Failure], what: str, log: Path) -> HarnessError:
    """The error where no entry can be used: the first one's, with the others' reasons."""
    (first, failure), *rest = failures.items()
    error = failure.error(f"{what} of {first.name}", log)
    lines = [f"  and {entry.name}: {other.words}" for entry, other in rest]
    # One network is missing for all of them in the same way.
    if any(other.kind != failure.kind for _, other in rest):
        error.message = "\n".join([error.message, *lines])
    return error


def _none(folder: Path, host: Release, why: str) -> UnavailableError:
    return UnavailableError(
        f"{folder} names no archive of {host.name} to take packages from: {why}",
        "the guest is made from packages of Debian or Ubuntu: "
        "use such a host, with its own archive (component main) in /etc/apt",
    )


@functools.cache
def _warn(line: str) -> None:
    terminal.say(line)
