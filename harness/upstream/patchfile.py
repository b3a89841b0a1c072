# SPDX-License-Identifier: GPL-2.0-only
"""One patch file: parsed, and judged by the rules for the patches of this project."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from harness.base import paths
from harness.base.difference import CONTEXT
from harness.base.errors import InfrastructureError

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)")

# Lines of a head that say nothing of the reason.
_NO_REASON = re.compile(
    r"(?m)^(SPDX-|diff |index |new file |deleted file |From|Date:|Subject:|Index:).*$"
)

# The paragraphs of a head, behind its title: what was there, what is there now, and why there.
PARTS = ("Was:", "Now:", "Here:")


@dataclass(frozen=True)
class Hunk:
    """One hunk: the line it starts at in the old file, and its lines with their first character.

    `behind` is what follows the second @@: diff -p puts the line there that begins the function.
    """

    old_start: int
    lines: tuple[str, ...]
    behind: str

    @property
    def changes(self) -> tuple[Hunk, ...]:
        """What it changes, piece by piece: what `diff -U1` would make hunks of, whatever lines are
        around them here.
        """
        lines = [line for line in self.lines if not line.startswith("\\")]
        changed = [number for number, line in enumerate(lines) if line[0] != " "]
        groups: list[list[int]] = []
        for number in changed:
            # Lines around two changes that touch each other are of one hunk.
            if groups and number - groups[-1][-1] <= 3:
                groups[-1].append(number)
            else:
                groups.append([number])
        return tuple(self._piece(lines, group[0], group[-1]) for group in groups)

    def _piece(self, lines: list[str], first: int, last: int) -> Hunk:
        begin = max(first - 1, 0)
        start = self.old_start + sum(line[0] != "+" for line in lines[:begin])
        return Hunk(start, tuple(lines[begin : last + 2]), self.behind)


@dataclass(frozen=True)
class FileChange:
    """What a patch does to one file: its path before and after (None: not there), and the hunks."""

    old: str | None
    new: str | None
    hunks: tuple[Hunk, ...]


@dataclass(frozen=True)
class Patch:
    """One patch file as it was read: its bytes, the text before the first file, and the files that
    it changes.
    """

    path: Path
    data: bytes
    head: str
    changes: tuple[FileChange, ...]


def parse(path: Path) -> Patch:
    """Parse a unified diff with `a/` and `b/` prefixes.

    Raises InfrastructureError with the line if a hunk is shorter than its header says, or the file
    changes nothing or cannot be read.
    """
    data = read(path)
    lines = data.decode("latin-1").split("\n")
    head: list[str] = []
    changes: list[FileChange] = []
    at = 0
    while at < len(lines):
        following = lines[at + 1] if at + 1 < len(lines) else ""
        if lines[at].startswith("--- ") and following.startswith("+++ "):
            old, new = _name(lines[at]), _name(following)
            hunks, at = _hunks(path, lines, at + 2)
            changes.append(FileChange(old, new, hunks))
            continue
        if not changes:
            head.append(lines[at])
        at += 1
    if not changes:
        raise InfrastructureError(f"{shown(path)} is no patch: it changes no file")
    return Patch(path, data, "\n".join(head).strip(), tuple(changes))


def _hunks(path: Path, lines: list[str], at: int) -> tuple[tuple[Hunk, ...], int]:
    hunks: list[Hunk] = []
    while at < len(lines) and (match := _HUNK.match(lines[at])):
        old, new = int(match[2] or 1), int(match[4] or 1)
        at += 1
        body: list[str] = []
        while old > 0 or new > 0:
            kind = lines[at][:1] if at < len(lines) else ""
            if kind not in {" ", "-", "+", "\\"}:
                raise InfrastructureError(f"{shown(path)}:{at + 1}: the hunk ends too early")
            old -= kind in " -"
            new -= kind in " +"
            body.append(lines[at])
            at += 1
        hunks.append(Hunk(int(match[1]), tuple(body), match[5].strip()))
        if at < len(lines) and lines[at].startswith("\\"):
            at += 1
    return tuple(hunks), at


def _name(line: str) -> str | None:
    name = line[4:].partition("\t")[0].strip()
    return None if name == "/dev/null" else name.split("/", 1)[-1]


def faults(patch: Patch) -> list[str]:
    """What is wrong with a patch by this project's rules.

    That its head does not say what was there, what is there now and why there; or that there is too
    little context for a reader to know the place.

    Around each change are three lines, as `diff -p -U3` has them, but at the ends of a file. What
    begins the function stands behind the @@, where there is one: only with the source can be told
    whether there is (`invoke refresh-patches --check`).
    """
    found: list[str] = []
    name = shown(patch.path)
    reason = _NO_REASON.sub("", patch.head).strip()
    if not reason:
        found.append(f"{name}: the head does not say why")
    else:
        found += [f"{name}: no paragraph {part}" for part in PARTS if f"\n\n{part} " not in reason]
    for change in patch.changes:
        for hunk in change.hunks:
            kinds = "".join(line[0] for line in hunk.lines).replace("\\", "")
            before = len(kinds) - len(kinds.lstrip(" "))
            after = len(kinds) - len(kinds.rstrip(" "))
            between = max((len(run) for run in re.findall(" +", kinds.strip(" "))), default=0)
            where = f"{name}: {change.new}:{hunk.old_start}"
            if before > CONTEXT or after > CONTEXT or between > 2 * CONTEXT:
                found.append(f"{where}: more than {CONTEXT} lines of context")
            # At its beginning a file has no more; at its end a hunk has less behind than before.
            elif before < min(CONTEXT, hunk.old_start - 1):
                found.append(f"{where}: fewer than {CONTEXT} lines of context")
    return found


def read(path: Path) -> bytes:
    """The bytes of a file of a series."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InfrastructureError(f"cannot read {shown(path)}: {error.strerror}") from error


def shown(path: Path) -> str:
    """A path as it is named in messages: relative to the checkout if it is in it."""
    return path.relative_to(paths.ROOT).as_posix() if path.is_relative_to(paths.ROOT) else str(path)
