# SPDX-License-Identifier: GPL-2.0-only
"""What gdb is told before a person, or a script, has its prompt (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

# Those of a module's sections that stay in memory, and that a name can be in.
_KEPT = re.compile(r"^\.(text|data|rodata|bss|exit\.text)(\.(?!str)[\w.]+)?$")


@dataclass(frozen=True)
class Loaded:
    """A module: a file with its symbols, and the addresses of its sections in the guest."""

    file: Path
    sections: Mapping[str, int]


@dataclass(frozen=True)
class Script:
    """`kernel` is a file with the kernel's symbols, `remote` where QEMU waits.

    `moved` has folders by the names under which they were compiled; in `folders` sources are found
    by their names alone. At `breaks` it is to stop: where there are any, the guest is let go on,
    else it stays as it was met.
    """

    kernel: Path
    remote: str
    module: Loaded | None = None
    moved: Mapping[str, Path] = field(default_factory=dict)
    folders: Sequence[Path] = ()
    breaks: Sequence[str] = ()

    def text(self) -> str:
        """Commands, a line each."""
        lines = ["set filename-display basename", f"file {word(self.kernel)}"]
        lines += [f"set substitute-path {word(old)} {word(new)}" for old, new in self.moved.items()]
        lines += [f"directory {word(folder)}" for folder in reversed(self.folders)]
        if self.module:
            lines.append(_added(self.module))
        lines.append(f"target remote {self.remote}")
        lines += [f"break {place}" for place in self.breaks]
        if self.breaks:
            lines.append("continue")
        return "".join(f"{line}\n" for line in lines)


def _added(module: Loaded) -> str:
    kept = {name: at for name, at in module.sections.items() if _KEPT.fullmatch(name)}
    words = [f"add-symbol-file {word(module.file)} {kept.pop('.text'):#x}"]
    return " ".join([*words, *(f"-s {name} {at:#x}" for name, at in sorted(kept.items()))])


def word(text: object) -> str:
    """A word as gdb reads it, whatever is in it."""
    escaped = str(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
