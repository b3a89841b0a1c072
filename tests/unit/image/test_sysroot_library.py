# SPDX-License-Identifier: GPL-2.0-only
"""What the libc lacks is put into the sysroot's copy, and main is called by way of ours."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.base import compiler
from harness.base.errors import InfrastructureError
from harness.image import sysroot_library

START = ".globl _start\n_start:\n\tcall main\n"
BEGIN = "extern int main(void);\nint __begin_main(void) { return main(); }\n"
OTHER = "int missing(void) { return 7; }\n"


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sysroot of a start code, a libc and the host's compiler; and a library of two files."""
    library = tmp_path / "library with a blank"
    library.mkdir()
    (library / "begin.c").write_text(BEGIN)
    (library / "other.c").write_text(OTHER)
    monkeypatch.setattr(sysroot_library, "LIBRARY", library)
    folder = tmp_path / "sysroot"
    for name in ("bin", "lib"):
        (folder / name).mkdir(parents=True)
    (folder / "bin/cc").write_text(f'#!/bin/sh\nexec {compiler.name()} -m32 -ffreestanding "$@"\n')
    (folder / "bin/cc").chmod(0o755)
    made(folder, START, "start.s", "start.o")
    made(folder, "int old(void) { return 1; }\n", "old.c", "old.o")
    subprocess.run(["ar", "rcs", "libc.a", "old.o"], cwd=folder / "lib", check=True)
    (folder / "lib/libutil.a").write_bytes(b"its own")
    return folder


def made(folder: Path, text: str, source: str, target: str) -> None:
    (folder / source).write_text(text)
    words = ("-c", folder / source, "-o", folder / "lib" / target)
    subprocess.run([folder / "bin/cc", *words], check=True)


def symbols(path: Path) -> set[tuple[str, str]]:
    """What nm has of a file: kind and name."""
    text = subprocess.run(["nm", path], capture_output=True, text=True, check=True).stdout
    rows = (line.split() for line in text.splitlines())
    return {(row[-2], row[-1]) for row in rows if len(row) > 1}


def test_main_is_called_by_way_of_ours(folder: Path) -> None:
    sysroot_library.add(folder)
    found = symbols(folder / "lib/start.o")
    assert {("T", "_start"), ("T", "__begin_main"), ("U", "main")} <= found
    assert ("U", "__begin_main") not in found


def test_functions_are_in_the_libc_beside_its_own(folder: Path) -> None:
    sysroot_library.add(folder)
    names = {name for _, name in symbols(folder / "lib/libc.a")}
    assert {"old", "missing"} <= names
    assert "__begin_main" not in names
    assert not (folder / "lib/other.o").exists()


def test_libraries_that_programs_name_are_there_and_empty_unless_the_libc_has_one(
    folder: Path,
) -> None:
    sysroot_library.add(folder)
    for name in sysroot_library.EMPTY:
        assert (folder / f"lib/lib{name}.a").is_file()
    assert (folder / "lib/libutil.a").read_bytes() == b"its own"
    assert symbols(folder / "lib/libdl.a") == set()


def test_what_does_not_compile_without_a_warning_is_refused(folder: Path) -> None:
    (sysroot_library.LIBRARY / "other.c").write_text(
        "int missing(void) { int unused; return 7; }\n"
    )
    with pytest.raises(InfrastructureError, match="unused"):
        sysroot_library.add(folder)
