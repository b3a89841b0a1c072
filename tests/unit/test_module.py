# SPDX-License-Identifier: GPL-2.0-only
"""The kernel module: its header for programs, its list of files, and whether it builds.

It is built against the headers of every kernel that this host or the harness's cache has, once for
each state of module/.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest

from harness import compiler, fingerprint, paths, store

MODULE = paths.ROOT / "module"
PROGRAMS = paths.TESTS / "programs"
SECONDS = 240.0


def kernel_headers() -> list[Path]:
    """Build folders of kernels: installed ones, and those that the harness has unpacked."""
    cached = paths.cache_dir() / "distribution"
    found = [
        *Path("/usr/src").glob("linux-headers-*-amd64"),
        *cached.glob("*/headers/usr/src/linux-headers-*-amd64"),
    ]
    return sorted(path for path in found if (path / "Module.symvers").is_file())


def test_every_source_is_built() -> None:
    lines = re.findall(r"^divert-y [:+]= (.*)$", (MODULE / "Kbuild").read_text(), re.MULTILINE)
    objects = " ".join(lines).split()
    assert sorted(objects) == sorted(path.with_suffix(".o").name for path in MODULE.glob("*.c"))


@pytest.mark.parametrize("path", [path.name for path in sorted(MODULE.iterdir())])
def test_files_say_their_licence_and_are_short(path: str) -> None:
    if not (MODULE / path).is_file() or path.endswith(".md"):
        return
    lines = (MODULE / path).read_text().splitlines()
    assert "SPDX-License-Identifier: GPL-2.0-only" in lines[0]
    assert len(lines) <= 300


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("abi", ["-m32", "-std=gnu99", "-Wall", "-Wextra", "-Werror"]),
        ("abi", ["-m64", "-std=gnu99", "-Wall", "-Wextra", "-Werror"]),
        ("howto", ["-m32", "-std=gnu89", "-w"]),
    ],
)
def test_programs_for_the_reference_compile_with_the_header(
    name: str, flags: list[str], tmp_path: Path
) -> None:
    """R4, X5: beside the C library's headers, in the C of the year 2000 too."""
    done = subprocess.run(
        [
            *(compiler.name(), *flags, "-isystem", str(MODULE / "include")),
            *("-c", str(PROGRAMS / f"{name}.c"), "-o", str(tmp_path / "object")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def build(headers: Path, folder: Path) -> None:
    """Build a copy of the module with all of the kernel's warnings, of which there must be none."""
    copy = folder / "module"
    shutil.copytree(
        MODULE, copy, ignore=shutil.ignore_patterns("*.o", "*.ko", "*.mod*", ".*", "Module.symvers")
    )
    done = subprocess.run(
        ["make", f"-j{os.cpu_count() or 1}", f"KDIR={headers}", "W=1"],
        cwd=copy,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={**os.environ, "LC_ALL": "C", "MAKEFLAGS": ""},
        check=False,
    )
    messages = done.stdout + done.stderr
    assert done.returncode == 0, messages
    assert "warning" not in messages.lower(), messages
    assert (copy / "divert.ko").is_file()
    shutil.rmtree(copy)


def test_builds_without_a_warning() -> None:
    found = kernel_headers()
    if not found:
        pytest.skip("no kernel's headers here: install linux-headers-amd64")
    for headers in found:
        print_ = fingerprint.of_bytes(fingerprint.of_tree(MODULE), str(headers))
        store.obtain("module-check", print_, partial(build, headers), "the module")
