# SPDX-License-Identifier: GPL-2.0-only
"""Roots of fresh systems: verified, made anew after a day, and an old one used if that fails."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from harness.base import diskroom, paths, store
from harness.base.errors import AbsentError, DeadlineError, InfrastructureError, UnavailableError
from harness.debian import aptlists, aptsources, bootstrap, namespace, packagefolder, packages
from harness.debian.namespace import Outcome

LISTS = {"debian.sources": "Types: deb\nURIs: http://m/debian\nSuites: bookworm\n"}


class Roots:
    """Stands for mmdebstrap and tar: what was made, and what was unpacked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made = 0
        self.fails = False
        self.unpacked: list[str] = []
        monkeypatch.setattr(bootstrap, "_make", self._make)
        monkeypatch.setattr(bootstrap, "_unpack", self._unpack)

    def _make(self, folder: Path, *_: object) -> None:
        if self.fails:
            raise InfrastructureError("no root of bookworm: 404")
        self.made += 1
        tar = folder / "root.tar"
        tar.write_text(f"root {self.made}")
        bootstrap.write_record(folder)

    def _unpack(self, tar: Path, _root: Path) -> None:
        self.unpacked.append(tar.read_text())


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Roots:
    monkeypatch.setenv("DIVERT_CACHE", str(tmp_path))
    monkeypatch.setattr(aptlists, "host_lists", lambda *_: dict(LISTS))
    monkeypatch.setattr(namespace, "unshare", lambda: ("env",))
    return Roots(monkeypatch)


def only_entry() -> Path:
    folder = paths.cache_dir() / bootstrap.KIND
    return next(path for path in folder.iterdir() if path.is_dir())


def get(*wanted: str) -> None:
    bootstrap.lay_out("bookworm", wanted, Path("/root-of-the-room"))


def test_made_once_and_used_again(roots: Roots) -> None:
    get("git")
    get("git")
    assert roots.unpacked == ["root 1", "root 1"]
    get("git", "make")
    assert roots.unpacked[-1] == "root 2"


def test_other_lists_of_the_host_make_another(
    roots: Roots, monkeypatch: pytest.MonkeyPatch
) -> None:
    get()
    monkeypatch.setattr(aptlists, "host_lists", lambda *_: {"x.list": "deb http://n sid main"})
    get()
    assert roots.unpacked == ["root 1", "root 2"]


def test_damaged_one_is_made_anew(roots: Roots) -> None:
    get()
    (only_entry() / "root.tar").write_text("toor 1")
    get()
    (only_entry() / "made.json").write_text("{")
    get()
    assert roots.unpacked == ["root 1", "root 2", "root 3"]


def let_it_age(days: float = 1.5) -> None:
    record = only_entry() / "made.json"
    made = json.loads(record.read_text())
    record.write_text(json.dumps(made | {"at": time.time() - days * bootstrap.FRESH_SECONDS}))


def test_one_that_nobody_wants_any_more_is_removed(roots: Roots) -> None:
    get()
    let_it_age(days=6)
    bootstrap.remove_old()
    entry = only_entry()
    let_it_age(days=8)
    with store.lock(entry.with_suffix(".lock"), "it"):
        bootstrap.remove_old()
        assert entry.exists()
    bootstrap.remove_old()
    assert not entry.exists()


def test_after_a_day_it_is_made_anew(roots: Roots) -> None:
    get()
    let_it_age()
    get()
    assert roots.unpacked == ["root 1", "root 2"]


def test_old_one_is_used_with_a_line_if_there_can_be_no_new_one(
    roots: Roots, capsys: pytest.CaptureFixture[str]
) -> None:
    get()
    let_it_age()
    roots.fails = True
    get()
    assert roots.unpacked == ["root 1", "root 1"]
    assert "no root of bookworm: 404; that of 1.5 days ago is used" in capsys.readouterr().err


def test_without_an_old_one_that_is_an_error(roots: Roots) -> None:
    roots.fails = True
    with pytest.raises(InfrastructureError, match="404"):
        get()


def test_damaged_one_is_not_used_for_want_of_another(roots: Roots) -> None:
    get()
    (only_entry() / "root.tar").write_text("toor 1")
    roots.fails = True
    with pytest.raises(InfrastructureError, match="404"):
        get()


def test_host_without_an_archive_of_debian(roots: Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aptlists, "host_lists", lambda *_: {})
    with pytest.raises(InfrastructureError, match="names no archive"):
        get()


def test_command_lines(tmp_path: Path) -> None:
    for name in ("debian.sources", "extra.list", "apt.conf"):
        (tmp_path / name).touch()
    tar = tmp_path / "a b.tar"
    words = bootstrap.with_mmdebstrap("/t/mmdebstrap", "sid", ["git", "make"], tmp_path, tar)
    assert words[0] == "/t/mmdebstrap"
    assert "--include=git,make" in words
    assert f"--aptopt={tmp_path}/apt.conf" in words
    assert words[-4:] == [
        *("sid", str(tar), f"{tmp_path}/debian.sources", f"{tmp_path}/extra.list"),
    ]
    bare = bootstrap.with_mmdebstrap("mmdebstrap", "sid", [], tmp_path, tar)
    assert not [word for word in bare if word.startswith("--include")]
    text = bootstrap.with_debootstrap("sid", ["git"], "http://m", tmp_path / "root", tar)
    assert text.startswith("debootstrap --variant=minbase --include=git sid ")
    assert f"'{tar}'" in text


def test_archive_for_debootstrap() -> None:
    one_line = aptsources.parse_list("deb [trusted=yes] http://m/debian bookworm main")
    assert bootstrap.first_uri([one_line[0].text("amd64")]) == "http://m/debian"
    assert bootstrap.first_uri(LISTS.values()) == "http://m/debian"
    assert bootstrap.first_uri([]) == ""


def test_without_any_tool_mmdebstrap_is_taken_from_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIVERT_CACHE", str(tmp_path))
    there = {"perl"}
    monkeypatch.setattr("shutil.which", lambda name: name if name in there else None)
    monkeypatch.setattr(bootstrap, "_succeeds", lambda _: True)
    package = packagefolder.Package("mmdebstrap", "1", Path("/m.deb"), "0" * 64)
    monkeypatch.setattr(packages, "binary", lambda *_: package)
    monkeypatch.setattr(packages, "unpack", lambda *_: None)
    assert Path(bootstrap.tool()).name == "mmdebstrap"
    assert Path(bootstrap.tool()).is_relative_to(tmp_path)

    def none(*_: object) -> packagefolder.Package:
        raise UnavailableError("no network")

    monkeypatch.setattr(packages, "binary", none)
    with pytest.raises(InfrastructureError, match="no network\ninstall the package mmdebstrap"):
        bootstrap.tool()
    there.clear()
    with pytest.raises(InfrastructureError, match="no perl"):
        bootstrap.tool()
    there.add("debootstrap")
    assert bootstrap.tool() == "debootstrap"


@pytest.mark.parametrize(
    ("said", "late", "family", "words", "hint"),
    [
        (
            "E: Failed to fetch http://x/a.deb  Could not resolve 'x'\n",
            False,
            UnavailableError,
            "no network, or no name service",
            "see to the network",
        ),
        (
            "E: The repository 'x forky Release' does not have a Release file.\n",
            False,
            AbsentError,
            "the mirror has not got it",
            "another mirror",
        ),
        (
            "E: Failed to fetch http://x/a.deb  Hash Sum mismatch\n",
            False,
            InfrastructureError,
            "a wrong digest or size",
            "do not trust it",
        ),
        (
            "dpkg: error: cannot copy: No space left on device\n",
            False,
            diskroom.FullError,
            "no room on the disk",
            "make room there",
        ),
        ("I: running\n", True, DeadlineError, "still running after", "see in its output"),
        # It has not to do with what apt-get tried first.
        (
            "E: Failed to fetch http://x/a.deb  Hash Sum mismatch\n",
            True,
            DeadlineError,
            "still running after",
            "see in its output",
        ),
        ("I: running\nE: a fault\n", False, InfrastructureError, "E: a fault", "its output"),
    ],
)
def test_what_went_wrong_is_named_and_nothing_else(
    said: str,
    late: bool,
    family: type[Exception],
    words: str,
    hint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DIVERT_CACHE", str(tmp_path))
    monkeypatch.setattr(bootstrap, "tool", lambda: "mmdebstrap")
    monkeypatch.setattr(bootstrap, "_acquire", lambda: "")
    monkeypatch.setattr(aptlists, "host_lists", lambda *_: dict(LISTS))
    monkeypatch.setattr(namespace, "unshare", lambda: ("env",))

    def run(*_: object, log: Path, **__: object) -> Outcome:
        log.write_text(said)
        return Outcome(25, 1.0, late)

    monkeypatch.setattr(namespace, "run", run)
    with pytest.raises(InfrastructureError) as caught:
        get()
    assert type(caught.value) is family
    assert caught.value.message.startswith("no root of bookworm with nothing more: ")
    assert words in caught.value.message
    assert hint in caught.value.hint
    assert ("network" in caught.value.hint) == (family is UnavailableError)


def test_root_that_cannot_be_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "tar: ./etc: Cannot mkdir: Not a directory\n"

    def run(*_: object, log: Path, **__: object) -> Outcome:
        log.write_text(said)
        return Outcome(2, 1.0)

    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    monkeypatch.setattr(namespace, "run", run)
    with pytest.raises(InfrastructureError, match="Not a directory") as caught:
        bootstrap._unpack(tmp_path / "root.tar", tmp_path / "root")
    assert "make room" not in caught.value.hint
    said = "tar: ./etc/x: Wrote only 512 of 10240 bytes: No space left on device\n"
    with pytest.raises(diskroom.FullError, match="no room on the disk"):
        bootstrap._unpack(tmp_path / "root.tar", tmp_path / "root")
