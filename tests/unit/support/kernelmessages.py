# SPDX-License-Identifier: GPL-2.0-only
"""The messages in a kernel's source, as its console would show them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_TEXT = re.compile(r'"((?:[^"\\\n]|\\.|\\\n)*)"')
_ARGUMENT = re.compile(r'"(?:[^"\\]|\\.)*"|[()]', re.DOTALL)
_SPECIFIER = re.compile(
    r"%[-+ #0]*([\d*]*)(?:\.[\d*]*)?(?:hh|h|ll|l|L|q|z)?(p[A-Za-z]?\d?\w*|[a-zA-Z%])"
)
_SAMPLES = {"x": "c0155b10", "X": "C0155B10", "p": "c0155b10", "s": "eth1", "c": "a", "%": "%"}
# What is shorter says nothing by itself: a number, a colon.
_LEAST_LETTERS = 6


@dataclass(frozen=True)
class Message:
    """One line of a message; `where` is its file, below the source's root, and line."""

    file: str
    number: int
    text: str

    @property
    def where(self) -> str:
        """As a compiler has it."""
        return f"{self.file}:{self.number}"


def of(root: Path, files: Iterable[str], functions: Iterable[str]) -> Iterator[Message]:
    """The messages that calls of `functions` have, in files of the source (globs below `root`)."""
    call = re.compile(rf"\b(?:{'|'.join(functions)})\s*\(")
    for pattern in files:
        for path in sorted(root.glob(pattern)):
            name = path.relative_to(root).as_posix()
            text = path.read_text(errors="replace")
            text = _COMMENT.sub(lambda found: "\n" * found[0].count("\n"), text)
            for found in call.finditer(text):
                number = text.count("\n", 0, found.start()) + 1
                begin = "Kernel panic: " if found[0].startswith("panic") else ""
                for line in _lines(_arguments(text, found.end())):
                    yield Message(name, number, begin + line)
                    begin = ""


def _arguments(text: str, begin: int) -> str:
    """What is between the bracket before `begin` and the one that closes it."""
    depth = 1
    for found in _ARGUMENT.finditer(text, begin):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if depth == 0:
            return text[begin : found.start()]
    return text[begin:]


def _lines(arguments: str) -> Iterator[str]:
    """The lines of the format, which is of several pieces, in words that could be there."""
    # A format ends at the first comma outside of its pieces.
    depth, end = 0, len(arguments)
    for found in re.finditer(r'"(?:[^"\\]|\\.)*"|[(),]', arguments, re.DOTALL):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if found[0] == "," and depth == 0 and '"' in arguments[: found.start()]:
            end = found.start()
            break
    pieces = _TEXT.findall(arguments[:end])
    shown = _SPECIFIER.sub(_sample, "".join(pieces).replace("\\\n", ""))
    for line in shown.replace('\\"', '"').replace("\\t", " ").split("\\n"):
        if sum(map(str.isalpha, line)) >= _LEAST_LETTERS:
            yield line.strip()


def _sample(found: re.Match[str]) -> str:
    sample = _SAMPLES.get(found[2][0], "7")
    width = found[1].lstrip("0")
    return sample[-int(width) :] if found[2] in "xX" and width.isdigit() else sample
