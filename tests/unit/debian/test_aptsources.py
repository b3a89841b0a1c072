# SPDX-License-Identifier: GPL-2.0-only
"""The host's APT source lists, rewritten for source packages and for another architecture."""

from __future__ import annotations

import pytest

from harness.debian import aptsources
from harness.debian.aptsources import Entry
from harness.debian.hostrelease import Release

BOOKWORM = Release("debian", "12", "bookworm")
NOBLE = Release("ubuntu", "24.04", "noble")

ONE_LINE = """\
# deb http://archive.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/d.gpg] http://archive.example/debian bookworm main
deb-src http://archive.example/debian bookworm main
deb http://archive.example/debian bookworm-updates main
deb http://archive.example/debian-security bookworm-security main # security
deb http://third.example/apt bookworm-pgdg main
deb http://third.example/tool bookworm stable
deb cdrom:[Debian GNU/Linux 12]/ bookworm main
deb mirror+file:/etc/apt/mirrors.list bookworm main contrib
"""

PARAGRAPHS = """\
# the distribution
Types: deb deb-src
URIs: http://archive.example/debian http://second.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Architectures: amd64
Trusted: yes
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEYCQjIxYJKwYBBAHaRw8BAQdAD/P5Nvvnvk66SxBBHDbhRml9ORg1WV5CvzKY
 -----END PGP PUBLIC KEY BLOCK-----

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://third.example/apt
Suites: nodistro
Components: main
"""


def test_one_line_form_gives_the_releases_own_sources() -> None:
    entries = aptsources.candidates(aptsources.parse_list(ONE_LINE), BOOKWORM)
    assert [entry.text(None) for entry in entries] == [
        "deb-src [signed-by=/usr/share/keyrings/d.gpg] "
        "http://archive.example/debian bookworm main\n",
        "deb-src mirror+file:/etc/apt/mirrors.list bookworm main\n",
    ]


def test_one_line_form_for_an_architecture() -> None:
    first, second = aptsources.candidates(aptsources.parse_list(ONE_LINE), BOOKWORM)
    assert first.text("i386") == (
        "deb [signed-by=/usr/share/keyrings/d.gpg arch=i386] "
        "http://archive.example/debian bookworm main\n"
    )
    assert "[arch=i386]" in second.text("i386")


def test_another_release_of_the_same_archive_keeps_the_key() -> None:
    (first, _) = aptsources.candidates(aptsources.parse_list(ONE_LINE), BOOKWORM)
    assert first.of("trixie", ("main",)).text(None) == (
        "deb-src [signed-by=/usr/share/keyrings/d.gpg] http://archive.example/debian trixie main\n"
    )


def test_paragraph_form_keeps_the_key_and_gives_each_archive_by_itself() -> None:
    entries = aptsources.candidates(aptsources.parse_sources(PARAGRAPHS), BOOKWORM)
    assert [entry.name for entry in entries] == [
        "http://archive.example/debian bookworm",
        "http://second.example/debian bookworm",
    ]
    lines = entries[0].text("i386").splitlines()
    assert lines[:6] == [
        "Types: deb",
        "URIs: http://archive.example/debian",
        "Suites: bookworm",
        "Components: main",
        "Architectures: i386",
        "Trusted: yes",
    ]
    assert lines[6].rstrip() == "Signed-By:"
    assert lines[7:9] == [" -----BEGIN PGP PUBLIC KEY BLOCK-----", " ."]


def test_paragraph_form_for_sources_names_no_architecture() -> None:
    (entry, _) = aptsources.candidates(aptsources.parse_sources(PARAGRAPHS), BOOKWORM)
    assert "Types: deb-src\n" in entry.text(None)
    assert "Architectures" not in entry.text(None)


def test_ubuntu_gets_universe_once() -> None:
    line = "deb http://archive.example/ubuntu noble main restricted universe\n"
    more = "deb http://archive.example/ubuntu noble main\n"
    (entry,) = aptsources.candidates(aptsources.parse_list(line + more), NOBLE)
    assert entry.text(None) == "deb-src http://archive.example/ubuntu noble main universe\n"


@pytest.mark.parametrize("suite", ["stable", "oldstable", "bookworm"])
def test_names_of_the_hosts_release(suite: str) -> None:
    entry = Entry("http://archive.example/debian", suite, ("main",))
    assert aptsources.candidates([entry], BOOKWORM) == [entry]


@pytest.mark.parametrize("suite", ["trixie", "bookworm-backports", "bookworm/updates", "./"])
def test_names_of_others(suite: str) -> None:
    assert not aptsources.candidates([Entry("http://x.example/", suite, ("main",))], BOOKWORM)


def test_derivatives_list_is_used_for_its_base() -> None:
    """Of Linux Mint's list: the lines of Ubuntu."""
    text = (
        "deb http://packages.linuxmint.com wilma main upstream import backport\n"
        "deb http://archive.ubuntu.com/ubuntu noble main restricted universe multiverse\n"
        "deb http://archive.ubuntu.com/ubuntu noble-updates main restricted universe\n"
    )
    mint = Release("ubuntu", "", "noble", "Linux Mint 22")
    entries = aptsources.candidates(aptsources.parse_list(text), mint)
    assert [entry.name for entry in entries] == ["http://archive.ubuntu.com/ubuntu noble"]
