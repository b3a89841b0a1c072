# SPDX-License-Identifier: GPL-2.0-only
"""The C programs of tests/programs, each compiled for the guest and kept by its fingerprint."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.base import datafile, fingerprint, paths, store
from harness.base.datafile import Fault, Schema, Table
from harness.base.errors import InfrastructureError
from harness.image import sysroot
from harness.kernel import parts

FOLDER = paths.TESTS / "programs"


class _Row(Table, frozen=True, kw_only=True):
    """What the file says of a program."""

    sources: tuple[str, ...]
    flags: tuple[str, ...]
    warnings: bool
    instead_of: str = ""


DATA = Schema(dict[str, _Row], "tests/programs/programs.toml")


@dataclass(frozen=True)
class Program:
    """A program as programs.toml describes it; `sources` are paths below this folder.

    One that is `instead_of` another is for images that lack that one, and found by its name too.
    """

    name: str
    sources: tuple[str, ...]
    flags: tuple[str, ...]
    warnings: bool
    instead_of: str = ""


def load() -> tuple[Program, ...]:
    """Every program, in the order of the data file. Raises UserError if it is not as it says."""
    said = DATA.read()
    DATA.refuse(_wrong(said))
    return tuple(
        Program(name, row.sources, row.flags, row.warnings, row.instead_of)
        for name, row in said.items()
    )


def _wrong(said: Mapping[str, _Row]) -> Iterator[Fault]:
    for name, row in said.items():
        for number, source in enumerate(row.sources):
            if not (FOLDER / source).is_file():
                yield Fault((name, "sources", number), f"there is no {source}")
        if row.instead_of:
            yield from datafile.among((name, "instead_of"), row.instead_of, parts.load())


def build(root: sysroot.Sysroot, present: Collection[str]) -> list[parts.Built]:
    """The programs as usr/bin/<name>, compiled if one or a header beside it has changed.

    Left out are those that are instead of a part of the image that is `present`.

    Raises InfrastructureError with the compiler's messages if one does not compile, or compiles
    with a warning where programs.toml wants none.
    """
    return [_build(program, root) for program in load() if program.instead_of not in present]


def _build(program: Program, root: sysroot.Sysroot) -> parts.Built:
    sources = [FOLDER / name for name in program.sources]
    print_ = fingerprint.of_bytes(
        root.fingerprint,
        repr(program),
        fingerprint.of_files(FOLDER, [*sources, *FOLDER.rglob("*.h")]),
    )

    def make(folder: Path) -> None:
        target = folder / "out" / "usr" / "bin" / program.name
        target.parent.mkdir(parents=True)
        done = root.compile(sources, target, ["-O2", "-s", *program.flags])
        if not done.succeeded or (done.messages and program.warnings):
            raise InfrastructureError(
                f"the test program {program.name} does not compile"
                f"{' without warnings' if done.succeeded else ''}:\n{done.messages.rstrip()}",
                f"its source is in {FOLDER.relative_to(paths.ROOT)}",
            )

        if program.instead_of:
            link = folder / "out" / "sbin" / program.instead_of
            link.parent.mkdir()
            link.symlink_to(f"../usr/bin/{program.name}")

    entry = store.obtain("program", print_, make, f"the test program {program.name}")
    return parts.Built(program.name, entry.path / "out", print_, entry.seconds, entry.cached)
