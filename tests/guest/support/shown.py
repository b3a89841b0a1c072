# SPDX-License-Identifier: GPL-2.0-only
"""Commands that a document shows, each with what it printed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.base import paths

_FENCE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PROMPT = "$ "
# What is otherwise each time: times.
_TIMES = re.compile(r"\d+\.\d{3}(?= ms|/)")


@dataclass(frozen=True)
class Shown:
    """A command line, its words behind `./inv`, and the output shown below it."""

    document: str
    words: tuple[str, ...]
    output: str

    def option(self, name: str) -> str:
        """The value of an option; "" without it."""
        before = self.words[: self.words.index("--")] if "--" in self.words else self.words
        return before[before.index(name) + 1] if name in before else ""

    @property
    def line(self) -> str:
        """Of `run`: the line for the guest's shell."""
        (line,) = self.words[self.words.index("--") + 1 :]
        return line


def commands(document: str) -> Iterator[Shown]:
    """All of a document's, in their order; it is named from the checkout's top."""
    for block in _FENCE.findall((paths.ROOT / document).read_text()):
        for each in re.split(rf"^{re.escape(_PROMPT)}", block, flags=re.MULTILINE)[1:]:
            line, _, output = each.partition("\n")
            _inv, *words = shlex.split(line)
            yield Shown(document, tuple(words), output)


def sources(document: str) -> dict[str, Path]:
    """What a document has compiled: executables, as its commands name them, and their sources."""
    found = {}
    for each in commands(document):
        if "cc" in each.words:
            found[each.option("--output")] = paths.ROOT / each.words[each.words.index("cc") + 1]
    return found


def without_times(output: str) -> str:
    """An output, each time in it as `#` (pure)."""
    return _TIMES.sub("#", output)


def times(output: str) -> list[float]:
    """Of each echo that `ping` tells: its time in milliseconds (pure)."""
    return [float(time) for time in re.findall(r" time=([\d.]+) ms", output)]
