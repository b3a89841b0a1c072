# SPDX-License-Identifier: GPL-2.0-only
"""Blocks, both ways of a jump, and lines, from what objdump writes."""

from __future__ import annotations

import subprocess
from pathlib import Path

from harness.base import compiler
from harness.coverage import program

LISTING = """
x.ko:     file format elf64-x86-64


Disassembly of section .text:

0000000000000000 <first>:
first():
/w/a.c:3
   0:	call   5 <first+0x5>
			1: R_X86_64_PLT32	__fentry__-0x4
/w/a.c:4 (discriminator 2)
   5:	test   %edi,%edi
   7:	jne    10 <first+0x10>
/w/a.c:6
   9:	ret
   a:	nopw   0x0(%rax,%rax,1)
/w/a.c:5
  10:	bnd jmp 20 <second>
			12: R_X86_64_PLT32	second-0x4
  16:	jne    1b <first+0x1b>
			17: R_X86_64_PC32	.text.unlikely+0x2
  1b:	rep ret

Disassembly of section .text.unlikely:

0000000000000000 <first.cold>:
first.cold():
/w/a.c:8
   0:	xor    %eax,%eax
   6:	ud2
"""


def test_a_block_ends_with_what_may_go_elsewhere() -> None:
    read = program.parse(LISTING.splitlines())
    assert [each.address[1] for each in read.block((".text", 0))] == [0]
    assert [each.address[1] for each in read.block((".text", 5))] == [5, 7]
    assert [each.address[1] for each in read.block((".text", 7))] == [7]
    assert read.block((".text", 6)) == []
    assert [each.address[1] for each in read.block((".text.unlikely", 0))] == [0, 6]


def test_both_ways_of_a_jump() -> None:
    found = program.parse(LISTING.splitlines()).instructions
    assert found[".text", 7].targets == ((".text", 0x10), (".text", 9))
    assert found[".text", 0x10].targets is None
    # The section's offset, and what is between the relocation and the instruction's end.
    assert found[".text", 0x16].targets == ((".text.unlikely", 6), (".text", 0x1B))


def test_lines_have_their_instructions_without_padding() -> None:
    lines = program.parse(LISTING.splitlines()).lines
    assert {line[1]: len(each) for line, each in lines.items()} == {3: 1, 4: 2, 6: 1, 5: 3, 8: 2}
    assert {line[0] for line in lines} == {"/w/a.c"}


SOURCE = """\
int seen;
int choose(int number)
{
	if (number > 3)
		seen = number;
	else
		seen = 1;
	return seen;
}
"""


def test_a_real_object(tmp_path: Path) -> None:
    source, target = tmp_path / "a.c", tmp_path / "a.o"
    source.write_text(SOURCE)
    flags = ["-g", "-O0", "-fcf-protection=none", "-c", "-o", str(target), str(source)]
    subprocess.run([compiler.name(), *flags], check=True)
    read = program.load(target)
    assert {line[1] for line in read.lines} == {3, 4, 5, 7, 8, 9}
    (jump,) = (each for each in read.instructions.values() if each.targets)
    assert jump.line == (str(source), 4)
    assert jump.targets is not None
    taken, not_taken = (read.instructions[each].line for each in jump.targets)
    assert {taken, not_taken} == {(str(source), 5), (str(source), 7)}
