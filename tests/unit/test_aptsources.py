# SPDX-License-Identifier: GPL-2.0-only
"""The host's APT source lists, rewritten for source packages and for another architecture."""

from __future__ import annotations

import pytest

from harness import aptsources
from harness.aptsources import Release

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
deb cdrom:[Debian]/ nothing
"""

PARAGRAPHS = """\
# the distribution
Types: deb deb-src
URIs: http://archive.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Architectures: amd64
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


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n', "debian-12"),
        ("ID=ubuntu\nVERSION_ID='24.04'\nVERSION_CODENAME=noble\n", "ubuntu-24.04"),
        ("ID=debian\nVERSION_CODENAME=sid\n", "debian-sid"),
        ("", "linux-unknown"),
    ],
)
def test_release(text: str, name: str) -> None:
    assert aptsources.parse_release(text).name == name


def test_one_line_form_gives_the_releases_own_sources() -> None:
    assert aptsources.rewrite_list(ONE_LINE, BOOKWORM, None) == [
        "deb-src [signed-by=/usr/share/keyrings/d.gpg] http://archive.example/debian bookworm main"
    ]


def test_one_line_form_for_an_architecture() -> None:
    assert aptsources.rewrite_list(ONE_LINE, BOOKWORM, "i386") == [
        "deb [signed-by=/usr/share/keyrings/d.gpg arch=i386] "
        "http://archive.example/debian bookworm main"
    ]


def test_paragraph_form_keeps_the_key_and_the_first_suite() -> None:
    (paragraph,) = aptsources.rewrite_sources(PARAGRAPHS, BOOKWORM, "i386")
    lines = paragraph.splitlines()
    assert lines[:4] == [
        "Types: deb",
        "Uris: http://archive.example/debian",
        "Suites: bookworm",
        "Components: main contrib",
    ]
    assert lines[4].rstrip() == "Signed-By:"
    assert lines[5:7] == [" -----BEGIN PGP PUBLIC KEY BLOCK-----", " ."]
    assert lines[-1] == "Architectures: i386"


def test_paragraph_form_for_sources_names_no_architecture() -> None:
    (paragraph,) = aptsources.rewrite_sources(PARAGRAPHS, BOOKWORM, None)
    assert "Types: deb-src\n" in paragraph
    assert "Architectures" not in paragraph


def test_ubuntu_gets_universe_once() -> None:
    line = "deb http://archive.example/ubuntu noble main restricted\n"
    assert aptsources.rewrite_list(line, NOBLE, None) == [
        "deb-src http://archive.example/ubuntu noble main restricted universe"
    ]
    paragraph = "Types: deb\nURIs: http://a.example/u\nSuites: noble\nComponents: main universe\n"
    (rewritten,) = aptsources.rewrite_sources(paragraph, NOBLE, None)
    assert "Components: main universe\n" in rewritten


def test_suites_that_name_no_release() -> None:
    line = "deb http://archive.example/debian stable main\n"
    assert aptsources.rewrite_list(line, BOOKWORM, None)
    assert not aptsources.rewrite_list(line.replace("stable", "trixie"), BOOKWORM, None)
