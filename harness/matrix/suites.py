# SPDX-License-Identifier: GPL-2.0-only
"""Debian's suites with kernels that the module is for (SPEC.md M13), as suites.toml names them."""

from __future__ import annotations

import datetime
from collections.abc import Collection
from dataclasses import dataclass

from harness.base.datafile import Schema, Table
from harness.base.errors import HarnessError
from harness.debian import packages
from harness.matrix import kernels

# Each depends on the newest kernel of its flavour that a suite has. They are of one version.
PACKAGES = ("linux-image-amd64", "linux-image-cloud-amd64", "linux-image-rt-amd64")

ARCHITECTURE = "amd64"


class Debian(Table, frozen=True, kw_only=True):
    """The `day` for which the data is complete, the oldest and the newest series, and the version
    of the kernels that each suite had then.
    """

    day: datetime.date
    first: str
    last: str
    suites: dict[str, str]


DATA = Schema(Debian, "harness/matrix/suites.toml")


@dataclass(frozen=True)
class Difference:
    """A suite whose lists have another version of kernels today than on that day."""

    suite: str
    known: str
    listed: str

    def __str__(self) -> str:
        return f"{self.suite} has {self.listed} today, and the data is of {self.known}"


def load() -> Debian:
    """What suites.toml says of them. Raises UserError if it is not as its head says."""
    return DATA.read()


def series(version: str) -> str:
    """Of a package's version: 6.12 of 6.12.95-1~bpo12+1 (pure)."""
    return ".".join(version.split(".")[:2])


def missing(debian: Debian) -> list[str]:
    """The kernels of these suites that no row of kernels.toml is, on whichever host."""
    there = {
        (suite, row.package, row.series)
        for row in kernels.load().values()
        for suite in (row.release, *row.suites.values())
    }
    return [
        f"{package} of {suite}"
        for suite, version in debian.suites.items()
        for package in PACKAGES
        if (suite, package, series(version)) not in there
    ]


def differences(debian: Debian, asked: Collection[str]) -> tuple[list[Difference], list[str]]:
    """Of the suites `asked`: those that have other kernels today, and why some cannot tell.

    The lists of each are fetched if they are not here, some megabytes.
    """
    found, silent = [], []
    for suite, known in debian.suites.items():
        if suite not in asked:
            continue
        try:
            listed = packages.listed(PACKAGES[0], ARCHITECTURE, suite)
        except HarnessError as error:
            silent.append(f"{suite} has today: {error.message}")
            continue
        if listed != known:
            found.append(Difference(suite, known, listed))
    return found, silent
