# SPDX-License-Identifier: GPL-2.0-only
"""A variant's code with its lines: compiled again with -g, and held against what is booted.

-g leaves a kernel's .text as it is, byte for byte; that is looked at each time.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import shutil
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base import command, compiler, fingerprint, store, terminal
from harness.base.errors import InfrastructureError, UserError
from harness.boot.bootable import Bootable
from harness.coverage import program
from harness.coverage.program import Program
from harness.kernel import debiankernel, kernel, module
from harness.matrix import kernels
from harness.record import linecoverage
from harness.upstream import patches, sources

# Counts up when what this module makes of its inputs changes.
RECIPE = "1"
# The part of the series that is measured.
SERIES = "divert"
# Where an x86-64 kernel without KASLR puts its modules (MODULES_VADDR;
# Documentation/x86/x86_64/mm.rst).
MODULES = "0xffffffffc0000000+0x3f000000"

_SECONDS = 60.0
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
    names = _touched(series)
    told = dataclasses.replace(variant, make=(*variant.make, f"GCC={compiler.name()} -g"))

    def make(folder: Path) -> None:
        terminal.say(f"kernel {variant.name}: once more, with lines")
        kernel.build_apart(told, folder, given=given)
        tree, log = folder / "patched", command.log_of(f"lines-{variant.name}")
        kernel.prepare(source, series, tree, log)
        for name in names:
            target = folder / "sources" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(tree / name, target)
        shutil.rmtree(tree)

    key = fingerprint.of_bytes(RECIPE, fingerprint.of_file(built.bzimage), *variant.make)
    folder = store.obtain("lines", key, make, f"kernel {variant.name} with lines").path
    _require_same(built.bzimage.with_name(kernel.VMLINUX), folder / kernel.VMLINUX)
    contents = {name: (folder / "sources" / name).read_bytes() for name in names}
    texts = {name: content.decode("latin-1") for name, content in contents.items()}
    code = _only(program.load(folder / kernel.VMLINUX), kernel.TREE, "", texts)
    ours = {name: _ours(source.tree / name, text) for name, text in texts.items()}
    return Code(code, texts, ours, ranges(code), _digests(contents))


def _digests(contents: Mapping[str, bytes]) -> dict[str, str]:
    return {name: linecoverage.digest(content) for name, content in contents.items()}


def _touched(series: Iterable[patches.Series]) -> list[str]:
    return sorted(
        name
        for part in series
        if part.folder.name == SERIES
        for name in part.touched()
        if name.endswith((".c", ".h"))
    )


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


def _require_same(booted: Path, with_lines: Path) -> None:
    if _text(booted) != _text(with_lines):
        raise InfrastructureError(
            "compiled with -g, the kernel is another", f"see: cmp {booted} {with_lines}"
        )


def _text(file: Path) -> bytes:
    with tempfile.TemporaryDirectory(prefix="coverage-") as folder:
        target = Path(folder) / "text"
        argv: list[str | Path] = ["objcopy", "-O", "binary", "-j", ".text", file, target]
        command.run(argv, what="objcopy", log=Path(folder) / "log", seconds=_SECONDS)
        return target.read_bytes()
