# SPDX-License-Identifier: GPL-2.0-only
"""Cleaning removes what the harness made, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base import occupancy, paths, store
from harness.base.errors import InfrastructureError, UserError
from harness.host import cleaning
from tests.unit.base.test_occupancy import another


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout's build folder and a cache, with something of everything."""
    monkeypatch.setenv("DIVERT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(occupancy, "_mine", {})
    monkeypatch.delenv("DIVERT_DOWNLOADS", raising=False)
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    monkeypatch.setattr(paths, "RUNS", tmp_path / "build" / "runs")
    (paths.RUNS / "one").mkdir(parents=True)
    paths.downloads_dir().mkdir(parents=True)
    (paths.downloads_dir() / "linux-2.2.12.tar.gz").write_text("archive")
    store.obtain("kernel", "f" * 64, lambda folder: (folder / "bzImage").touch(), "toy")
    apt = paths.cache_dir() / "apt" / "debian-12-source"
    apt.mkdir(parents=True)
    (apt / "apt.conf").touch()
    return tmp_path


def test_the_checkout_alone() -> None:
    cleaning.clean()
    assert not paths.BUILD.exists()
    assert (paths.cache_dir() / "kernel" / ("f" * 32) / "bzImage").exists()


def test_everything_but_downloads(capsys: pytest.CaptureFixture[str]) -> None:
    cleaning.clean(everything=True)
    assert not paths.BUILD.exists()
    left = [path for path in paths.cache_dir().rglob("*") if path.is_file()]
    # This process has built there itself, and has not ended.
    left = [path for path in left if path.parent.name != occupancy.FOLDER]
    assert left == [paths.downloads_dir() / "linux-2.2.12.tar.gz"]
    assert "removed" in capsys.readouterr().err


def test_what_is_not_ours_stays() -> None:
    other = paths.cache_dir() / "letters" / "to-a-friend"
    other.mkdir(parents=True)
    beside = paths.cache_dir() / "kernel" / "notes.txt"
    beside.write_text("mine")
    cleaning.clean(everything=True)
    assert other.exists()
    assert beside.exists()


def test_not_while_another_builds() -> None:
    path = paths.cache_dir() / "kernel" / ("e" * 32 + ".lock")
    with store.lock(path, "toy"), pytest.raises(InfrastructureError, match="is building in"):
        cleaning.clean(everything=True)
    assert paths.BUILD.exists()
    cleaning.clean(everything=True)


def test_twice() -> None:
    cleaning.clean(everything=True)
    cleaning.clean(everything=True)


@pytest.mark.parametrize("everything", [False, True])
def test_not_while_another_runs_here(everything: bool, folders: Path) -> None:
    """Its run would be lost: a false failure, and no report."""
    with another("occupancy.enter(paths.BUILD / 'runs' / 'one')", folders / "build") as process:
        with pytest.raises(UserError, match="is in use") as caught:
            cleaning.clean(everything=everything)
        assert f"./inv test -k 'a b' (process {process.pid}), in " in caught.value.message
        assert caught.value.message.endswith("build/runs/one")
        assert (paths.RUNS / "one").is_dir()
    cleaning.clean(everything=everything)
    assert not paths.BUILD.exists()


def test_what_is_shared_stays_while_another_checkout_uses_it(folders: Path) -> None:
    (folders / "other").mkdir()
    with another("occupancy.enter()", folders / "other" / "build"):
        with pytest.raises(UserError, match="cache is in use"):
            cleaning.clean(everything=True)
        assert paths.BUILD.exists()
        cleaning.clean()
    assert (paths.cache_dir() / "kernel" / ("f" * 32) / "bzImage").exists()
