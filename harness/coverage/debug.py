# SPDX-License-Identifier: GPL-2.0-only
"""A variant's code with its lines: which of them are measured, and what of it QEMU is to trace."""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base.errors import UserError
from harness.boot.bootable import Bootable
from harness.coverage import program
from harness.coverage.program import Program
from harness.kernel import debiankernel, kernel, lines, module
from harness.matrix import kernels
from harness.record import linecoverage
from harness.upstream import patches, sources

# Where an x86-64 kernel without KASLR puts its modules (MODULES_VADDR;
# Documentation/x86/x86_64/mm.rst).
MODULES = "0xffffffffc0000000+0x3f000000"

# Ranges so near to each other are traced as one: QEMU looks at each of them for each block.
_GAP = 64


@dataclass(frozen=True)
class Code:
    """What is measured of a variant.

    `texts` has the files that count as they were compiled, by the names that the lines of `program`
    have; `digests` what each is known by (harness.record.linecoverage); `ours` the lines of them
    that we wrote; `ranges` what is to be traced, as -dfilter has it. Addresses of a module are told
    by section.
    """

    program: Program
    texts: Mapping[str, str]
    ours: Mapping[str, frozenset[int]]
    ranges: str
    digests: Mapping[str, str]


def of(built: Bootable, given: Sequence[str]) -> Code:
    """The code of a variant that was built.

    Raises InfrastructureError if it does not build, or is not what is booted; UserError for a
    variant without divert sockets.
    """
    variant = built.variant
    if not variant.diverts:
        raise UserError(f"--coverage: {variant.name} has no divert sockets", "as in: base")
    return _of_reference(built, given) if built.kernel.sources else _of_module(variant.kernel)


@functools.cache
def _of_module(name: str) -> Code:
    """All variants of a kernel have the same module."""
    contents = {
        f"module/{path.relative_to(module.SOURCE)}": path.read_bytes()
        for path in module.sources()
        if path.suffix in (".c", ".h")
    }
    texts = {name: content.decode() for name, content in contents.items()}
    made = module.build(debiankernel.headers(kernels.named(name)))
    code = _only(program.load(made.with_lines), module.WORK, "module/", texts)
    ours = {name: frozenset(range(1, text.count("\n") + 2)) for name, text in texts.items()}
    return Code(code, texts, ours, MODULES, _digests(contents))


def _of_reference(built: Bootable, given: Sequence[str]) -> Code:
    variant = built.variant
    source = sources.obtain(kernel.SOURCE, given)
    series = patches.load_parts(kernel.SOURCE, variant.series)
    made = lines.build(variant, built.bzimage, given)
    contents = {name: (made.sources / name).read_bytes() for name in lines.touched(series)}
    texts = {name: content.decode("latin-1") for name, content in contents.items()}
    code = _only(program.load(made.vmlinux), kernel.TREE, "", texts)
    ours = {name: _ours(source.tree / name, text) for name, text in texts.items()}
    return Code(code, texts, ours, ranges(code), _digests(contents))


def _digests(contents: Mapping[str, bytes]) -> dict[str, str]:
    return {name: linecoverage.digest(content) for name, content in contents.items()}


def _ours(before: Path, text: str) -> frozenset[int]:
    """The lines of a file that upstream's has not."""
    old = before.read_text("latin-1").splitlines() if before.is_file() else []
    matcher = difflib.SequenceMatcher(None, old, text.splitlines(), autojunk=False)
    return frozenset(
        number + 1
        for kind, _, _, first, last in matcher.get_opcodes()
        if kind in ("replace", "insert")
        for number in range(first, last)
    )


def _only(whole: Program, folder: str, prefix: str, names: Collection[str]) -> Program:
    """The program with only the lines of these files, which were compiled in a folder so named."""
    found = {}
    for address, each in whole.instructions.items():
        line = None
        if each.line is not None:
            name = prefix + each.line[0].rpartition(f"/{folder}/")[2]
            line = (name, each.line[1]) if name in names else None
        found[address] = dataclasses.replace(each, line=line)
    return Program(found)


def ranges(code: Program) -> str:
    """The addresses of the instructions that have a line, as -dfilter has them."""
    parts: list[list[int]] = []
    for (_, at), each in sorted(code.instructions.items(), key=lambda item: item[0][1]):
        if each.line is None:
            continue
        if parts and at - parts[-1][1] <= _GAP:
            parts[-1][1] = at + each.size
        else:
            parts.append([at, at + each.size])
    return ",".join(f"{first:#x}..{last - 1:#x}" for first, last in parts)
