# SPDX-License-Identifier: GPL-2.0-only
"""The content of a release, a hash a file, whatever it is packed in.

On disk a manifest is text, a line a file, sorted by path: the SHA-256 and the path, as `sha256sum`
writes them. `-` stands for a file that belongs to the release and whose content is not known.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.base import fingerprint
from harness.base.errors import InfrastructureError

UNKNOWN = "-"

_LINE = re.compile(r"([0-9a-f]{64}|-|link:\S*)  (\S.*)")
_FIRST_NAMES = 3


@dataclass(frozen=True)
class Comparison:
    """Paths in which a tree is not as its manifest says, each list sorted."""

    different: tuple[str, ...]
    missing: tuple[str, ...]
    extra: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.different or self.missing or self.extra)

    def within(self, paths: Iterable[str]) -> Comparison:
        """The part that concerns `paths`."""
        wanted = frozenset(paths)
        return Comparison(
            tuple(path for path in self.different if path in wanted),
            tuple(path for path in self.missing if path in wanted),
            tuple(path for path in self.extra if path in wanted),
        )

    def summary(self) -> str:
        """One line: how many of each kind, with the first names."""
        kinds = (
            (self.different, "differ"),
            (self.missing, "missing"),
            (self.extra, "added"),
        )
        return "; ".join(f"{len(names)} {kind}: {_first(names)}" for names, kind in kinds if names)


def parse(text: str, name: str = "manifest") -> dict[str, str]:
    """Path to hash. Raises InfrastructureError with the line that is none."""
    entries: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise InfrastructureError(f"{name}:{number}: not a line of a manifest: {line[:60]}")
        entries[match[2]] = match[1]
    return entries


def load(path: Path) -> dict[str, str]:
    """The manifest in a file, path to hash."""
    return parse(path.read_text(), path.name)


def dump(content: Mapping[str, str]) -> str:
    """A manifest as text, sorted by path."""
    return "".join(f"{content[path]}  {path}\n" for path in sorted(content))


def of_tree(
    tree: Path, leave_out: Iterable[str] = (), keep: Container[str] = frozenset()
) -> dict[str, str]:
    """The content of an unpacked tree.

    `leave_out` is patterns, as Path.match knows them, of what version control or a build leaves
    behind; a file named in `keep` counts whatever its name.
    """
    patterns = tuple(leave_out)
    content: dict[str, str] = {}
    pending = [tree]
    while pending:
        for path in pending.pop().iterdir():
            relative = path.relative_to(tree)
            if relative.as_posix() not in keep and any(map(relative.match, patterns)):
                continue
            if path.is_symlink():
                content[relative.as_posix()] = f"link:{path.readlink()}"
            elif path.is_dir():
                pending.append(path)
            elif path.is_file():
                content[relative.as_posix()] = fingerprint.of_file(path)
    return content


def compare(expected: Mapping[str, str], content: Mapping[str, str]) -> Comparison:
    """How `content` differs from the manifest `expected`."""
    return Comparison(
        tuple(
            sorted(
                path
                for path in expected.keys() & content.keys()
                if expected[path] not in (UNKNOWN, content[path])
            )
        ),
        tuple(sorted(expected.keys() - content.keys())),
        tuple(sorted(content.keys() - expected.keys())),
    )


def _first(names: tuple[str, ...]) -> str:
    more = ", ..." if len(names) > _FIRST_NAMES else ""
    return ", ".join(names[:_FIRST_NAMES]) + more
