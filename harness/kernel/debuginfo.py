# SPDX-License-Identifier: GPL-2.0-only
"""A distribution's kernel with types and lines, from the package that has them: some 100 MB."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness.base import command, fingerprint, store, terminal
from harness.base.errors import InfrastructureError
from harness.debian import packages
from harness.kernel import debiankernel, lines
from harness.matrix.kernels import Kernel

# Counts up when what this module makes of its inputs changes.
RECIPE = "1"

_SECONDS = 900.0
_MIB = 1 << 20


def obtain(kernel: Kernel, booted: Path) -> Path:
    """The file vmlinux with DWARF of the kernel that is `booted`; says before how much it fetches.

    Raises InfrastructureError for a kernel that is built here, or if the package's is not the same
    code; UnavailableError if it cannot be had.
    """
    if kernel.source_package:
        raise InfrastructureError(
            f"{kernel.name} is built here, without debugging information",
            "leave out --debug-info: gdb has its names, and those of the module",
        )
    release = debiankernel.headers(kernel).release
    suite = kernel.suite(packages.host_release().codename)
    name = f"linux-image-{release}-dbg"
    if size := packages.size(name, debiankernel.ARCHITECTURE, suite):
        terminal.say(f"{name}: {size / _MIB:.0f} MiB to download, once")
    package = packages.binary(name, debiankernel.ARCHITECTURE, suite)

    def make(folder: Path) -> None:
        log = command.log_of(f"{kernel.name}-dbg")
        # All of it would be the modules, too: 5 GB.
        script = 'dpkg-deb --fsys-tarfile "$0" | tar -x -C "$1" --wildcards "*/vmlinux-$2"'
        argv = ["sh", "-c", script, str(package.path), str(folder), release]
        command.run(
            argv, what=f"unpacking {package.path.name}", log=log, seconds=_SECONDS, into=folder
        )
        every = folder.rglob(f"vmlinux-{release}")
        found = [path for path in every if path.is_file() and not path.is_symlink()]
        if not found:
            raise InfrastructureError(f"{package.path.name} has no vmlinux-{release}")
        found[0].rename(folder / "vmlinux")
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)

    key = fingerprint.of_bytes(RECIPE, package.digest)
    made = store.obtain("debuginfo", key, make, f"debugging information of {kernel.name}")
    lines.require_same(booted, made.path / "vmlinux")
    return made.path / "vmlinux"
