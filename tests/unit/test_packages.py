# SPDX-License-Identifier: GPL-2.0-only
"""Packages through apt-get: asked for once, kept, checked, and never at the host's expense.

apt-get itself is a script here, which records what it was asked and brings a small tarball.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import packages
from harness.errors import InfrastructureError

APT_GET = """\
#!/bin/sh
echo "$*" >>"$RECORD/calls"
for word do last=$word; done
case $* in
*" update"*) [ ! -e "$RECORD/offline" ] || { echo "Err:1 http://a.example x"; exit 100; } ;;
*" source "*) cp "$RECORD/toy.tar.gz" "${last}_1.2~x.orig.tar.gz" ;;
*" download "*) [ "$last" != absent ] || { echo "E: no candidate"; exit 100; }
	cp "$RECORD/toy.tar.gz" "${last}_2%3a1.0-3_i386.deb" ;;
esac
"""


@pytest.fixture(name="record", autouse=True)
def _record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A host of the test's own: its release, its source list, its apt-get, an empty cache."""
    record = tmp_path / "record"
    binaries = tmp_path / "bin"
    apt = tmp_path / "apt"
    for folder in (record, binaries, apt):
        folder.mkdir()
    (binaries / "apt-get").write_text(APT_GET)
    (binaries / "apt-get").chmod(0o755)
    (record / "source").mkdir()
    (record / "source" / "file").write_text("content")
    with tarfile.open(record / "toy.tar.gz", "w:gz") as archive:
        archive.add(record / "source", "toy-1.2")
    (tmp_path / "os-release").write_text("ID=debian\nVERSION_ID=12\nVERSION_CODENAME=bookworm\n")
    (apt / "sources.list").write_text("deb http://archive.example/debian bookworm main\n")
    monkeypatch.setenv("RECORD", str(record))
    monkeypatch.setenv("PATH", f"{binaries}:{os.environ['PATH']}")
    monkeypatch.setenv("DIVERT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DIVERT_DOWNLOADS", raising=False)
    monkeypatch.setattr(packages, "OS_RELEASE", tmp_path / "os-release")
    monkeypatch.setattr(packages, "APT_FOLDER", apt)
    packages._prepared.cache_clear()
    yield record
    packages._prepared.cache_clear()


def _calls(record: Path) -> list[str]:
    """The verbs that apt-get was called with, in order."""
    lines = (record / "calls").read_text().splitlines()
    return [line.split()[2] for line in lines]


def test_source_is_downloaded_once_and_unpacks(record: Path, tmp_path: Path) -> None:
    first = packages.source("toy")
    again = packages.source("toy")
    assert first == again
    assert (first.name, first.version) == ("toy", "1.2~x")
    assert _calls(record) == ["update", "source"]
    packages.unpack(first, tmp_path / "tree", tmp_path / "log")
    assert (tmp_path / "tree" / "file").read_text() == "content"


@pytest.mark.parametrize(
    ("version", "upstream"),
    [
        ("0.34~cvs20160606+ds", "0.34~cvs20160606"),
        ("0.34~cvs20160606~ds", "0.34~cvs20160606"),
        ("1.36.1+dfsg", "1.36.1"),
        ("1.36.1+dfsg.2", "1.36.1"),
        ("1.36.1+dfsg1+ds2", "1.36.1"),
        ("2022.83", "2022.83"),
        ("59c", "59c"),
        ("0.34~cvs20160606", "0.34~cvs20160606"),
    ],
)
def test_repacked_source_is_upstreams(version: str, upstream: str) -> None:
    assert packages.upstream_version(version) == upstream


def test_lists_are_fetched_once_a_process(record: Path) -> None:
    packages.source("toy")
    packages.source("other")
    assert _calls(record) == ["update", "source", "source"]


def test_binary_of_another_architecture(record: Path, tmp_path: Path) -> None:
    assert packages.binary("toy", "i386").version == "2:1.0-3"
    configuration = (tmp_path / "cache/apt/debian-12-i386/apt.conf").read_text()
    assert 'APT::Architecture "i386";' in configuration
    lists = (tmp_path / "cache/apt/debian-12-i386/lists.d/sources.list").read_text()
    assert lists == "deb [arch=i386] http://archive.example/debian bookworm main\n"


def test_nothing_of_the_host_is_written_to(record: Path, tmp_path: Path) -> None:
    packages.source("toy")
    root = tmp_path / "cache/apt/debian-12-source"
    for line in (root / "apt.conf").read_text().splitlines():
        if line.startswith(("Dir::State", "Dir::Cache", "Dir::Log")):
            value = line.split('"')[1]
            assert not value or Path(value).is_relative_to(root), line
    assert "#clear APT::Update::Post-Invoke-Success;" in (root / "apt.conf").read_text()


def test_no_network_says_what_failed_and_leaves_nothing(record: Path, tmp_path: Path) -> None:
    (record / "offline").touch()
    with pytest.raises(InfrastructureError, match=r"Err:1 http://a\.example") as caught:
        packages.source("toy")
    assert "see to the network" in caught.value.hint
    assert not (tmp_path / "cache/downloads/packages/debian-12/source/toy").exists()
    (record / "offline").unlink()
    assert packages.source("toy").version == "1.2~x"


def test_absent_package_is_named(record: Path) -> None:
    with pytest.raises(InfrastructureError, match=r"package absent.*\n.*no candidate"):
        packages.binary("absent", "i386")


def test_host_without_an_archive_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "apt/sources.list").write_text("deb http://third.example/x bookworm-x main\n")
    with pytest.raises(InfrastructureError, match="names no archive of debian-12"):
        packages.source("toy")


@pytest.mark.parametrize("damage", ["changed", "removed", "sums"])
def test_damaged_download_is_refused(damage: str, record: Path) -> None:
    package = packages.source("toy")
    if damage == "changed":
        package.path.write_bytes(package.path.read_bytes()[:-1])
    elif damage == "removed":
        package.path.unlink()
    else:
        (package.path.parent / "SHA256SUMS").write_text("")
    with pytest.raises(InfrastructureError, match="is not what was downloaded") as caught:
        packages.source("toy")
    assert "remove that folder" in caught.value.hint
