# SPDX-License-Identifier: GPL-2.0-only
"""README's commands on fresh machines: in which rooms they pass, and why not in the others."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from harness import (
    cause,
    checkout,
    container,
    containerfile,
    namespace,
    packages,
    paths,
    readme,
    room,
    rooms,
    runner,
    terminal,
)
from harness.errors import HarnessError, InfrastructureError, TestsFailedError
from harness.namespace import Outcome
from harness.room import Place
from harness.rooms import Plan, Room

README = "README.md"

PASSED, FAILED, ASKS, NOT_RUN = "passed", "FAILED", "asks", "NOT RUN"

# How an ordinary user is told what root has to run.
_PRINTED = re.compile(r"^(?:inv: )?(?:as root, )?run: (?P<command>\S.*)$", re.MULTILINE)
_SHOWN = 150


@dataclass(frozen=True)
class Row:
    """What came of one command in one room, of why it failed, and where all of its output is.

    A room that could not be made has one row without a command.
    """

    room: str
    command: str
    seconds: float
    result: str
    cause: str
    log: Path


@dataclass(frozen=True)
class Request:
    """What to run: rooms, in which form, and whether they are to stay."""

    rooms: tuple[Room, ...]
    plan: Plan
    short: bool = False
    keep: bool = False


def fresh(
    *, named: str | None = None, short: bool = False, listed: bool = False, keep: bool = False
) -> None:
    """Run README's commands in rooms, or in the short form those of rooms.toml; print a table.

    Raises TestsFailedError if a command failed, InfrastructureError if a room could not be made,
    UserError if there is no room of a name.
    """
    plan = rooms.load()
    if listed:
        terminal.show(_list(plan))
        return
    request = Request(plan.select(named), plan, short, keep)
    rows = run(request)
    terminal.show(table(rows))
    if any(row.result == FAILED for row in rows):
        raise TestsFailedError("")
    if any(row.result == NOT_RUN for row in rows):
        raise InfrastructureError("")


def run(request: Request) -> list[Row]:
    """All rooms, one after the other. Raises InfrastructureError if there can be none here."""
    namespace.unshare()
    if count := checkout.uncommitted():
        terminal.say(f"rooms have what is committed: {count} changed files are not in them")
    folder = runner.new_folder(paths.BUILD / "fresh")
    rows: list[Row] = []
    for row in request.rooms:
        rows += _room(row, request, folder)
    return rows


@dataclass(frozen=True)
class Checked:
    """What `invoke check` is told: how many rooms passed and failed, or why there was none."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    output: str = ""
    note: str = ""


def for_check() -> Checked:
    """The room of this host's release in the short form; none inside of a room.

    It is skipped, with the reason, on a machine where there can be no rooms; a command that fails
    in it is a failure.
    """
    if name := os.environ.get(room.VARIABLE):
        return Checked(skipped=1, note=f"No fresh room was made: this is one ({name}).")
    plan = rooms.load()
    host = packages.host_release()
    row = plan.checked(host.codename)
    if row is None:
        known = ", ".join(each.release for each in plan.rooms.values() if each.check)
        return _not_run(f"this host is {host.name}, and there are rooms of {known}")
    try:
        done = run(Request((row,), plan, short=True))
    except InfrastructureError as error:
        return _not_run(str(error))
    failed = [each for each in done if each.result == FAILED]
    if failed:
        lines = [f"{each.room}: {each.command}: {each.cause} ({each.log})" for each in failed]
        return Checked(failed=1, output="\n".join(lines))
    for each in done:
        if each.result == NOT_RUN:
            return _not_run(each.cause)
    return Checked(passed=1)


def _not_run(reason: str) -> Checked:
    return Checked(skipped=1, note=f"README's commands on a fresh machine: NOT RUN.\n{reason}")


def _room(row: Room, request: Request, folder: Path) -> list[Row]:
    log = folder / f"{row.name}.log"
    terminal.say(f"{row.name}: {row.release}, {row.what}")
    done: list[Row] = []
    try:
        with room.opened(row, log, keep=request.keep) as place:
            for each in _Visit(place, request, folder).rows():
                done.append(each)
                terminal.say(f"{each.room}: {each.command}: {each.result} in {each.seconds:.1f} s")
                if each.result in {FAILED, ASKS} and each.cause:
                    terminal.say(f"  {each.cause}")
    except HarnessError as error:
        terminal.say(f"{row.name}: NOT RUN: {error}")
        why = str(error).splitlines()[0][:_SHOWN]
        done.append(Row(row.name, "", 0.0, NOT_RUN, why, log))
    return done


class _Visit:
    """All the commands in one room. It ends with the first that fails."""

    def __init__(self, place: Place, request: Request, folder: Path) -> None:
        self._place = place
        self._row = place.row
        self._plan = request.plan
        self._short = request.short
        self._seconds = request.plan.short_seconds if self._short else request.plan.full_seconds
        self._folder = folder
        self._number = 0

    def rows(self) -> Iterator[Row]:
        """Run them; a row each, as soon as it has ended."""
        commands: Sequence[str] = readme.commands((paths.ROOT / README).read_text())
        if self._short:
            commands = self._plan.short_commands(self._row, self._place.archives)
        steps = self._container(commands) if self._row.containerfile else self._typed(commands)
        for row in steps:
            yield row
            if row.result == FAILED:
                return

    def _typed(self, commands: Sequence[str]) -> Iterator[Row]:
        for command in commands:
            yield from self._as_user(command)
            if self._row.network == "gone":
                log = self._new_log()
                outcome = self._run(command, log, network=False)
                yield self._judged(f"{command} (without the network)", outcome, log)
        for command in self._row.then:
            log = self._new_log()
            yield self._judged(command, self._run(command, log), log)

    def _as_user(self, command: str) -> Iterator[Row]:
        """An ordinary user may be asked once to let root run one command, and then it has to do."""
        log = self._new_log()
        outcome = self._run(command, log)
        asked = printed(log) if outcome.status and self._row.user != "root" else ""
        if not asked:
            yield self._judged(command, outcome, log)
            return
        yield Row(self._row.name, command, outcome.seconds, ASKS, f"run: {asked}", log)
        log = self._new_log()
        plain = self._row.user == "plain"
        outcome = self._run(asked, log, as_root=plain, yes=True)
        yield self._judged(asked, outcome, log)
        log = self._new_log()
        outcome = self._run(command, log)
        again = printed(log) if outcome.status else ""
        yield self._judged(command, outcome, log, f"asks a second time: {again}" if again else "")

    def _container(self, commands: Sequence[str]) -> Iterator[Row]:
        recipe = containerfile.parse((paths.ROOT / containerfile.NAME).read_text())
        log = self._new_log()
        outcome = container.build(self._place, recipe, log, self._seconds)
        yield self._judged(f"build {containerfile.NAME}", outcome, log)
        for command in ("./inv doctor", *commands):
            log = self._new_log()
            words = recipe.command(command.removeprefix("./inv "))
            outcome = container.run(self._place, recipe, words, log=log, seconds=self._seconds)
            yield self._judged(words, outcome, log)

    def _run(
        self,
        command: str,
        log: Path,
        *,
        as_root: bool = False,
        network: bool = True,
        yes: bool = False,
    ) -> Outcome:
        terminal.say(f"{self._row.name}: running {command}")
        return self._place.run(
            command, log=log, seconds=self._seconds, as_root=as_root, network=network, yes=yes
        )

    def _judged(self, command: str, outcome: Outcome, log: Path, why: str = "") -> Row:
        if outcome.status == 0 and not outcome.late:
            return Row(self._row.name, command, outcome.seconds, PASSED, "", log)
        why = why or cause.first(log.read_text(errors="replace"))
        why = f"status {outcome.status}: {why}"
        if outcome.late:
            why = f"was still running after {self._seconds:g} s, and was ended"
        return Row(self._row.name, command, outcome.seconds, FAILED, why[:_SHOWN], log)

    def _new_log(self) -> Path:
        self._number += 1
        return self._folder / f"{self._row.name}.{self._number}.log"


def printed(log: Path) -> str:
    """The last command that the output asks root for; "" if it asks for none."""
    found = _PRINTED.findall(log.read_text(errors="replace"))
    return str(found[-1]) if found else ""


def table(rows: Sequence[Row]) -> Table:
    """What came of each command."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("room", "command", "seconds", "result", "first cause", "log"):
        right = heading == "seconds"
        grid.add_column(heading, justify="right" if right else "left", no_wrap=True)
    for row in rows:
        log = os.path.relpath(row.log, paths.ROOT) if row.log.exists() else ""
        why = row.cause.replace("[", r"\[")
        command = row.command.replace("[", r"\[") or "-"
        grid.add_row(row.room, command, f"{row.seconds:.1f}", row.result, why, log)
    return grid


def _list(plan: Plan) -> Table:
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("room", "release", "what"):
        grid.add_column(heading, no_wrap=True)
    for row in plan.rooms.values():
        grid.add_row(row.name, row.release, row.what.replace("[", r"\["))
    return grid
