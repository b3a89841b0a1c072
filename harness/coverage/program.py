# SPDX-License-Identifier: GPL-2.0-only
"""Machine code with its lines: instructions, where they may go on, and what of them is one block.

Read from `objdump -d -l -r` (binutils), which knows sections, relocations and DWARF's lines. An
address is a section's name and an offset; of a linked program, the section's name and its address.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from harness.base import command

_SECONDS = 120.0
_SECTION = re.compile(r"^Disassembly of section (\S+):$")
_SYMBOL = re.compile(r"^([0-9a-f]+) <(.+)>:$")
_LINE = re.compile(r"^(/.*|[\w.+-]+/.*):(\d+)(?: \(discriminator \d+\))?$")
_INSTRUCTION = re.compile(r"^ *([0-9a-f]+):\t(\S+)(?: +(.*))?$")
_RELOCATION = re.compile(r"^\t+([0-9a-f]+): (R_\w+)\t(\S+)$")
_TARGET = re.compile(r"^([0-9a-f]+)(?: <.*)?$")
_ADDEND = re.compile(r"^(.*?)([+-]0x[0-9a-f]+)?$")
# Prefixes that objdump writes as words of their own.
_PREFIXES = frozenset({"bnd", "notrack", "rep", "repz", "repnz", "lock", "cs", "ds", "data16"})
_ENDS = ("ret", "jmp", "call", "iret", "hlt", "int3", "ud2", "sys")
# What an assembler puts before the next function or the head of a loop.
_PADDING = re.compile(
    r"(nop|xchg %ax,%ax|lea 0x0\(%e([sd]i),(%eiz,)?1?\)?.*,%e\2|mov %esi,%esi|int3)"
)
Address = tuple[str, int]


@dataclass(frozen=True)
class Instruction:
    """One instruction. `targets` are both ways of a conditional jump: taken, and not."""

    address: Address
    size: int
    line: tuple[str, int] | None
    ends: bool
    padding: bool
    targets: tuple[Address, Address] | None = None


@dataclass(frozen=True)
class Program:
    """The instructions of a file, by address."""

    instructions: Mapping[Address, Instruction]

    def block(self, begin: Address) -> list[Instruction]:
        """What runs from `begin` on, to the next instruction that may go elsewhere; none if no
        instruction begins there.
        """
        found: list[Instruction] = []
        at = begin
        while (each := self.instructions.get(at)) is not None:
            found.append(each)
            if each.ends:
                break
            at = (at[0], at[1] + each.size)
        return found

    @cached_property
    def lines(self) -> dict[tuple[str, int], list[Instruction]]:
        """The instructions of each line that has any."""
        found: dict[tuple[str, int], list[Instruction]] = {}
        for each in self.instructions.values():
            if each.line is not None and not each.padding:
                found.setdefault(each.line, []).append(each)
        return found


def load(file: Path) -> Program:
    """The program in `file`.

    Raises InfrastructureError if objdump is not there or cannot read it.
    """
    argv: list[str | Path] = ["objdump", "-d", "-l", "-r", "--no-show-raw-insn", "-z", file]
    with tempfile.TemporaryDirectory(prefix="coverage-") as folder:
        log = Path(folder) / "objdump"
        command.run(argv, what=f"reading {file.name}", log=log, seconds=_SECONDS)
        with log.open(encoding="utf-8", errors="replace") as stream:
            return parse(line.rstrip("\n") for line in stream)


@dataclass
class _Row:
    """An instruction as it is read: its size is known when the next comes."""

    address: Address
    words: str
    operand: str
    line: tuple[str, int] | None
    relocation: tuple[int, str] | None = None
    after_end: bool = False


@dataclass
class _Reader:
    rows: list[_Row] = field(default_factory=list)
    symbols: dict[str, Address] = field(default_factory=dict)


def parse(lines: Iterable[str]) -> Program:
    """What objdump has written (pure)."""
    read = _read(lines)
    found: dict[Address, Instruction] = {}
    for row, after in zip(read.rows, [*read.rows[1:], None], strict=True):
        same = after is not None and after.address[0] == row.address[0]
        size = after.address[1] - row.address[1] if same and after is not None else 1
        found[row.address] = _instruction(row, size, read.symbols)
    return Program(found)


def _read(lines: Iterable[str]) -> _Reader:
    read = _Reader()
    section, line = "", None
    for text in lines:
        if match := _INSTRUCTION.match(text):
            words, operand = match[2], match[3] or ""
            while words in _PREFIXES and operand:
                words, _, operand = operand.partition(" ")
                operand = operand.strip()
            read.rows.append(_Row((section, int(match[1], 16)), words, operand, line))
        elif match := _RELOCATION.match(text):
            if read.rows:
                read.rows[-1].relocation = (int(match[1], 16), match[3])
        elif match := _SYMBOL.match(text):
            read.symbols[match[2]] = (section, int(match[1], 16))
            line = None
        elif match := _LINE.match(text):
            line = (match[1], int(match[2]))
        elif match := _SECTION.match(text):
            section = match[1]
            read.symbols[section] = (section, 0)
    return read


def _instruction(row: _Row, size: int, symbols: Mapping[str, Address]) -> Instruction:
    conditional = row.words.startswith(("j", "loop")) and not row.words.startswith("jmp")
    targets = None
    if conditional:
        targets = (_target(row, size, symbols), (row.address[0], row.address[1] + size))
    return Instruction(
        row.address,
        size,
        row.line,
        ends=conditional or row.words.startswith(_ENDS),
        padding=_PADDING.match(f"{row.words} {row.operand}") is not None,
        targets=targets,
    )


def _target(row: _Row, size: int, symbols: Mapping[str, Address]) -> Address:
    """Where a jump goes: as written, or as its relocation says."""
    if row.relocation is not None:
        place, text = row.relocation
        match = _ADDEND.match(text)
        assert match is not None
        addend = int(match[2] or "0", 16) + row.address[1] + size - place
        section, offset = symbols.get(match[1], (match[1], 0))
        return section, offset + addend
    match = _TARGET.match(row.operand)
    return (row.address[0], int(match[1], 16)) if match else ("", 0)
