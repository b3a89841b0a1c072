# SPDX-License-Identifier: GPL-2.0-only
"""README's commands on fresh machines: in which rooms they pass, and why not in the others."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base import paths, terminal
from harness.base.errors import HarnessError, InfrastructureError, TestsFailedError
from harness.base.terminal import Grid
from harness.debian import namespace, packages
from harness.fresh import checkout, room, rooms, visit
from harness.fresh.rooms import Plan, Room
from harness.fresh.visit import FAILED, NOT_RUN, Row, Visit
from harness.record import runfolders


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
    rows: list[Row] = []
    try:
        run(request, rows)
    finally:
        # What was seen before Ctrl-C too.
        if rows:
            terminal.show(table(rows))
    if any(row.result == FAILED for row in rows):
        raise TestsFailedError("")
    if any(row.result == NOT_RUN for row in rows):
        raise InfrastructureError("")


def run(request: Request, rows: list[Row]) -> None:
    """All rooms, one after the other; what comes of each command is added to `rows` at once.

    Raises InfrastructureError if there can be no rooms here.
    """
    namespace.unshare()
    if count := checkout.uncommitted():
        terminal.say(f"rooms have what is committed: {count} changed files are not in them")
    folder = runfolders.new(paths.BUILD / "fresh")
    for row in request.rooms:
        _room(row, request, folder, rows)


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
    done: list[Row] = []
    try:
        run(Request((row,), plan, short=True), done)
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


def _room(row: Room, request: Request, folder: Path, rows: list[Row]) -> None:
    log = folder / f"{row.name}.log"
    terminal.say(f"{row.name}: {row.release}, {row.what}")
    try:
        with room.opened(row, log, keep=request.keep) as place:
            for each in Visit(place, request.plan, request.short, folder).rows():
                rows.append(each)
                terminal.say(f"{each.room}: {each.command}: {each.result} in {each.seconds:.1f} s")
                if each.cause:
                    terminal.say(f"  {each.cause}")
    except HarnessError as error:
        terminal.say(f"{row.name}: NOT RUN: {error}")
        why = str(error).splitlines()[0][: visit.SHOWN]
        rows.append(Row(row.name, "", 0.0, NOT_RUN, why, log))


def table(rows: Sequence[Row]) -> Grid:
    """What came of each command."""
    grid = Grid(
        *("room", "command", "seconds", "result", "first cause", "log"),
        right=["seconds"],
        folded=["command", "first cause"],
    )
    for row in rows:
        log = os.path.relpath(row.log, paths.ROOT) if row.log.exists() else ""
        grid.row(row.room, row.command or "-", f"{row.seconds:.1f}", row.result, row.cause, log)
    return grid


def _list(plan: Plan) -> Grid:
    grid = Grid("room", "release", "what", folded=["what"])
    for row in plan.rooms.values():
        grid.row(row.name, row.release, row.what)
    return grid
