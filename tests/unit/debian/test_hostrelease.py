# SPDX-License-Identifier: GPL-2.0-only
"""What a host is taken for, by its os-release: texts as the systems have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.debian import hostrelease

BOOKWORM = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\n\
VERSION="12 (bookworm)"\nVERSION_CODENAME=bookworm\nID=debian\n'
# Testing and unstable have the same one.
FORKY = 'PRETTY_NAME="Debian GNU/Linux forky/sid"\nNAME="Debian GNU/Linux"\n\
VERSION_CODENAME=forky\nID=debian\n'
NOBLE = 'PRETTY_NAME="Ubuntu 24.04.1 LTS"\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\n\
ID=ubuntu\nID_LIKE=debian\nUBUNTU_CODENAME=noble\n'
MINT = 'NAME="Linux Mint"\nVERSION="22 (Wilma)"\nID=linuxmint\nID_LIKE="ubuntu debian"\n\
PRETTY_NAME="Linux Mint 22"\nVERSION_ID="22"\nVERSION_CODENAME=wilma\nUBUNTU_CODENAME=noble\n'
LMDE = 'PRETTY_NAME="LMDE 6 (faye)"\nNAME="LMDE"\nVERSION_ID="6"\nVERSION="6 (faye)"\n\
VERSION_CODENAME=faye\nID=linuxmint\nID_LIKE=debian\nDEBIAN_CODENAME=bookworm'
ZORIN = 'NAME="Zorin OS"\nVERSION="16"\nID=zorin\nID_LIKE=ubuntu\nPRETTY_NAME="Zorin OS 16"\n\
VERSION_ID="16"\nVERSION_CODENAME=focal\nUBUNTU_CODENAME=focal\n'
ELEMENTARY = 'PRETTY_NAME="elementary OS 7 Horus"\nNAME="elementary OS"\nVERSION_ID="7"\n\
VERSION="7 Horus"\nVERSION_CODENAME=horus\nID=elementary\nID_LIKE="ubuntu debian"\n\
UBUNTU_CODENAME=jammy\nUBUNTU_VERSION_ID="22.04"\n'
KALI = 'PRETTY_NAME="Kali GNU/Linux Rolling"\nNAME="Kali GNU/Linux"\nVERSION_ID="2025.4"\n\
VERSION="2025.4"\nVERSION_CODENAME=kali-rolling\nID=kali\nID_LIKE=debian\n'
PARROT = 'PRETTY_NAME="Parrot OS 4.11"\nNAME="Parrot OS"\nID=parrot\nID_LIKE=debian\n\
VERSION="4.11"\nVERSION_ID="4.11"\n'
FEDORA = 'NAME="Fedora Linux"\nVERSION="41 (Workstation Edition)"\nID=fedora\nVERSION_ID=41\n\
VERSION_CODENAME=""\nPRETTY_NAME="Fedora Linux 41 (Workstation Edition)"\n'


@pytest.mark.parametrize(
    ("text", "described", "origin", "suite"),
    [
        (BOOKWORM, "debian-12", "Debian", "bookworm"),
        (FORKY, "debian-forky", "Debian", "forky"),
        (NOBLE, "ubuntu-24.04", "Ubuntu", "noble"),
        (MINT, "ubuntu-noble, which Linux Mint 22 is made of", "Ubuntu", "noble"),
        (LMDE, "debian-bookworm, which LMDE 6 (faye) is made of", "Debian", "bookworm"),
        (ZORIN, "ubuntu-focal, which Zorin OS 16 is made of", "Ubuntu", "focal"),
        (ELEMENTARY, "ubuntu-jammy, which elementary OS 7 Horus is made of", "Ubuntu", "jammy"),
        (KALI, "kali-2025.4", "kali", "kali-rolling"),
        (PARROT, "parrot-4.11", "parrot", "parrot"),
        (FEDORA, "fedora-41", "fedora", "fedora"),
    ],
)
def test_host(text: str, described: str, origin: str, suite: str) -> None:
    release = hostrelease.parse(text)
    assert release.described == described
    assert release.origin == origin
    assert suite in release.suites
    assert "" not in release.suites


def test_host_without_an_os_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostrelease, "OS_RELEASE", tmp_path / "none")
    assert hostrelease.host().name == "linux-unknown"


def test_quotes_and_what_is_no_assignment() -> None:
    text = '# ID=fedora\nID=\'debian\'\nnonsense\nVERSION_ID="12\nVERSION_CODENAME="book\\"worm"\n'
    release = hostrelease.parse(text)
    assert (release.distribution, release.version) == ("debian", "12")


def test_sid_is_taken_from_the_list_that_says_so() -> None:
    assert {"sid", "unstable", "testing"} <= hostrelease.parse(FORKY).suites


def test_other_releases_that_may_have_what_one_cannot_give() -> None:
    assert [row.name for row in hostrelease.parse(FORKY).others] == [
        "debian-trixie",
        "debian-bookworm",
    ]
    assert [row.name for row in hostrelease.parse(BOOKWORM).others] == ["debian-trixie"]
    assert hostrelease.parse(KALI).others == ()


def test_components() -> None:
    assert hostrelease.parse(MINT).components == ("main", "universe")
    assert hostrelease.parse(KALI).components == ("main",)
