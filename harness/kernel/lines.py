# SPDX-License-Identifier: GPL-2.0-only
"""A kernel of ours with its lines: compiled again with -g, and held against the one that is booted.

-g leaves a kernel's .text as it is, byte for byte; that is looked at each time.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base import command, compiler, fingerprint, store, terminal
from harness.base.errors import InfrastructureError
from harness.kernel import kernel
from harness.matrix.variants import Variant
from harness.upstream import archive, patches, sources

# Counts up when what this module makes of its inputs changes.
RECIPE = "1"
SOURCES = "3"
# The part of the series whose files are kept.
SERIES = "divert"

_SECONDS = 60.0
_TREE = "tree"
# Of the patched source, what a kernel for our guests is not made of: two thirds of it.
_UNUSED = ("Documentation", "scripts", "drivers/[!cn]*", "arch/[!i]*", "include/asm-[!gi]*")
# The store's name for what is being made, and the folder in it.
_COMPILED_IN = re.compile(rf"DW_AT_comp_dir.*?: (/.*\.partial/{kernel.TREE})(?:/|$)", re.MULTILINE)


@dataclass(frozen=True)
class WithLines:
    """A kernel with DWARF, not the file that is booted; `sources` has, as they were compiled, those
    files of it that the divert series touches.
    """

    vmlinux: Path
    sources: Path


def build(variant: Variant, bzimage: Path, given: Sequence[str] = ()) -> WithLines:
    """The kernel of `variant`, which was built as `bzimage`, once more with lines.

    Raises InfrastructureError if it does not build, or is not the same code.
    """
    source = sources.obtain(kernel.SOURCE, given)
    series = patches.load_parts(kernel.SOURCE, variant.series)
    told = dataclasses.replace(variant, make=(*variant.make, f"GCC={compiler.name()} -g"))

    def make(folder: Path) -> None:
        terminal.say(f"kernel {variant.name}: once more, with lines")
        kernel.build_apart(told, folder, given=given)
        tree, log = folder / "patched", command.log_of(f"lines-{variant.name}")
        kernel.prepare(source, series, tree, log)
        for name in touched(series):
            target = folder / "sources" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(tree / name, target)
        shutil.rmtree(tree)

    key = fingerprint.of_bytes(RECIPE, fingerprint.of_file(bzimage), *variant.make)
    folder = store.obtain("lines", key, make, f"kernel {variant.name} with lines").path
    require_same(bzimage.with_name(kernel.VMLINUX), folder / kernel.VMLINUX)
    return WithLines(folder / kernel.VMLINUX, folder / "sources")


def touched(series: Iterable[patches.Series]) -> list[str]:
    """The files of C that the divert series changes or adds, by their paths in the source."""
    return sorted(
        name
        for part in series
        if part.folder.name == SERIES
        for name in part.touched()
        if name.endswith((".c", ".h"))
    )


def patched(variant: Variant, given: Sequence[str] = ()) -> Path:
    """The source that `variant` was compiled from, but for what its guests have no use for."""
    source = sources.obtain(kernel.SOURCE, given)
    series = patches.load_parts(kernel.SOURCE, variant.series)

    def make(folder: Path) -> None:
        tree, log = folder / _TREE, command.log_of(f"patched-{variant.name}")
        kernel.prepare(source, series, tree, log)
        for pattern in _UNUSED:
            for path in tree.glob(pattern):
                if path.is_dir():
                    shutil.rmtree(path)
        # As make links it.
        (tree / "include/asm").symlink_to("asm-i386")
        # Else gdb would complain that they are younger than what was compiled from them.
        for path in tree.rglob("*.[chS]"):
            if not path.is_symlink():
                os.utime(path, (archive.FILE_TIME, archive.FILE_TIME))

    key = fingerprint.of_bytes(
        SOURCES, source.content, *(part.fingerprint for part in series), *_UNUSED
    )
    return store.obtain("patched", key, make, "the patched source").path / _TREE


def compiled_in(vmlinux: Path) -> str:
    """The folder in which a kernel of ours with lines was compiled, which has gone since; "" if it
    does not say.
    """
    argv = ["readelf", "--debug-dump=info", "--dwarf-depth=1", str(vmlinux)]
    with tempfile.TemporaryDirectory(prefix="lines-") as folder:
        log = Path(folder) / "log"
        command.run(argv, what="readelf", log=log, seconds=_SECONDS)
        found = _COMPILED_IN.search(log.read_text(errors="replace"))
    return found[1] if found else ""


def require_same(booted: Path, with_lines: Path) -> None:
    """Raise InfrastructureError if two files are not the same code, byte for byte."""
    if _text(booted) != _text(with_lines):
        raise InfrastructureError(
            "the kernel with debugging information is another than what is booted",
            f"see: cmp {booted} {with_lines}",
        )


def _text(file: Path) -> bytes:
    with tempfile.TemporaryDirectory(prefix="lines-") as folder:
        target = Path(folder) / "text"
        argv: list[str | Path] = ["objcopy", "-O", "binary", "-j", ".text", file, target]
        command.run(argv, what="objcopy", log=Path(folder) / "log", seconds=_SECONDS)
        return target.read_bytes()
