# SPDX-License-Identifier: GPL-2.0-only
"""The command lines of ours that the documents print, wherever they do it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.base import paths

# All that a reader is shown, but the history.
DOCUMENTS = (
    *(paths.ROOT / name for name in ("README.md", "CONTRIBUTING.md", "module/README.md")),
    *sorted((paths.ROOT / "docs").rglob("*.md")),
)

# A line of an example, indented or fenced. A comment follows behind two blanks, often without #.
_EXAMPLE = re.compile(r"^(?: {4,}|\t|\$ |)(?:[A-Z]+=\S+ )*(?P<line>\./inv\b.*)$")
_WORD = r"""(?:'[^']*'|"[^"]*"|[^\s'"])+"""
_WORDS = re.compile(rf"{_WORD}(?: (?!#){_WORD})*")
# In a sentence, perhaps over two lines of it.
_INLINE = re.compile(r"`(?P<line>\./inv\b[^`]*)`")
_FENCE = re.compile(r"^ *```")


@dataclass(frozen=True)
class Line:
    """A command line: the document, the number of its line, and its words behind `./inv`."""

    file: str
    number: int
    text: str

    @property
    def words(self) -> list[str]:
        """As a shell has them; what is in brackets may be left out, and is."""
        text = re.sub(r"\[[^\]]*\]", "", self.text)
        return shlex.split(text, comments=True)[1:]

    def __str__(self) -> str:
        return f"{self.file}:{self.number}: {self.text}"


def of_text(file: str, text: str) -> Iterator[Line]:
    """All command lines of a document, in their order (pure)."""
    fenced = False
    rest: list[str] = []
    lines = enumerate(text.splitlines(), 1)
    for number, line in lines:
        fenced ^= _FENCE.match(line) is not None
        example = _EXAMPLE.match(line) if fenced or line.startswith(("    ", "\t")) else None
        if example:
            typed = example["line"]
            while typed.endswith("\\"):
                typed = typed.removesuffix("\\") + next(lines, (0, ""))[1].strip()
                rest.append("")
            words = _WORDS.match(typed)
            yield Line(file, number, words.group() if words else typed)
        rest.append("" if example or fenced else line)
    prose = "\n".join(rest)
    for match in _INLINE.finditer(prose):
        number = prose.count("\n", 0, match.start()) + 1
        yield Line(file, number, " ".join(match["line"].split()))


def every() -> list[Line]:
    """Those of all documents."""
    return [line for path in DOCUMENTS for line in of_text(_name(path), path.read_text())]


def _name(path: Path) -> str:
    return path.relative_to(paths.ROOT).as_posix()
