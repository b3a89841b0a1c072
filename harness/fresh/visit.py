# SPDX-License-Identifier: GPL-2.0-only
"""The commands that are typed in one room, one after the other, and what came of each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from harness.base import cause, terminal
from harness.base.errors import EXIT_INFRASTRUCTURE
from harness.debian.namespace import Outcome
from harness.fresh import checkout, container, containerfile, readme
from harness.fresh.room import Place
from harness.fresh.rooms import Plan

README = "README.md"

PASSED, FAILED, ASKS, NOT_RUN = "passed", "FAILED", "asks", "NOT RUN"

# How an ordinary user is told what root has to run.
_PRINTED = re.compile(r"^(?:inv: )?(?:as root, )?run: (?P<command>\S.*)$", re.MULTILINE)
SHOWN = 150


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


class Visit:
    """All the commands in one room. It ends with the first that fails."""

    def __init__(self, place: Place, plan: Plan, short: bool, folder: Path) -> None:
        """The row's own, else those of the short form or README's; outputs go to `folder`."""
        self._place = place
        self._row = place.row
        self._plan = plan
        self._short = short
        self._seconds = plan.short_seconds if short else plan.full_seconds
        self._folder = folder
        self._number = 0

    def rows(self) -> Iterator[Row]:
        """Run them; a row each, as soon as it has ended."""
        commands: Sequence[str] = readme.commands(checkout.committed(README))
        if self._row.commands:
            commands = self._plan.commands[self._row.commands]
        elif self._short:
            commands = self._plan.short_commands(self._row, self._place.archives)
        steps = self._container(commands) if self._row.containerfile else self._typed(commands)
        for row in steps:
            yield row
            if row.result == FAILED:
                return

    def _typed(self, commands: Sequence[str]) -> Iterator[Row]:
        if self._row.refused:
            yield self._refused(commands[0])
        for command in commands:
            yield from self._as_user(command)
            if self._row.network == "gone":
                log = self._new_log()
                outcome = self._run(command, log, network=False)
                yield self._judged(f"{command} (without the network)", outcome, log)
        for command in self._row.then:
            log = self._new_log()
            yield self._judged(command, self._run(command, log), log)

    def _refused(self, command: str) -> Row:
        """Without what the row sets, the command has to say in words why it does nothing."""
        log = self._new_log()
        bare = replace(self._place, row=replace(self._row, environment={}))
        with self._running(command):
            outcome = bare.run(command, log=log, seconds=self._seconds)
        word = self._row.refused
        said = word in log.read_text(errors="replace")
        if not said:
            why = f"status {outcome.status}, and no word of {word}"
            return self._row_of(f"{command} (refused)", outcome, FAILED, why, log)
        status = 0 if outcome.status == EXIT_INFRASTRUCTURE else outcome.status or 1
        return self._judged(f"{command} (refused)", replace(outcome, status=status), log)

    def _as_user(self, command: str) -> Iterator[Row]:
        """An ordinary user may be asked once to let root run one command, and then it has to do."""
        log = self._new_log()
        outcome = self._run(command, log)
        asked = printed(log) if outcome.status and self._row.user != "root" else ""
        if not asked:
            yield self._judged(command, outcome, log)
            return
        yield self._row_of(command, outcome, ASKS, f"run: {asked}", log)
        log = self._new_log()
        plain = self._row.user == "plain"
        outcome = self._run(asked, log, as_root=plain, yes=True)
        yield self._judged(asked, outcome, log)
        log = self._new_log()
        outcome = self._run(command, log)
        again = printed(log) if outcome.status else ""
        yield self._judged(command, outcome, log, f"asks a second time: {again}" if again else "")

    def _container(self, commands: Sequence[str]) -> Iterator[Row]:
        recipe = containerfile.parse(checkout.committed(containerfile.NAME))
        log = self._new_log()
        with self._running(f"the steps of {containerfile.NAME}"):
            outcome = container.build(self._place, recipe, log, self._seconds)
        yield self._judged(f"build {containerfile.NAME}", outcome, log)
        for command in ("./inv doctor", *commands):
            log = self._new_log()
            words = recipe.command(command.removeprefix("./inv "))
            with self._running(words):
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
        with self._running(command):
            return self._place.run(
                command, log=log, seconds=self._seconds, as_root=as_root, network=network, yes=yes
            )

    def _judged(self, command: str, outcome: Outcome, log: Path, why: str = "") -> Row:
        if outcome.status == 0 and not outcome.late:
            return self._row_of(command, outcome, PASSED, "", log)
        why = why or cause.first(log.read_text(errors="replace"))
        why = f"status {outcome.status}: {why}"
        if outcome.late:
            why = f"was still running after {self._seconds:g} s, and was ended"
        return self._row_of(command, outcome, FAILED, why, log)

    def _row_of(self, command: str, outcome: Outcome, result: str, why: str, log: Path) -> Row:
        return Row(self._row.name, command, outcome.seconds, result, why[:SHOWN], log)

    def _running(self, what: str) -> AbstractContextManager[object]:
        return terminal.activity(f"{self._row.name}: running {what}")

    def _new_log(self) -> Path:
        self._number += 1
        return self._folder / f"{self._row.name}.{self._number}.log"


def printed(log: Path) -> str:
    """The last command that the output asks root for; "" if it asks for none."""
    found = [
        command
        for command in _PRINTED.findall(log.read_text(errors="replace"))
        # Advice on our own commands is no work for root.
        if not command.startswith("./inv")
    ]
    return str(found[-1]) if found else ""
