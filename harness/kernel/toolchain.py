# SPDX-License-Identifier: GPL-2.0-only
"""What modules are compiled with: the host's compiler, or that of another release of Debian.

A kernel's flags are those of the compiler that made it, and its headers come with programs for the
C library of its time: an older host can run neither. A fresh root of that release can, as rooms
have one (docs/rooms.md), with the packages that its users would install.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base import command, compiler, diskroom
from harness.base.errors import InfrastructureError
from harness.debian import bootstrap, namespace
from harness.debian.namespace import Inside, Mount
from harness.kernel.debiankernel import Headers

# What such a root has besides the compiler. pahole brings the library that objtool is linked with,
# and Kbuild's W=1 of 6.12 looks at comments by a program in Perl.
TOOLS = ("make", "pahole", "perl")

# A suite of newer packages for a release, whose compiler they are made with.
BACKPORTS = "-backports"

_HEADERS, _WORK = "headers", "work"
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C"}


@dataclass(frozen=True)
class Toolchain:
    """A compiler, by what it is called: the host's, or that of the package in a `release`."""

    compiler: str
    release: str = ""

    @property
    def name(self) -> str:
        """For tables: `gcc-12`, `gcc-14 of trixie`."""
        return f"{self.compiler} of {self.release}" if self.release else self.compiler

    @property
    def identity(self) -> str:
        """A part of the fingerprint of what it makes.

        Of another release's it is not the whole version: who has made nothing with it has it not
        here, and what it makes stays the same within a major version.
        """
        return self.name if self.release else compiler.identity(self.compiler)

    def make(
        self, headers: Headers, work: Path, words: Sequence[str], *, log: Path, seconds: float
    ) -> None:
        """Run make in the folder `work`, which is alone in its own, with these words and KDIR.

        Raises InfrastructureError if it fails or does not end, if there can be no such root, or no
        room for it.
        """
        if not self.release:
            argv = ["make", "-C", str(work), f"KDIR={headers.path}", f"CC={self.compiler}", *words]
            command.run(argv, what="the module", log=log, seconds=seconds, into=work)
            return
        root = work.with_name(f"{work.name}.root")
        root.mkdir()
        try:
            self._make_in(root, headers, work, words, log=log, seconds=seconds)
        finally:
            namespace.remove(root)

    def _make_in(
        self,
        root: Path,
        headers: Headers,
        work: Path,
        words: Sequence[str],
        *,
        log: Path,
        seconds: float,
    ) -> None:
        bootstrap.lay_out(self.release, [self.compiler, *TOOLS], root)
        mounts = []
        for source, name in ((headers.root, _HEADERS), (work, _WORK)):
            (root / name).mkdir()
            mounts.append(Mount(source, root / name, read_only=name == _HEADERS))
        kdir = f"/{_HEADERS}/{headers.path.relative_to(headers.root)}"
        # Its headers name the compiler themselves.
        inside = Inside(root, tuple(mounts))
        argv = ["make", "-C", f"/{_WORK}", f"KDIR={kdir}", *words]
        outcome = namespace.run(
            inside, shlex.join(argv), log=log, seconds=seconds, env=_ENVIRONMENT
        )
        if outcome.status == 0:
            return
        if full := diskroom.full("the module", log.read_text(errors="replace"), work):
            raise full
        ended = f"was still running after {seconds:g} s" if outcome.late else "failed"
        raise InfrastructureError(
            f"the module: make in a root of {self.release} {ended}", f"all of the log: {log}"
        )


def of(headers: Headers) -> Toolchain:
    """That for modules of the kernel with these headers.

    Raises InfrastructureError if the host's compiler cannot be run.
    """
    if not headers.compiler:
        return Toolchain(compiler.name())
    own = compiler.for_kernel(headers.compiler)
    if own:
        return Toolchain(own)
    return Toolchain(f"gcc-{headers.compiler}", base(headers.suite))


def base(suite: str) -> str:
    """The release that the packages of a suite are made on (pure)."""
    return suite.removesuffix(BACKPORTS)
