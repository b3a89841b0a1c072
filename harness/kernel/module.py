# SPDX-License-Identifier: GPL-2.0-only
"""The module of module/, built for a distribution's kernel, and kept by its fingerprint."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base import command, compiler, diskroom, fingerprint, paths, store, terminal
from harness.base.errors import InfrastructureError
from harness.kernel import parts, toolchain
from harness.kernel.debiankernel import Headers

# Counts up when what this module makes of its inputs changes.
RECIPE = "2"

SOURCE = paths.ROOT / "module"
MODULE = "divert.ko"
# The folder in which it is compiled: the lines of `with_lines` are of files below one of this name.
WORK = "work"
WITH_LINES = "divert.ko.debug"

# Half a minute on two idle cores.
BUILD_SECONDS = 900.0
_STRIP_SECONDS = 30.0
# What Kbuild says of the host, and not of the module.
_OF_HOST = ("pahole version differs",)
_ERRORS = ("error:", "ERROR:", "warning:", "Error ")
_ERROR_LINES = 5


@dataclass(frozen=True)
class Module:
    """The module's file, without what only a debugger wants; `seconds` is 0.0 if it was there."""

    path: Path
    fingerprint: str
    seconds: float
    cached: bool

    @property
    def with_lines(self) -> Path:
        """The same with DWARF's lines; its sources were in a folder WORK."""
        return self.path.with_name(WITH_LINES)


def sources() -> list[Path]:
    """The files that it is made from; what a build in that folder has left is not among them."""
    names = ("*.c", "*.h", "Kbuild", "Makefile")
    found = {path for name in names for path in SOURCE.rglob(name)}
    return sorted(path for path in found if not path.name.endswith(".mod.c"))


def build(headers: Headers, *, jobs: int = 0) -> Module:
    """The module for the kernel with these headers, from the cache, or built in some seconds.

    Raises InfrastructureError with the first errors and warnings if it does not build without any,
    or if the compiler for it cannot be had.
    """
    files = sources()
    tools = toolchain.of(headers)
    print_ = fingerprint.of_bytes(
        RECIPE, headers.fingerprint, tools.identity, fingerprint.of_files(SOURCE, files)
    )

    def make(folder: Path) -> None:
        terminal.say(f"module for {headers.release}: building")
        log = command.new_log(f"module-{headers.release}")
        work = folder / WORK
        lay_out(work)
        compile_in(work, headers, log, jobs=jobs)
        if any("warning:" in line for line in _complaints(log)):
            raise _unbuilt(headers.release, log)
        strip(work / MODULE, folder / MODULE, log)
        shutil.move(work / MODULE, folder / WITH_LINES)
        shutil.rmtree(work)

    entry = store.obtain("module", print_, make, f"the module for {headers.release}")
    if not entry.cached:
        terminal.say(f"module for {headers.release}: built in {entry.seconds:.1f} s")
    return Module(entry.path / MODULE, print_, entry.seconds, entry.cached)


def lay_out(work: Path) -> None:
    """Copy the sources to a folder."""
    for path in sources():
        target = work / path.relative_to(SOURCE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def compile_in(
    work: Path, headers: Headers, log: Path, words: Sequence[str] = ("W=1",), *, jobs: int = 0
) -> None:
    """Compile the sources in a folder, of which what has not changed is not compiled again.

    `words` are for make besides. Raises InfrastructureError with the first errors if that fails;
    warnings are in the log.
    """
    words = [*words, f"-j{jobs or parts.processors()}"]
    try:
        toolchain.of(headers).make(headers, work, words, log=log, seconds=BUILD_SECONDS)
    except diskroom.FullError:
        raise
    except InfrastructureError as error:
        if not _complaints(log):
            # make is not there, or did not end: that is all that there is to say.
            raise
        raise _unbuilt(headers.release, log) from error


def strip(made: Path, target: Path, log: Path) -> None:
    """Copy a module without what only a debugger wants."""
    argv = ["objcopy", "--strip-debug", str(made), str(target)]
    command.run(argv, what="the module", log=log, seconds=_STRIP_SECONDS)


def _complaints(log: Path) -> list[str]:
    lines = log.read_text(errors="replace").splitlines()
    return [
        line
        for line in lines
        if any(word in line for word in _ERRORS) and not any(word in line for word in _OF_HOST)
    ]


def _unbuilt(release: str, log: Path) -> InfrastructureError:
    shown = "\n".join(f"  {line}" for line in _complaints(log)[:_ERROR_LINES])
    return InfrastructureError(
        f"the module for {release} does not build without errors and warnings:\n{shown}",
        compiler.doubted(f"all of the log: {log}"),
    )
