# SPDX-License-Identifier: GPL-2.0-only
"""Which tests a run is of: all of the suite, some of it, or tests of somebody's own."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.base import paths
from harness.base.errors import UserError
from harness.matrix import statements


@dataclass(frozen=True)
class Selection:
    """Tests below `root`: those of the files `modules` there, or all; of these, such as match
    `expression`, and prove one of `statements` (S, S8, S8/peek).

    `own`: they are somebody's own, not the suite's; nothing is owed of them. `files` are those of
    a command line, as it had them.
    """

    expression: str = ""
    statements: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    root: Path = field(default_factory=lambda: paths.GUEST_TESTS)
    modules: tuple[str, ...] = ()
    own: bool = False

    @property
    def whole(self) -> bool:
        """Whether it is all of the suite."""
        return not (self.own or self.expression or self.statements or self.files)

    @property
    def words(self) -> tuple[str, ...]:
        """The words of a command line that say the same."""
        words = list(self.files)
        words += ["--statement", ",".join(self.statements)] if self.statements else []
        words += ["-k", self.expression] if self.expression else []
        return tuple(words)

    def __str__(self) -> str:
        return shlex.join(self.words)


def of(expression: str = "", named: str = "", files: Sequence[str] = ()) -> Selection:
    """What -k, --statement and the words of a command line select.

    A file is a module of tests or a folder of them, with ::NAME for one test of it. Raises
    UserError for a statement that SPEC.md has not, for a file that is not there, and for files of
    the suite beside others.
    """
    wanted = _statements(named)
    places = [_place(file) for file in files]
    inside = [place for place in places if place[0].is_relative_to(paths.GUEST_TESTS)]
    if not places or inside == places:
        modules = tuple(_named(place, paths.GUEST_TESTS) for place in places)
        whole = modules == (".",)
        return Selection(expression, wanted, tuple(files), modules=() if whole else modules)
    if inside:
        raise UserError(
            f"{files[places.index(inside[0])]} is of the suite, and other tests are not",
            "run each by a command of its own",
        )
    parents = [path if path.is_dir() else path.parent for path, _ in places]
    root = Path(os.path.commonpath(parents))
    modules = tuple(_named(place, root) for place in places)
    modules = () if modules == (".",) else modules
    return Selection(expression, wanted, tuple(files), root, modules, own=True)


def _place(file: str) -> tuple[Path, str]:
    """Where a file is, and what is named of it."""
    name, colons, test = file.partition("::")
    path = Path(name).resolve()
    if not path.exists():
        raise UserError(
            f"{name}: there is no such file or folder of tests",
            "some tests of the suite: -k EXPRESSION, or --statement S8",
        )
    return path, colons + test


def _named(place: tuple[Path, str], root: Path) -> str:
    path, test = place
    return f"{path.relative_to(root)}{test}"


def _statements(named: str) -> tuple[str, ...]:
    known = statements.load()
    parts = [part for row in known.values() for part in row.parts]
    names = []
    for word in filter(None, map(str.strip, named.split(","))):
        statement, slash, case = word.partition("/")
        name = f"{statement.upper()}{slash}{case}"
        if not any(proves(name, part) for part in parts):
            of_it = known.get(statement.upper())
            raise UserError(
                f"--statement {word}: there is no such statement in docs/SPEC.md",
                f"known: {', '.join(of_it.parts if of_it else known)}",
            )
        names.append(name)
    return tuple(dict.fromkeys(names))


def proves(asked: str, name: str) -> bool:
    """Whether a test that is marked with `name` (S8/peek, S9) proves something of what is asked
    for: a chapter (S), a statement (S8) or a case (S8/peek).
    """
    statement = name.partition("/")[0]
    return asked in (name, statement, statement[:1])
