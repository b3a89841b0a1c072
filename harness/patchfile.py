# SPDX-License-Identifier: GPL-2.0-only
"""One patch file: parsed, and judged by the rules for the patches of this project."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from harness import paths
from harness.errors import InfrastructureError

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)")

# Lines of a head that say nothing of the reason.
_NO_REASON = re.compile(
    r"(?m)^(SPDX-|diff |index |new file |deleted file |From|Date:|Subject:|Index:).*$"
)


@dataclass(frozen=True)
class Hunk:
    """One hunk: the line it starts at in the old file, and its lines with their first character.

    `behind` is what follows the second @@: diff -p puts the line there that begins the function.
    """

    old_start: int
    lines: tuple[str, ...]
    behind: str


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
    """What is wrong with a patch by this project's rules: no reason in its head, or much context.

    Lines of upstream that a patch repeats but does not remove are at most one before and one after
    each change, which is what `diff -U1` makes.
    """
    found: list[str] = []
    name = shown(patch.path)
    if not _NO_REASON.sub("", patch.head).strip():
        found.append(f"{name}: the head does not say why")
    for change in patch.changes:
        for hunk in change.hunks:
            kinds = "".join(line[0] for line in hunk.lines).replace("\\", "")
            inner = kinds.strip(" ")
            before = len(kinds) - len(kinds.lstrip(" "))
            after = len(kinds) - len(kinds.rstrip(" "))
            between = max((len(run) for run in re.findall(" +", inner)), default=0)
            where = f"{name}: {change.new}:{hunk.old_start}"
            if before > 1 or after > 1 or between > 2:
                found.append(f"{where}: more than one line of context")
            if hunk.behind:
                found.append(f"{where}: context behind its @@ (make it without diff -p)")
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
