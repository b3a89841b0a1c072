# SPDX-License-Identifier: GPL-2.0-only
"""The canaries: what canaries.toml has, a fault a row."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from harness.base.datafile import Fault, Schema, Table
from harness.base.errors import UserError
from harness.matrix import variants

# A row without a guest.
NO_GUEST = "none"
# What runs a row's tests and no others, by the name of the file that they are in.
DEFAULT_RUN = ("test", "--variant", "{needs}", "-k", "test_canary", "--jobs", "1")
# For what hangs; a busy host can take ten times as long as ever.
_SECONDS = 600


class _Row(Table, frozen=True, kw_only=True):
    """What the file says of a canary."""

    what: str
    status: int
    cause: tuple[str, ...]
    absent: tuple[str, ...] = ()
    verdict: str = ""
    needs: str = NO_GUEST
    run: tuple[str, ...] | None = None
    fault: str = ""
    test: str = ""
    append: dict[str, str] = msgspec.field(default_factory=dict)
    world: str = ""
    quick: bool = False
    shared: bool = False
    seconds: int = _SECONDS
    why: str = ""


DATA = Schema(dict[str, _Row], "harness/canaries/canaries.toml")


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


def load(file: Path | None = None) -> tuple[Canary, ...]:
    """All rows, in order. Raises UserError, which names the row, for one that cannot be."""
    said = DATA.read(file)
    DATA.refuse(_wrong(said), file)
    return tuple(_canary(name, row) for name, row in said.items())


def _wrong(said: Mapping[str, _Row]) -> Iterator[Fault]:
    for name, row in said.items():
        if row.needs != NO_GUEST:
            try:
                variants.select(row.needs)
            except UserError as error:
                yield Fault((name, "needs"), f"{error.message}; {error.hint}")
        elif row.run is None:
            yield Fault((name,), "needs no guest, so it has to say what to run")


def _canary(name: str, row: _Row) -> Canary:
    words = (word.replace("{needs}", row.needs) for word in row.run or DEFAULT_RUN)
    values = {key: getattr(row, key) for key in row.__struct_fields__}
    return Canary(**{**values, "name": name, "run": tuple(words)})


def select(rows: Sequence[Canary], names: str | None, *, quick: bool = False) -> tuple[Canary, ...]:
    """Those that one of `names` (commas between, with * and ?) is, or is part of; of these, if
    `quick`, the quick ones.

    Raises UserError if there is none for one of them.
    """
    words = [word.strip() for word in names.split(",")] if names else ["*"]
    for word in words:
        if not any(_matches(row, word) for row in rows):
            raise UserError(f"no canary matches {word}", f"they are in {DATA.where}")
    chosen = (row for row in rows if any(_matches(row, word) for word in words))
    return tuple(row for row in chosen if row.quick or not quick)


def _matches(row: Canary, word: str) -> bool:
    return word in row.name or fnmatch.fnmatchcase(row.name, word)
