# SPDX-License-Identifier: GPL-2.0-only
"""A distribution's kernel, built here from its source package with a configuration of our own.

Its tools (flex, bison, the headers of libelf) come from packages too, and are not installed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base import command, compiler, complaints, fingerprint, store, terminal
from harness.base.errors import InfrastructureError
from harness.debian import packagefolder, packages
from harness.kernel import debiankernel, parts
from harness.kernel.debiankernel import Distributed, Headers
from harness.matrix import kernelconfig
from harness.matrix.kernels import Kernel

# Counts up when what this module makes of its inputs changes.
RECIPE = "1"

# Packages with what kconfig and objtool are built with; each after those that it needs. One that is
# called otherwise in other releases has both names, the newer first.
TOOLS = ("libsigsegv2", "m4", "flex", "bison", "libelf1t64|libelf1", "libelf-dev", "zlib1g-dev")

# Some minutes on two idle cores.
BUILD_SECONDS = 3600.0
_UNPACK_SECONDS = 300.0

_IMAGE = "arch/x86/boot/bzImage"
# Of the tree, all that modules are compiled with; the rest is a gigabyte.
_KEPT = (
    ".config",
    "Makefile",
    "Module.symvers",
    "arch/x86/Makefile",
    "arch/x86/include",
    "include",
    "scripts",
    "tools/objtool/objtool",
)


def obtain(kernel: Kernel) -> Distributed:
    """The kernel built from `kernel.source_package`, from the cache or in some minutes.

    Its configuration is that of its `configs`, and nothing else is set. Raises
    UnavailableError as debiankernel.obtain does, and InfrastructureError if an option does not take
    effect, the kernel does not build, or has not a module that kernels.toml names.
    """
    debiankernel.require_host(kernel)
    recipe = _Recipe(
        kernel,
        debiankernel.package(kernel, kernel.source_package),
        tuple(packages.one_of(names, debiankernel.ARCHITECTURE) for names in TOOLS),
        kernelconfig.compose(kernel.configs[1:], base=kernel.configs[0]),
    )
    entry = store.obtain("rebuilt", recipe.fingerprint, recipe.make, f"the kernel {kernel.name}")
    if not entry.cached:
        terminal.say(f"kernel {kernel.name}: built in {entry.seconds:.1f} s")
    release = (entry.path / "release").read_text().strip()
    return Distributed(
        entry.path / "bzImage",
        entry.path / "modules",
        Headers(release, entry.path / "headers", recipe.fingerprint, 0.0),
        recipe.fingerprint,
        entry.seconds,
    )


@dataclass(frozen=True)
class _Recipe:
    """All that the build needs; `make` is what the store calls."""

    kernel: Kernel
    source: packagefolder.Package
    tools: tuple[packagefolder.Package, ...]
    options: tuple[kernelconfig.Option, ...]

    @property
    def fingerprint(self) -> str:
        return fingerprint.of_bytes(
            RECIPE,
            compiler.identity(),
            kernelconfig.dump(self.options),
            *self.kernel.modules_kept,
            *(package.digest for package in (self.source, *self.tools)),
        )

    def make(self, folder: Path) -> None:
        log = command.new_log(f"kernel-{self.kernel.name}")
        terminal.say(f"kernel {self.kernel.name}: building, which takes minutes")
        work = folder / "work"
        for package in (*self.tools, self.source):
            packages.unpack(package, work, log)
        tree = work / "tree"
        # The package has the source as an archive.
        archive = work / "usr/src" / f"{self.kernel.source_package}.tar.xz"
        packages.untar(archive, tree, log, _UNPACK_SECONDS)
        environment = _environment(work)
        gcc = compiler.name()
        make = ["make", f"CC={gcc}", f"HOSTCC={gcc}", f"-j{parts.processors()}"]
        # What the file does not name is not set: the options are the same, whatever the release.
        kernelconfig.resolve(
            self.options,
            tree,
            [*make, "KCONFIG_ALLCONFIG=.config", "allnoconfig"],
            log,
            environment,
        )
        self._compile([*make, "bzImage", "modules"], tree, log, environment)
        shutil.copyfile(tree / _IMAGE, folder / "bzImage")
        shutil.copyfile(tree / "include/config/kernel.release", folder / "release")
        (folder / "modules").mkdir()
        built_in = (tree / "modules.builtin").read_text()
        names = self.kernel.modules_kept
        debiankernel.keep_modules(tree, built_in, names, folder / "modules")
        for name in _KEPT:
            target = folder / "headers" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            (tree / name).rename(target)
        shutil.rmtree(work)

    def _compile(
        self, argv: Sequence[str], tree: Path, log: Path, environment: Mapping[str, str]
    ) -> None:
        what = f"kernel {self.kernel.name}"
        try:
            command.run(argv, what=what, log=log, seconds=BUILD_SECONDS, cwd=tree, env=environment)
        except InfrastructureError as error:
            raise complaints.explained(what, error, log) from error


def _environment(work: Path) -> dict[str, str]:
    """Where make finds the tools that are unpacked in `work`, beside those of the host."""
    usr = work / "usr"
    libraries = str(usr / "lib" / "x86_64-linux-gnu")
    return {
        "PATH": f"{usr / 'bin'}:{os.environ.get('PATH', os.defpath)}",
        "LD_LIBRARY_PATH": libraries,
        "LIBRARY_PATH": libraries,
        "CPATH": str(usr / "include"),
        "M4": str(usr / "bin" / "m4"),
        "BISON_PKGDATADIR": str(usr / "share" / "bison"),
        "KBUILD_BUILD_TIMESTAMP": "1970-01-01",
        "KBUILD_BUILD_USER": "divert",
        "KBUILD_BUILD_HOST": "divert",
    }
