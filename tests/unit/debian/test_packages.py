# SPDX-License-Identifier: GPL-2.0-only
"""Packages through apt-get: asked for once, kept, checked, and never at the host's expense.

apt-get is the real one, and reads small archives on this disk; what it is asked is recorded.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.base import diskroom, paths, store
from harness.base.errors import InfrastructureError, UnavailableError
from harness.debian import aptarchives, aptlists, hostrelease, packagefolder, packages
from tests.unit.support.toyarchive import ToyArchive

APT_GET = """\
#!/bin/sh
echo "$*" >>"$RECORD/calls"
case $* in *" $SPOILED"*) cat "$RECORD/said"; exit 100 ;; esac
exec {real} "$@"
"""

pytestmark = pytest.mark.skipif(
    shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None,
    reason="this host has no apt-get",
)


class Host:
    """A host of the test's own: its release, its lists, an empty cache, and an archive."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record = folder / "record"
        self.apt = folder / "apt"
        self.parts = self.apt / "sources.list.d"
        for path in (self.record, self.parts):
            path.mkdir(parents=True)
        self.archive = self.other("debian")
        self.archive.release("bookworm")
        self.archive.source("bookworm", "toy", "1.2")
        self.archive.binary("bookworm", "tool", "1.0-3")
        self.os_release("ID=debian\nVERSION_ID=12\nVERSION_CODENAME=bookworm\n")
        self.lists(f"deb [trusted=yes] {self.archive.uri()} bookworm main\n")

    def other(self, name: str) -> ToyArchive:
        return ToyArchive(self.folder / name)

    def os_release(self, text: str) -> None:
        (self.folder / "os-release").write_text(text)

    def lists(self, text: str) -> None:
        (self.apt / "sources.list").write_text(text)

    def calls(self, word: str) -> int:
        """How often apt-get was asked for it."""
        lines = (self.record / "calls").read_text().splitlines()
        return sum(word in line.split()[2:] and "--print-uris" not in line for line in lines)

    def next_process(self) -> None:
        aptlists.prepared.cache_clear()
        aptarchives.find.cache_clear()
        aptarchives._warn.cache_clear()
        packages._told.clear()


@pytest.fixture(name="host", autouse=True)
def _host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    host = Host(tmp_path)
    binaries = tmp_path / "bin"
    binaries.mkdir()
    (binaries / "apt-get").write_text(APT_GET.format(real=shutil.which("apt-get")))
    (binaries / "apt-get").chmod(0o755)
    monkeypatch.setenv("RECORD", str(host.record))
    monkeypatch.setenv("SPOILED", "nothing")
    monkeypatch.setenv("PATH", f"{binaries}:{os.environ['PATH']}")
    monkeypatch.setenv("DIVERT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DIVERT_DOWNLOADS", raising=False)
    monkeypatch.setattr(hostrelease, "OS_RELEASE", tmp_path / "os-release")
    monkeypatch.setattr(aptlists, "APT_FOLDER", host.apt)
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    host.next_process()
    yield host
    host.next_process()


def _content(package: packagefolder.Package, folder: Path) -> str:
    packages.unpack(package, folder, folder.with_suffix(".log"))
    (file,) = (path for path in folder.rglob("*") if path.is_file())
    return file.read_text()


def test_source_is_downloaded_once_and_unpacks(host: Host, tmp_path: Path) -> None:
    first = packages.source("toy")
    again = packages.source("toy")
    assert first == again
    assert (first.name, first.version) == ("toy", "1.2")
    assert host.calls("source") == 1
    assert _content(first, tmp_path / "tree") == "toy of bookworm\n"


def test_size_of_what_is_yet_to_be_downloaded(host: Host) -> None:
    there = next((host.folder / "debian").rglob("tool_1.0-3_*.deb"))
    assert packages.size("tool", "i386") == there.stat().st_size
    assert packages.listed("tool", "i386") == "1.0-3"
    packages.binary("tool", "i386")
    assert packages.size("tool", "i386") == 0


def test_what_packages_need_besides_is_named_and_not_fetched(host: Host) -> None:
    host.archive.binary("bookworm", "library", "1:2.0-1")
    host.archive.binary("bookworm", "program", "3-1", depends="library (>= 2), tool | other")
    host.archive.binary("bookworm", "unrelated", "1-1")
    assert sorted(packages.closure(["program"], "i386")) == ["library", "program", "tool"]
    assert host.calls("download") == 0
    with pytest.raises(UnavailableError, match="no such package"):
        packages.closure(["absent"], "i386")


def test_lists_are_fetched_once_a_process(host: Host) -> None:
    host.archive.source("bookworm", "other", "3")
    packages.source("toy")
    before = host.calls("update")
    packages.source("other")
    assert host.calls("update") == before


def test_binary_of_another_architecture(tmp_path: Path) -> None:
    package = packages.binary("tool", "i386")
    assert package.version == "1.0-3"
    assert _content(package, tmp_path / "tree") == "tool of bookworm\n"
    configuration = (tmp_path / "cache/apt/debian-12-i386/apt.conf").read_text()
    assert 'APT::Architecture "i386";' in configuration


def test_nothing_of_the_host_is_written_to(tmp_path: Path) -> None:
    packages.source("toy")
    root = tmp_path / "cache/apt/debian-12-source"
    for line in (root / "apt.conf").read_text().splitlines():
        if line.startswith(("Dir::State", "Dir::Cache", "Dir::Log")):
            value = line.split('"')[1]
            assert not value or Path(value).is_relative_to(root), line
    assert "#clear APT::Update::Post-Invoke-Success;" in (root / "apt.conf").read_text()


def test_archive_on_a_disk_of_this_machine_may_go_away(host: Host) -> None:
    """apt-get links to the files of a `file:` archive."""
    host.lists(f"deb [trusted=yes] {host.archive.uri('file')} bookworm main\n")
    package = packages.source("toy")
    shutil.rmtree(host.archive.root)
    assert packages.source("toy") == package
    assert not package.path.is_symlink()


def test_list_of_mirrors(host: Host) -> None:
    mirrors = host.folder / "mirrors.list"
    mirrors.write_text(f"{host.archive.uri('file')}\n")
    host.lists(f"deb [trusted=yes] mirror+file:{mirrors} bookworm main\n")
    assert packages.source("toy").version == "1.2"


def test_paragraph_form_with_several_suites(host: Host) -> None:
    host.lists("")
    host.archive.release("bookworm-updates")
    host.archive.source("bookworm-updates", "toy", "1.3")
    (host.parts / "debian.sources").write_text(
        f"Types: deb\nURIs: {host.archive.uri()}\nSuites: bookworm bookworm-updates\n"
        "Components: main contrib\nTrusted: yes\n"
    )
    assert packages.source("toy").version == "1.2"


@pytest.mark.parametrize("suite", ["stable", "bookworm"])
def test_vendors_list_has_nothing_of_the_distributions(
    suite: str, host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    """A browser's list has a suite `stable` with a component main, others one of our name."""
    vendor = host.other("vendor")
    vendor.release(suite, origin="Vendor, Inc.")
    vendor.binary(suite, "tool", "99-1")
    (host.parts / "vendor.list").write_text(f"deb [trusted=yes] {vendor.uri()} {suite} main\n")
    host.archive.release("trixie")
    host.archive.binary("trixie", "tool", "2.0-1")
    assert packages.binary("tool", "i386").version == "1.0-3"
    assert packages.binary("tool", "i386", "trixie").version == "2.0-1"
    # It is asked for nothing of another release, and so nothing is missed.
    assert capsys.readouterr().err == ""


def test_broken_list_beside_a_good_one_is_a_warning(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = f"copy:{host.folder}/nowhere"
    (host.parts / "more.list").write_text(f"deb [trusted=yes] {nowhere} bookworm main\n")
    assert packages.source("toy").version == "1.2"
    assert packages.binary("tool", "i386").version == "1.0-3"
    said = capsys.readouterr().err
    assert said.count(f"warning: {nowhere} bookworm in APT's lists is left out:") == 1


def test_stable_is_not_the_hosts_release_any_more(host: Host) -> None:
    """The host's own code name goes before a word that has come to mean another release."""
    host.archive.release("stable", codename="trixie")
    host.archive.source("stable", "toy", "9")
    uri = f"[trusted=yes] {host.archive.uri()}"
    host.lists(f"deb {uri} stable main\ndeb {uri} bookworm main\n")
    assert packages.source("toy").version == "1.2"


def test_unstable_host_has_testings_code_name(host: Host) -> None:
    host.os_release("ID=debian\nVERSION_CODENAME=forky\n")
    host.archive.release("unstable", codename="sid")
    host.archive.source("unstable", "toy", "2")
    host.lists(f"deb [trusted=yes] {host.archive.uri()} unstable main\n")
    assert packages.source("toy").version == "2"


def test_derivative_uses_the_archive_of_its_base(host: Host) -> None:
    host.os_release("ID=linuxmint\nID_LIKE=debian\nVERSION_ID=6\nDEBIAN_CODENAME=bookworm\n")
    assert packages.source("toy").version == "1.2"


def test_derivative_with_an_archive_of_its_own(host: Host) -> None:
    host.os_release("ID=kali\nID_LIKE=debian\nVERSION_CODENAME=kali-rolling\n")
    own = host.other("kali")
    own.release("kali-rolling", origin="Kali")
    own.source("kali-rolling", "toy", "7")
    host.lists(f"deb [trusted=yes] {own.uri()} kali-rolling main\n")
    assert packages.source("toy").version == "7"


def test_source_that_the_mirror_has_lost_is_taken_from_another_release(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    host.archive.source("bookworm", "toy", "1.3").unlink()
    host.archive.release("trixie")
    host.archive.source("trixie", "toy", "1.4")
    assert packages.source("toy").version == "1.4"
    assert packages.source("toy").version == "1.4"
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("toy is taken from debian-trixie, not debian-12: downloading the")
    assert "the mirror has not got it: Failed to fetch" in line
    host.next_process()
    before = host.calls("update")
    assert packages.source("toy").version == "1.4"
    assert host.calls("update") == before
    assert "toy is of debian-trixie" in capsys.readouterr().err


def test_package_by_its_older_name(host: Host) -> None:
    assert packages.one_of("toolt64|tool", "i386").name == "tool"
    before = host.calls("download")
    assert packages.one_of("toolt64|tool", "i386").name == "tool"
    assert host.calls("download") == before
    host.archive.binary("bookworm", "newt64", "1")
    host.next_process()
    assert packages.one_of("newt64|new", "i386").name == "newt64"
    with pytest.raises(UnavailableError, match="package none"):
        packages.one_of("nonet64|none", "i386")


def test_package_that_no_release_has(host: Host) -> None:
    host.archive.release("trixie")
    with pytest.raises(UnavailableError, match=r"package absent: the release has no such package"):
        packages.source("absent")
    with pytest.raises(UnavailableError, match=r"package absent: the release has no such package"):
        packages.binary("absent", "i386")


@pytest.mark.parametrize("scheme", ["copy", "file"])
def test_tampered_file_is_an_error_whatever_other_releases_have(scheme: str, host: Host) -> None:
    host.lists(f"deb [trusted=yes] {host.archive.uri(scheme)} bookworm main\n")
    tarball = host.archive.source("bookworm", "toy", "1.3")
    tarball.write_bytes(tarball.read_bytes()[:-1] + b"x")
    host.archive.release("trixie")
    host.archive.source("trixie", "toy", "1.4")
    with pytest.raises(InfrastructureError, match="is not what the archive's signed") as caught:
        packages.source("toy")
    assert not isinstance(caught.value, UnavailableError)
    assert not (host.folder / "cache/downloads/packages/debian-12/source/toy").exists()


def test_archive_without_a_signature(host: Host) -> None:
    host.lists(f"deb {host.archive.uri()} bookworm main\n")
    with pytest.raises(InfrastructureError, match="is not signed") as caught:
        packages.source("toy")
    assert not isinstance(caught.value, UnavailableError)


def test_no_list_can_be_fetched(host: Host) -> None:
    host.lists("deb [trusted=yes] copy:/nowhere/debian bookworm main\n")
    with pytest.raises(UnavailableError, match="copy:/nowhere/debian bookworm") as caught:
        packages.source("toy")
    assert "deb-src" not in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3


def test_full_disk(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    (host.record / "said").write_text("E: Write error - write (28: No space left on device)\n")
    monkeypatch.setenv("SPOILED", "source")
    with pytest.raises(diskroom.FullError, match="package toy: no room on the disk of") as caught:
        packages.source("toy")
    assert "DIVERT_CACHE=FOLDER" in caught.value.hint


@pytest.mark.parametrize("line", ["", "deb http://third.example/x bookworm-x main\n"])
def test_host_without_a_list_of_its_own(line: str, host: Host) -> None:
    host.lists(line)
    with pytest.raises(UnavailableError, match="names no archive of debian-12"):
        packages.source("toy")


def test_host_whose_lists_are_of_others(host: Host) -> None:
    vendor = host.other("vendor")
    vendor.release("stable", origin="Vendor, Inc.")
    host.lists(f"deb [trusted=yes] {vendor.uri()} stable main\n")
    with pytest.raises(UnavailableError, match=r"stable is of Vendor, Inc\."):
        packages.source("toy")


def _spoil(package: packagefolder.Package, damage: str) -> None:
    if damage == "changed":
        package.path.write_bytes(package.path.read_bytes()[:-1])
    elif damage == "removed":
        package.path.unlink()
    else:
        (package.path.parent / "SHA256SUMS").write_text("")


@pytest.mark.parametrize("damage", ["changed", "removed", "sums"])
def test_damaged_download_is_fetched_anew(
    damage: str, host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    package = packages.source("toy")
    whole = package.path.read_bytes()
    _spoil(package, damage)
    with store.looking(), pytest.raises(store.AbsentError):
        packages.source("toy")
    assert packages.source("toy") == package
    assert package.path.read_bytes() == whole
    assert "is not what was downloaded: it is fetched anew" in capsys.readouterr().err
    assert host.calls("source") == 2
    assert not list(package.path.parents[1].glob(".damaged*"))


def test_damaged_download_that_cannot_be_had_again_is_refused(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = packages.source("toy")
    _spoil(package, "changed")
    (host.record / "said").write_text("E: Could not resolve 'deb.example'\n")
    monkeypatch.setenv("SPOILED", "source")
    for _ in range(2):
        with pytest.raises(InfrastructureError, match="is not what was downloaded") as caught:
            packages.source("toy")
        assert not isinstance(caught.value, UnavailableError)
        assert "no network, or no name service" in caught.value.message
    monkeypatch.setenv("SPOILED", "nothing")
    assert packages.source("toy") == package


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
    assert packagefolder.upstream_version(version) == upstream
