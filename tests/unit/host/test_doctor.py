# SPDX-License-Identifier: GPL-2.0-only
"""What `doctor` shows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from harness.base import paths
from harness.base.errors import InfrastructureError
from harness.debian import hostrelease
from harness.host import doctor, host
from tests.unit.support.toy import NAME, Release, pack, release

__all__ = ["release"]


@pytest.fixture
def needs(release: Release, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host that must have nothing but a shell."""
    for name in ("host", "base"):
        (paths.HARNESS / name).mkdir()
    shutil.copy(paths.ROOT / "harness/base/compilers.toml", paths.HARNESS / "base")
    path = paths.HARNESS / "host" / "host.toml"
    monkeypatch.setattr(host.DATA, "where", str(path))
    path.write_text('[sh]\npackage = "dash"\nreason = "runs scripts"\n')
    return path


def test_what_is_there(
    needs: Path,
    release: Release,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    archive = pack(release.downloads / f"{NAME}.tar.gz")
    entry = paths.cache_dir() / "kernel" / ("0" * 32)
    entry.mkdir(parents=True)
    (entry / "bzImage").write_bytes(bytes(3 << 20))
    os_release = tmp_path / "os-release"
    os_release.write_text(
        'ID=linuxmint\nID_LIKE="ubuntu debian"\nPRETTY_NAME="Linux Mint 22"\n'
        "UBUNTU_CODENAME=noble\n"
    )
    monkeypatch.setattr(hostrelease, "OS_RELEASE", os_release)
    doctor.doctor()
    out = capsys.readouterr().out.replace("\n", "")
    assert "of ubuntu-noble, which Linux Mint 22 is made of" in out
    assert archive.name in out
    assert "3 MiB" in out
    assert "disk free" in out
    assert "accelerator" in out


def test_as_json(needs: Path, release: Release, capsys: pytest.CaptureFixture[str]) -> None:
    archive = pack(release.downloads / f"{NAME}.tar.gz")
    doctor.doctor(as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == doctor.SCHEMA == 1
    assert set(told) == {
        *("schema", "machine", "archives", "cache", "downloads", "disk_free", "build"),
        *("needs", "lacking"),
    }
    assert told["archives"] == {NAME: str(archive)}
    assert [(need["name"], need["there"]) for need in told["needs"]] == [("sh", True)]
    assert (told["cache"]["writable"], told["lacking"]) == (True, [])


def test_what_is_missing(needs: Path, release: Release, capsys: pytest.CaptureFixture[str]) -> None:
    needs.write_text('[no-such-program]\npackage = "package-of-it"\nreason = "for this test"\n')
    with pytest.raises(InfrastructureError, match="this host lacks no-such-program"):
        doctor.doctor()
    out = capsys.readouterr().out
    assert "package package-of-it" in out
    assert f"missing; wanted: {NAME}.tar.xz" in out


def test_a_cache_in_which_nothing_can_be_built(
    needs: Path,
    release: Release,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DIVERT_CACHE", str(tmp_path / "a b"))
    with pytest.raises(InfrastructureError, match=r"a b: make takes no path with a space"):
        doctor.doctor()
    assert "disk free" in capsys.readouterr().out


def test_nothing_is_changed(needs: Path, release: Release) -> None:
    doctor.doctor()
    assert not paths.cache_dir().exists()
    assert not release.downloads.exists()


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 MiB"), (5 << 20, "5 MiB"), (3 << 29, "1.5 GiB")]
)
def test_size(count: int, text: str) -> None:
    assert doctor.size(count) == text
