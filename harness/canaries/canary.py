# SPDX-License-Identifier: GPL-2.0-only
"""The canaries: what canaries.toml has, a fault a row."""

from __future__ import annotations

import fnmatch
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.base import paths, tables
from harness.base.errors import UserError
from harness.matrix import variants

FILE = paths.HARNESS / "canaries" / "canaries.toml"
# A row without a guest.
NO_GUEST = "none"
# What runs a row's tests and no others, by the name of the file that they are in.
DEFAULT_RUN = ("test", "--variant", "{needs}", "-k", "test_canary", "--jobs", "1")
# For what hangs; a busy host can take ten times as long as ever.
_SECONDS = 600

_KEYS: dict[str, type] = {
    "what": str,
    "why": str,
    "needs": str,
    "quick": bool,
    "shared": bool,
    "fault": str,
    "test": str,
    "append": dict,
    "world": str,
    "run": list,
    "seconds": int,
    "verdict": str,
    "status": int,
    "cause": list,
    "absent": list,
}
_NEEDED = ("what", "status", "cause")


@dataclass(frozen=True)
class Canary:
    """One fault, and what a run of ours has to make of it.

    It is made by the function `fault` of faults.py, by the tests `test` beside those that there
    are, and by what `append` puts at the end of files; none of them: nothing is wrong. `run` are
    the words after `./inv`. It `needs` a guest of that variant, or none.

    `verdict` is the word that the report ends with; empty if there is none to be. `status` is the
    exit status, each of `cause` has to be in what the user reads, and none of `absent`. All of it
    has to take less than `seconds`. If it is `shared`, its one test runs beside those of others,
    and all of that is asked of what is said of this test. With a `world`, a function of
    tests/guest/support/worlds.py, the tests run in that, and of those that pass see world.py.
    """

    name: str
    what: str
    status: int
    cause: tuple[str, ...]
    absent: tuple[str, ...] = ()
    verdict: str = ""
    needs: str = NO_GUEST
    run: tuple[str, ...] = ()
    fault: str = ""
    test: str = ""
    append: Mapping[str, str] = field(default_factory=dict)
    world: str = ""
    quick: bool = False
    shared: bool = False
    seconds: int = _SECONDS
    why: str = ""

    @property
    def guest(self) -> bool:
        """Whether it needs a guest."""
        return self.needs != NO_GUEST


def load(file: Path = FILE) -> tuple[Canary, ...]:
    """All rows, in order. Raises UserError, which names the row, for one that cannot be."""
    with file.open("rb") as stream:
        data: dict[str, dict[str, Any]] = tomllib.load(stream)
    return tuple(_canary(file, name, row) for name, row in data.items())


def _canary(file: Path, name: str, row: dict[str, Any]) -> Canary:
    tables.check(file.name, name, row, _KEYS, _NEEDED)
    needs = row.get("needs", NO_GUEST)
    if needs != NO_GUEST:
        variants.select(needs)
    elif "run" not in row:
        raise UserError(f"{file.name}: {name} needs no guest, so it has to say what to run")
    words = [str(word).replace("{needs}", needs) for word in row.get("run", DEFAULT_RUN)]
    lists: dict[str, object] = {
        key: tuple(map(str, row[key])) for key in ("cause", "absent") if key in row
    }
    values: dict[str, Any] = {**row, **lists, "name": name, "run": tuple(words)}
    return Canary(**values)


def select(rows: Sequence[Canary], names: str | None, *, quick: bool = False) -> tuple[Canary, ...]:
    """Those that one of `names` (commas between, with * and ?) is, or is part of; of these, if
    `quick`, the quick ones.

    Raises UserError if there is none for one of them.
    """
    words = [word.strip() for word in names.split(",")] if names else ["*"]
    for word in words:
        if not any(_matches(row, word) for row in rows):
            raise UserError(f"no canary matches {word}", f"they are in {FILE.name}")
    chosen = (row for row in rows if any(_matches(row, word) for word in words))
    return tuple(row for row in chosen if row.quick or not quick)


def _matches(row: Canary, word: str) -> bool:
    return word in row.name or fnmatch.fnmatchcase(row.name, word)
