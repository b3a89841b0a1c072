# SPDX-License-Identifier: GPL-2.0-only
"""The edit that makes a mutant: some lines of one file, which have to be there, and other ones.

It is found in the series, not in a tree, so it can be checked without the upstream source.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base import paths
from harness.base.errors import InfrastructureError, UserError
from harness.upstream.patches import OVERLAY, Series
from harness.upstream.patchfile import Hunk, Patch

# The source's own encoding does not matter; every byte is a character.
ENCODING = "latin-1"
# Comes after every patch of a series.
_EXTRA = "9999-mutant.patch"


@dataclass(frozen=True)
class Edit:
    """In `file`, as the whole series leaves it, the lines `old` from `line` on become `new`.

    `part` is the folder of the part of the series that the lines come from, below patches/.
    """

    part: str
    file: str
    line: int
    old: tuple[str, ...]
    new: tuple[str, ...]

    def apply(self, text: str) -> str:
        """The text with the edit made. Raises InfrastructureError if the old lines differ."""
        lines = text.split("\n")
        here = slice(self.line - 1, self.line - 1 + len(self.old))
        if tuple(lines[here]) != self.old:
            raise InfrastructureError(
                f"{self.file}:{self.line} is not what the patches say it is",
                "a later patch changes these lines; no mutant can be made of them",
            )
        lines[here] = self.new
        return "\n".join(lines)

    @property
    def diff(self) -> str:
        """The edit as a patch."""
        span = f"{self.line if self.new else self.line - 1},{len(self.new)}"
        head = f"A mutant.\n\n--- a/{self.file}\n+++ b/{self.file}\n"
        body = [f"-{line}\n" for line in self.old] + [f"+{line}\n" for line in self.new]
        return f"{head}@@ -{self.line},{len(self.old)} +{span} @@\n{''.join(body)}"


def write(edit: Edit, root: Path, target: Path) -> None:
    """Make `target`, not there yet, a copy of the folder of series `root` with the edit in it."""
    shutil.copytree(root, target)
    overlaid = target / edit.part / OVERLAY / edit.file
    if overlaid.is_file():
        text = overlaid.read_text(encoding=ENCODING)
        overlaid.write_text(edit.apply(text), encoding=ENCODING)
    else:
        (target / edit.part / _EXTRA).write_text(edit.diff, encoding=ENCODING)


@dataclass(frozen=True)
class Place:
    """One hunk of a series: where it is, and its lines as they are before and after it."""

    series: Series
    patch: Patch
    file: str
    number: int
    hunk: Hunk

    @property
    def before(self) -> tuple[str, ...]:
        """Its lines in the source without it."""
        return tuple(line[1:] for line in self.hunk.lines if line[0] in " -")

    @property
    def after(self) -> tuple[str, ...]:
        """Its lines in the source with it."""
        return tuple(line[1:] for line in self.hunk.lines if line[0] in " +")

    @property
    def added(self) -> tuple[str, ...]:
        """The lines that it adds."""
        return tuple(line[1:] for line in self.hunk.lines if line[0] == "+")

    def line(self) -> int:
        """The line at which it begins when the whole series is applied."""
        at = self.hunk.old_start + self._shift(self.patch, self.hunk.old_start - 1)
        later = self.series.patches[self.series.patches.index(self.patch) + 1 :]
        for patch in later:
            at += self._shift(patch, at)
        return at

    def _shift(self, patch: Patch, until: int) -> int:
        """By how many lines the hunks of a patch that begin at `until` at the latest move it."""
        return sum(
            (line[0] == "+") - (line[0] == "-")
            for change in patch.changes
            if change.new == self.file
            for hunk in change.hunks
            for piece in hunk.changes
            for line in piece.lines
            if piece.old_start <= until
        )


def hunks(series: Series) -> Iterator[Place]:
    """Every hunk of a series, one for each change, however close they are (`Hunk.changes`).

    `number` counts from 1 within a file of a patch.
    """
    for patch in series.patches:
        for change in patch.changes:
            pieces = (piece for hunk in change.hunks for piece in hunk.changes)
            for number, hunk in enumerate(pieces, 1):
                yield Place(series, patch, change.new or change.old or "?", number, hunk)


def part(series: Series) -> str:
    """The folder of a part of a series, below patches/."""
    return series.folder.relative_to(paths.PATCHES).as_posix()


def removal(place: Place) -> Edit:
    """The edit that takes one hunk away and leaves all others."""
    return Edit(part(place.series), place.file, place.line(), place.after, place.before)


def replacement(series: Sequence[Series], file: str, old: str, new: str) -> Edit:
    """The edit that puts `new` in the place of `old`, which has to be once in what is ours of
    `file`: in the overlay's file, or in the lines that patches add.

    Raises UserError if it is not there, or there more than once.
    """
    found = [
        edit
        for row in series
        for first, text in _ours(row, file, old)
        for edit in _occurrences(Edit(part(row), file, first, (old,), (new,)), text)
    ]
    if len(found) != 1:
        raise UserError(
            f"{file} has {len(found)} times what is to be replaced: {old!r}",
            "name exactly one place of the overlay or of a patch, as it is now",
        )
    return found[0]


def _ours(series: Series, file: str, old: str) -> Iterator[tuple[int, str]]:
    """What a part of a series has of `file`, and where it begins: all, or hunks that add `old`."""
    if file in series.overlay:
        yield 1, series.overlay[file].decode(ENCODING)
        return
    for place in hunks(series):
        if place.file == file and old in "\n".join(place.added):
            yield place.line(), "\n".join(place.after)


def _occurrences(edit: Edit, text: str) -> Iterator[Edit]:
    """The edit of whole lines, for each place in `text` that has what `edit` replaces."""
    (old,), (new,) = edit.old, edit.new
    at = text.find(old)
    while at >= 0:
        begin = text.rfind("\n", 0, at) + 1
        end = text.find("\n", at + len(old))
        end = len(text) if end < 0 else end
        changed = text[begin:at] + new + text[at + len(old) : end]
        yield Edit(
            edit.part,
            edit.file,
            edit.line + text.count("\n", 0, begin),
            tuple(text[begin:end].split("\n")),
            tuple(changed.split("\n")),
        )
        at = text.find(old, at + len(old))
