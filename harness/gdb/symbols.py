# SPDX-License-Identifier: GPL-2.0-only
"""Names for a distribution's kernel, which comes without: put into its file, as the guest has them.

Without KASLR the kernel is where it was linked, so its own table is that of each boot.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base import command, fingerprint, store
from harness.base.errors import InfrastructureError
from harness.kernel import debiankernel

# Counts up when what this module makes of its inputs changes.
RECIPE = "1"

NAMED = "vmlinux"
_ELF = b"\x7fELF"
_SECONDS = 120.0
# objdump -h: its number, name, size, and where it is.
_SECTION = re.compile(r"^ *\d+ (\S+) +([0-9a-f]+)  ([0-9a-f]+)  ")
# Code and data; `a` are numbers that are no addresses, behind a module's is its name.
_SYMBOL = re.compile(r"^([0-9a-f]{16}) ([tTwWdDbBrRvV]) (\S+)$")
_CODE = "tTwW"


@dataclass(frozen=True)
class Section:
    """Where a section of the kernel is in memory."""

    name: str
    begin: int
    size: int


def named(kernel: Path, kallsyms: Path) -> Path:
    """The kernel's file with the names that /proc/kallsyms has of it, from the cache or made.

    It is another file than what is booted, and for gdb alone. Raises InfrastructureError.
    """

    def make(folder: Path) -> None:
        log = command.log_of("names")
        plain = folder / "plain"
        plain.write_bytes(_elf(kernel.read_bytes()))
        words = folder / "words"
        lines = added(kallsyms.read_text().splitlines(), _sections(plain, folder / "sections"))
        words.write_text("".join(f"{line}\n" for line in lines))
        argv = ["objcopy", f"@{words}", str(plain), str(folder / NAMED)]
        command.run(argv, what="the kernel's names", log=log, seconds=_SECONDS)
        for file in (plain, words):
            file.unlink()

    key = fingerprint.of_bytes(RECIPE, fingerprint.of_file(kernel), fingerprint.of_file(kallsyms))
    return store.obtain("named", key, make, "the kernel with its names").path / NAMED


def added(kallsyms: Iterable[str], sections: Sequence[Section]) -> list[str]:
    """The options of objcopy that add what lines of /proc/kallsyms say (pure).

    Raises InfrastructureError if they name nothing: to whoever may not see addresses, all are 0.
    """
    found = []
    for line in kallsyms:
        match = _SYMBOL.match(line)
        if not match:
            continue
        at, kind, name = int(match[1], 16), match[2], match[3]
        section = next((each for each in sections if 0 <= at - each.begin < each.size), None)
        if section is not None:
            what = "function" if kind in _CODE else "object"
            bound = "global" if kind.isupper() else "local"
            words = f"{section.name}:{at - section.begin:#x},{what},{bound}"
            found.append(f"--add-symbol={name}={words}")
    if not found:
        raise InfrastructureError("the guest's /proc/kallsyms names nothing of its kernel")
    return found


def _sections(file: Path, log: Path) -> list[Section]:
    argv = ["objdump", "-h", str(file)]
    command.run(argv, what="the kernel's sections", log=log, seconds=_SECONDS)
    rows = (_SECTION.match(line) for line in log.read_text(errors="replace").splitlines())
    found = [Section(row[1], int(row[3], 16), int(row[2], 16)) for row in rows if row]
    log.unlink()
    # Variables of each processor are told by their offset, from 0 on.
    return [each for each in found if each.begin]


def _elf(image: bytes) -> bytes:
    return image if image.startswith(_ELF) else debiankernel.unpacked(image)
