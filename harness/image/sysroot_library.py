# SPDX-License-Identifier: GPL-2.0-only
"""What the guest's libc lacks for programs of the year 2000, in images/sysroot/lib, added to it."""

from __future__ import annotations

from pathlib import Path

from harness.base import command, paths

LIBRARY = paths.IMAGES / "sysroot" / "lib"
# What runs before main: the libc's start code, which calls main, is told to call this.
BEGIN, BEGIN_MAIN = "begin.c", "__begin_main"
# Libraries whose functions, if there are any, are in the libc; an archive with nothing in it.
EMPTY, EMPTY_ARCHIVE = ("dl", "nsl", "pthread", "resolv", "util"), b"!<arch>\n"

COMPILE_SECONDS = 120.0


def add(folder: Path) -> None:
    """Compile them with the sysroot's own compiler, and put them into its libc and its start code.

    Raises InfrastructureError if they do not compile.
    """
    log = command.new_log("sysroot")

    def run(*argv: str | Path) -> None:
        command.run(argv, what="the sysroot", log=log, seconds=COMPILE_SECONDS, cwd=folder / "lib")

    objects = []
    for source in sorted(LIBRARY.glob("*.c")):
        objects.append(source.with_suffix(".o").name)
        flags = ("-std=gnu99", "-O2", "-Wall", "-Wextra", "-Werror", "-fno-builtin")
        run(folder / "bin" / "cc", "-c", *flags, source, "-o", objects[-1])
    begin = Path(BEGIN).with_suffix(".o").name
    run("objcopy", f"--redefine-sym=main={BEGIN_MAIN}", "start.o")
    run("ld", "-m", "elf_i386", "-r", "-o", "started.o", "start.o", begin)
    (folder / "lib" / "started.o").replace(folder / "lib" / "start.o")
    run("ar", "rcsD", "libc.a", *(name for name in objects if name != begin))
    for name in objects:
        (folder / "lib" / name).unlink()
    for name in EMPTY:
        archive = folder / "lib" / f"lib{name}.a"
        if not archive.exists():
            archive.write_bytes(EMPTY_ARCHIVE)
