# SPDX-License-Identifier: GPL-2.0-only
"""The names of a source tree: what they can be, and whether its links stay in it (pure)."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from pathlib import PurePosixPath

LINK = "link:"

_SHOWN = 60
# Of most file systems, in bytes: a part of a path, and (with room for where it is) all of it.
_LONGEST_PART = 255
_LONGEST = 3000
# As many as Linux follows.
_FOLLOWED = 40


class BadNameError(Exception):
    """A name, or a link, that no tree of ours can have; the message says how it is bad."""


def shown(name: str) -> str:
    """A name for a message: bytes that are no text spelled out, and cut."""
    text = name.encode(errors="surrogateescape").decode(errors="backslashreplace")
    text = "".join(
        ascii(letter)[1:-1] if unicodedata.category(letter) == "Cc" else letter for letter in text
    )
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def check(name: str) -> None:
    """Raise BadNameError unless a name is text, in one line, and not too long."""
    try:
        data = name.encode()
    except UnicodeEncodeError:
        raise BadNameError(f"a name is not UTF-8: {shown(name)}") from None
    if any(unicodedata.category(letter) == "Cc" for letter in name):
        raise BadNameError(f"a name has a control character: {shown(name)}")
    if len(data) > _LONGEST or max(map(len, data.split(b"/"))) > _LONGEST_PART:
        raise BadNameError(f"a name is too long: {shown(name)}")


class Names:
    """The names of an archive, one after the other: no file can be a folder as well."""

    def __init__(self) -> None:
        self._folders: set[str] = set()
        self._files: set[str] = set()
        self._links: set[str] = set()

    def file(self, name: str) -> None:
        """A file, which may be there already. Raises BadNameError."""
        self._place(name)
        if name in self._links:
            raise BadNameError(f"{shown(name)} is in it twice")
        self._files.add(name)

    def link(self, name: str) -> None:
        """A symbolic link. Raises BadNameError."""
        self._place(name)
        if name in self._links or name in self._files:
            raise BadNameError(f"{shown(name)} is in it twice")
        self._links.add(name)

    def _place(self, name: str) -> None:
        check(name)
        above = [each.as_posix() for each in PurePosixPath(name).parents][:-1]
        for folder in above:
            if folder in self._links:
                raise BadNameError(f"{shown(folder)} is a link, and has files in it")
        for file in (*(each for each in above if each in self._files), name):
            if file in self._files.intersection(above) or file in self._folders:
                raise BadNameError(f"{shown(file)} is a file, and has files in it")
        self._folders.update(above)


def check_tree(content: Mapping[str, str]) -> None:
    """See that the names of a tree, each with what it is, can be, and that no link leads out of it,
    by itself or by others that it goes through.

    Raises BadNameError.
    """
    links = {
        name: value.removeprefix(LINK) for name, value in content.items() if value.startswith(LINK)
    }
    for name in content:
        check(name)
    for name, target in links.items():
        check(target)
        _follow(name, links)


def _follow(name: str, links: Mapping[str, str]) -> None:
    here: list[str] = list(PurePosixPath(name).parent.parts)
    waiting = [name.rpartition("/")[2]]
    followed = 0
    while waiting:
        part = waiting.pop()
        if part == "..":
            if not here:
                raise BadNameError(f"{shown(name)} is a link that leads out of it")
            here.pop()
            continue
        target = links.get("/".join([*here, part]))
        if target is None:
            here.append(part)
            continue
        followed += 1
        if followed > _FOLLOWED:
            raise BadNameError(f"{shown(name)} is a link that leads to itself")
        path = PurePosixPath(target)
        if path.is_absolute():
            raise BadNameError(f"{shown(name)} is a link that leads out of it")
        waiting += reversed(path.parts)
