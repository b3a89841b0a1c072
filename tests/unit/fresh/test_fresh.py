# SPDX-License-Identifier: GPL-2.0-only
"""README's commands in rooms: who runs what, what is a failure, and what its cause is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from harness.base.errors import InfrastructureError, TestsFailedError, UserError
from harness.debian import namespace, packages
from harness.debian.hostrelease import Release
from harness.debian.namespace import Outcome
from harness.fresh import checkout, container, containerfile, fresh, readme, room, rooms, visit
from harness.record import runfolders

PLAN = rooms.Plan(
    {
        "one": rooms.Room("one", "bookworm", check=True),
        "two": rooms.Room("two", "trixie", user="plain"),
    },
    dict.fromkeys(rooms.ARCHIVES, ("./inv short",)),
    10.0,
    20.0,
)
COMMAND = "./inv setup test"


class Rooms:
    """Stands for rooms: what their commands say and how they end, in order; and what was asked."""

    def __init__(self, tmp_path: Path) -> None:
        self.answers: list[tuple[int, str]] = []
        self.asked: list[tuple[str, bool, bool, bool]] = []
        self.lacking: str = ""
        self.late = False
        self.tmp_path = tmp_path

    @contextmanager
    def opened(self, row: rooms.Room, _log: Path, *, keep: bool = False) -> Iterator[room.Place]:
        if row.name == self.lacking:
            raise InfrastructureError("no root of it: 404", "see to it")
        yield room.Place(row, self.tmp_path, (), row.archives)

    def run(
        self,
        command: str,
        *,
        log: Path,
        seconds: float,
        as_root: bool = False,
        network: bool = True,
        yes: bool = False,
    ) -> Outcome:
        self.asked.append((command, as_root, network, yes))
        status, text = self.answers.pop(0) if self.answers else (0, "")
        log.write_text(text)
        return Outcome(status, 1.0, self.late)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rooms:
    found = Rooms(tmp_path)
    monkeypatch.setattr(room, "opened", found.opened)
    monkeypatch.setattr(room.Place, "run", found.run)
    monkeypatch.setattr(namespace, "unshare", lambda: ("env",))
    monkeypatch.setattr(checkout, "uncommitted", lambda: 0)
    committed = {containerfile.NAME: 'FROM debian:sid-slim\nENTRYPOINT ["./inv"]\n'}
    monkeypatch.setattr(checkout, "committed", lambda name: committed.get(name, ""))
    monkeypatch.setattr(readme, "commands", lambda _: (COMMAND, "./inv setup check"))
    monkeypatch.setattr(runfolders, "new", lambda _: tmp_path)
    monkeypatch.setattr(rooms, "load", lambda: PLAN)
    monkeypatch.delenv(room.VARIABLE, raising=False)
    return found


def run(row: rooms.Room, short: bool = False) -> list[visit.Row]:
    rows: list[visit.Row] = []
    fresh.run(fresh.Request((row,), PLAN, short), rows)
    return rows


def results(rows: list[visit.Row]) -> list[tuple[str, str, str]]:
    return [(row.command, row.result, row.cause) for row in rows]


def test_readme_s_commands_in_their_order_until_one_fails(made: Rooms) -> None:
    row = PLAN.rooms["one"]
    assert [each.result for each in run(row)] == ["passed", "passed"]
    assert [each[0] for each in made.asked] == [COMMAND, "./inv setup check"]
    made.answers = [(3, "x.h:1: fatal error: asm/errno.h: No such file\nmake: Error 1\n")]
    rows = run(row)
    assert results(rows) == [
        (COMMAND, "FAILED", "status 3: x.h:1: fatal error: asm/errno.h: No such file")
    ]
    assert rows[0].log.read_text().endswith("Error 1\n")


def test_short_form_has_commands_of_its_own(made: Rooms) -> None:
    assert [each.command for each in run(PLAN.rooms["one"], short=True)] == ["./inv short"]


def test_a_room_with_commands_of_its_own(made: Rooms) -> None:
    """In both forms; and what is to be seen afterwards is seen."""
    row = replace(PLAN.rooms["one"], commands="own", then=("./inv e",))
    plan = replace(PLAN, commands={"own": ("./inv c", "./inv d")})
    for short in (False, True):
        rows: list[visit.Row] = []
        fresh.run(fresh.Request((row,), plan, short), rows)
        assert [each.command for each in rows] == ["./inv c", "./inv d", "./inv e"]


@pytest.mark.parametrize(
    ("status", "said", "result", "why"),
    [
        (3, "test: the cache has a space\nmove it: DIVERT_CACHE=FOLDER\n", "passed", ""),
        (3, "make: 1 Error\n", "FAILED", "status 3, and no word of DIVERT_CACHE"),
        (2, "DIVERT_CACHE\n", "FAILED", "status 2: DIVERT_CACHE"),
        (0, "DIVERT_CACHE\n", "FAILED", "status 1: DIVERT_CACHE"),
    ],
)
def test_what_is_refused_is_refused_in_words(
    made: Rooms, status: int, said: str, result: str, why: str
) -> None:
    made.answers = [(status, said)]
    rows = run(replace(PLAN.rooms["one"], refused="DIVERT_CACHE"), short=True)
    assert results(rows)[0] == ("./inv short (refused)", result, why)
    assert len(rows) == (2 if result == "passed" else 1)


def test_advice_on_our_own_commands_is_no_work_for_root(made: Rooms) -> None:
    made.answers = [(3, "test: cannot start make\nrun: ./inv setup\n")]
    rows = run(PLAN.rooms["two"], short=True)
    assert [row.result for row in rows] == ["FAILED"]


ASKS = "inv: this host lacks:\ninv:   bc (package bc): x\ninv: as root, run: apt-get install bc\n"
SUDO = "setup: this host lacks bc\nrun: sudo apt-get install bc\n"


def test_plain_user_has_root_run_the_one_command_that_is_printed(made: Rooms) -> None:
    made.answers = [(3, ASKS)]
    rows = run(PLAN.rooms["two"], short=True)
    assert results(rows) == [
        ("./inv short", "asks", "run: apt-get install bc"),
        ("apt-get install bc", "passed", ""),
        ("./inv short", "passed", ""),
    ]
    assert made.asked[1] == ("apt-get install bc", True, True, True)
    assert made.asked[2] == ("./inv short", False, True, False)


def test_user_with_sudo_runs_it_as_printed(made: Rooms) -> None:
    made.answers = [(3, SUDO)]
    run(replace(PLAN.rooms["two"], user="sudo"), short=True)
    assert made.asked[1] == ("sudo apt-get install bc", False, True, True)


def test_second_command_that_is_printed_is_a_failure(made: Rooms) -> None:
    made.answers = [(3, ASKS), (0, ""), (3, SUDO)]
    rows = run(PLAN.rooms["two"], short=True)
    assert rows[-1].result == "FAILED"
    assert rows[-1].cause == "status 3: asks a second time: sudo apt-get install bc"


def test_command_that_is_printed_and_fails_ends_the_room(made: Rooms) -> None:
    made.answers = [(3, ASKS), (100, "E: Unable to locate package bc\n")]
    rows = run(PLAN.rooms["two"], short=True)
    assert results(rows)[-1] == (
        "apt-get install bc",
        "FAILED",
        "status 100: E: Unable to locate package bc",
    )
    assert len(made.asked) == 2


def test_root_is_asked_for_nothing(made: Rooms) -> None:
    made.answers = [(3, SUDO)]
    assert [each.result for each in run(PLAN.rooms["one"])] == ["FAILED"]


def test_without_the_network_each_command_has_to_pass_again(made: Rooms) -> None:
    row = replace(PLAN.rooms["one"], network="gone")
    made.answers = [(0, ""), (3, "test: Name or service not known\n")]
    rows = run(row, short=True)
    assert [each.result for each in rows] == ["passed", "FAILED"]
    assert "without the network" in rows[1].command
    assert [each[2] for each in made.asked] == [True, False]


def test_what_has_to_pass_afterwards(made: Rooms) -> None:
    rows = run(replace(PLAN.rooms["one"], then=("cc --version",)), short=True)
    assert [each.command for each in rows] == ["./inv short", "cc --version"]


def test_command_that_does_not_end_is_a_failure(made: Rooms) -> None:
    made.late = True
    assert run(PLAN.rooms["one"])[0].cause == "was still running after 20 s, and was ended"


def test_container_is_built_then_run_by_its_entry_point(
    made: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    def build(_place: room.Place, _recipe: object, log: Path, _seconds: float) -> Outcome:
        log.touch()
        return Outcome(0, 1.0)

    def run_it(
        _place: room.Place, _recipe: containerfile.Recipe, command: str, **_: object
    ) -> Outcome:
        ran.append(command)
        return Outcome(0, 1.0)

    monkeypatch.setattr(container, "build", build)
    monkeypatch.setattr(container, "run", run_it)
    rows = run(replace(PLAN.rooms["one"], containerfile=True), short=True)
    assert [each.result for each in rows] == ["passed"] * 3
    assert ran == ["./inv doctor", "./inv short"]


def test_room_that_cannot_be_made_is_not_run_and_the_others_are(made: Rooms) -> None:
    made.lacking = "one"
    rows: list[visit.Row] = []
    fresh.run(fresh.Request(PLAN.select(None), PLAN, short=True), rows)
    assert results(rows) == [("", "NOT RUN", "no root of it: 404"), ("./inv short", "passed", "")]


def test_exit_status(made: Rooms, capsys: pytest.CaptureFixture[str]) -> None:
    fresh.fresh(short=True)
    assert "two" in capsys.readouterr().out
    made.lacking = "one"
    with pytest.raises(InfrastructureError) as found:
        fresh.fresh(short=True)
    assert found.value.exit_status == 3
    made.answers = [(1, "FAIL: 1 failed\n")]
    with pytest.raises(TestsFailedError):
        fresh.fresh(short=True)
    assert "status 1: FAIL: 1 failed" in capsys.readouterr().out
    with pytest.raises(UserError, match="no room three"):
        fresh.fresh(named="three")


def test_what_was_seen_before_ctrl_c_is_shown(
    made: Rooms, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = made.opened

    @contextmanager
    def interrupted(row: rooms.Room, log: Path, *, keep: bool = False) -> Iterator[room.Place]:
        if row.name == "two":
            raise KeyboardInterrupt
        with opened(row, log, keep=keep) as place:
            yield place

    monkeypatch.setattr(room, "opened", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fresh.fresh(short=True)
    assert "./inv short" in capsys.readouterr().out


def test_list_runs_nothing(made: Rooms, capsys: pytest.CaptureFixture[str]) -> None:
    fresh.fresh(listed=True)
    assert "trixie" in capsys.readouterr().out
    assert made.asked == []


def test_changed_files_are_told_of(
    made: Rooms, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checkout, "uncommitted", lambda: 2)
    run(PLAN.rooms["one"])
    assert "2 changed files are not in them" in capsys.readouterr().err


def test_check_runs_the_room_of_this_release(made: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "host_release", lambda: Release("debian", "12", "bookworm"))
    assert fresh.for_check() == fresh.Checked(passed=1)
    assert made.asked[0][0] == "./inv short"
    made.answers = [(3, "E: no\n")]
    failed = fresh.for_check()
    assert failed.failed == 1
    assert "one: ./inv short: status 3: E: no" in failed.output


def test_check_says_why_there_is_no_room(made: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "host_release", lambda: Release("ubuntu", "24.04", "noble"))
    assert "ubuntu-24.04" in fresh.for_check().note
    monkeypatch.setattr(packages, "host_release", lambda: Release("debian", "12", "bookworm"))
    made.lacking = "one"
    assert "404" in fresh.for_check().note

    def refused() -> tuple[str, ...]:
        raise InfrastructureError("no namespaces: Operation not permitted")

    monkeypatch.setattr(namespace, "unshare", refused)
    done = fresh.for_check()
    assert (done.passed, done.failed, done.skipped) == (0, 0, 1)
    assert "Operation not permitted" in done.note


def test_there_are_no_rooms_in_a_room(made: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(room.VARIABLE, "one")
    assert fresh.for_check().skipped == 1
    assert made.asked == []
