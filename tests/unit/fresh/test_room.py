# SPDX-License-Identifier: GPL-2.0-only
"""A room's commands, and that nothing is left of it. What namespaces do, rooms themselves show."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.base import paths
from harness.base.errors import InfrastructureError
from harness.debian import bootstrap, namespace
from harness.debian.namespace import Inside, Outcome
from harness.fresh import checkout, room, rooms, takeover
from harness.upstream import sources


class Namespaces:
    """Stands for harness.debian.namespace: what was asked to run, and where."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[Inside, str, dict[str, str]]] = []
        self.status = 0
        monkeypatch.setattr(namespace, "run", self._run)
        monkeypatch.setattr(namespace, "unshare", lambda: ("env",))

    def _run(
        self, inside: Inside, command: str, *, log: Path, seconds: float, env: dict[str, str]
    ) -> Outcome:
        self.asked.append((inside, command, env))
        log.write_text("useradd: no such group\n")
        return Outcome(self.status, 1.0)


@pytest.fixture
def namespaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Namespaces:
    monkeypatch.setenv("DIVERT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(
        bootstrap, "lay_out", lambda _release, _wanted, root: root.mkdir(0o755, exist_ok=True)
    )
    monkeypatch.setattr(takeover, "copy", lambda *_: [])
    monkeypatch.setattr(takeover, "environment", lambda _: {"http_proxy": "http://p"})
    monkeypatch.setattr(checkout, "clone", lambda target, _: target.mkdir(parents=True))
    return Namespaces(monkeypatch)


def place(row: rooms.Room) -> room.Place:
    return room.Place(row, Path("/r"), (), "both")


def test_user_types_commands_in_the_checkout(namespaces: Namespaces, tmp_path: Path) -> None:
    row = rooms.Room("x", "bookworm", user="plain", umask="077", checkout="/a b", locale="tr_TR")
    place(row).run("./inv setup", log=tmp_path / "log", seconds=1)
    inside, command, env = namespaces.asked[0]
    assert (inside.root, inside.user, inside.network) == (Path("/r"), 1000, True)
    assert command == "cd '/a b' || exit 125\numask 077\n./inv setup"
    assert (env["HOME"], env["USER"], env["LANG"]) == ("/home/newcomer", "newcomer", "tr_TR")
    assert "sbin" not in env["PATH"]
    assert env["http_proxy"] == "http://p"
    assert env[room.VARIABLE] == "x"


def test_root_runs_what_a_user_asks_for(namespaces: Namespaces, tmp_path: Path) -> None:
    row = rooms.Room("x", "bookworm", user="plain", umask="077")
    place(row).run("apt-get update", log=tmp_path / "log", seconds=1, as_root=True, yes=True)
    inside, command, env = namespaces.asked[0]
    assert (inside.user, inside.yes) == (0, True)
    assert "umask" not in command
    assert "/usr/sbin" in env["PATH"]
    assert (env["HOME"], env["USER"]) == ("/root", "root")


def rooms_there() -> list[Path]:
    return sorted(paths.cache_dir().glob("room/*.partial"))


def test_room_is_taken_away_whatever_ended_it(namespaces: Namespaces, tmp_path: Path) -> None:
    row = rooms.Room("x", "bookworm", user="sudo", archives="none")
    with pytest.raises(KeyboardInterrupt), room.opened(row, tmp_path / "log") as found:
        assert (found.root / "home/newcomer/divert-sockets").is_dir()
        assert len(rooms_there()) == 1
        raise KeyboardInterrupt
    assert rooms_there() == []
    assert list(paths.cache_dir().glob("room/*.lock")) == []
    outfit = namespaces.asked[0][1]
    assert "useradd" in outfit
    assert "NOPASSWD" in outfit


def test_room_that_cannot_be_fitted_out_says_why(namespaces: Namespaces, tmp_path: Path) -> None:
    namespaces.status = 1
    with (
        pytest.raises(InfrastructureError, match="fitted out: useradd: no such group"),
        room.opened(rooms.Room("x", "bookworm"), tmp_path / "log"),
    ):
        pytest.fail("there is no room")
    assert rooms_there() == []


@contextmanager
def held(lock: Path) -> Iterator[None]:
    """Hold a lock as another process does."""
    with lock.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def test_rooms_of_runs_that_were_killed_are_removed_and_no_others(
    namespaces: Namespaces,
) -> None:
    dead, alive, kept = (paths.cache_dir() / f"room/{name}.partial" for name in "abc")
    for folder in (dead, alive, kept):
        (folder / "root").mkdir(parents=True)
    (kept / "kept").touch()
    with held(alive.with_suffix(".lock")):
        room.remove_leftovers()
        assert rooms_there() == [alive, kept]
    room.remove_leftovers()
    assert rooms_there() == [kept]


def test_kept_room_stays_and_is_told_of(
    namespaces: Namespaces, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = rooms.Room("x", "bookworm", archives="none")
    with room.opened(row, tmp_path / "log", keep=True):
        pass
    assert len(rooms_there()) == 1
    assert f"chroot {rooms_there()[0]}/root" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "has", "given"),
    [
        ("both", ["linux-2.2.12", "ipchains-1.3.9"], "both"),
        ("both", ["linux-2.2.12"], "none"),
        ("kernel", ["linux-2.2.12", "ipchains-1.3.9"], "kernel"),
        ("kernel", ["ipchains-1.3.9"], "none"),
        ("none", ["linux-2.2.12", "ipchains-1.3.9"], "none"),
    ],
)
def test_archives_are_where_readme_says(
    namespaces: Namespaces,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: str,
    has: list[str],
    given: str,
) -> None:
    for name in has:
        (tmp_path / f"{name}.tar.gz").write_text(name)
    monkeypatch.setattr(
        sources,
        "downloaded",
        lambda source: tmp_path / f"{source.name}.tar.gz" if source.name in has else None,
    )
    row = rooms.Room("x", "bookworm", archives=asked)
    with room.opened(row, tmp_path / "log") as found:
        assert found.archives == given
        folder = found.root / "root/.cache/divert-sockets/downloads"
        expected = {"both": 2, "kernel": 1, "none": 0}[given]
        assert len(list(folder.glob("*.tar.gz"))) == expected
