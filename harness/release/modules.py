# SPDX-License-Identifier: GPL-2.0-only
"""The module of module/ for all of Debian's kernels that it is for, whether or not a guest boots
them here (SPEC.md M13).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from harness.base import terminal
from harness.base.errors import HarnessError, InfrastructureError, UserError
from harness.debian import packages
from harness.kernel import debiankernel, module, toolchain
from harness.kernel.module import Module
from harness.matrix import kernels, suites, variants
from harness.matrix.kernels import Kernel


@dataclass(frozen=True)
class Built:
    """The module for one kernel, of this release and by this compiler; or why there is none."""

    kernel: Kernel
    release: str = ""
    compiler: str = ""
    module: Module | None = None
    error: HarnessError | None = None


def every() -> list[Kernel]:
    """Debian's kernels as its packages have them, in the order of kernels.toml."""
    return [row for row in kernels.load().values() if row.package and not row.source_package]


def of_host(rows: Iterable[Kernel], codename: str) -> list[Kernel]:
    """Those that a host of this release has the compiler for, or is meant to test (pure)."""
    return [
        row for row in rows if not row.optional or toolchain.base(row.suite(codename)) == codename
    ]


def build(rows: Iterable[Kernel]) -> Iterator[Built]:
    """Build it for each, one after another; what cannot be built stops no other."""
    for row in rows:
        release = compiler = ""
        try:
            headers = debiankernel.headers(row)
            release, tools = headers.release, toolchain.of(headers)
            compiler = tools.name
            yield Built(row, release, compiler, module.build(headers))
        except HarnessError as error:
            yield Built(row, release, compiler, error=error)


def report(names: str | None) -> None:
    """Build it for the kernels with these names, with commas between, or all; print a table.

    And, for all, what the data does not know. Raises UserError for an unknown name,
    InfrastructureError if it does not build for one, or cannot be tried.
    """
    rows = every()
    if names is not None:
        wanted = variants.kernel_names(names)
        if strange := [name for name in wanted if name not in {row.name for row in rows}]:
            known = ", ".join(row.name for row in rows)
            raise UserError(f"{strange[0]} is no kernel of Debian's packages", f"known: {known}")
        rows = [row for row in rows if row.name in wanted]
    table = terminal.Grid("kernel", "release", "suite", "compiler", "module")
    failed: list[str] = []
    codename = packages.host_release().codename
    for built in build(rows):
        row, error = built.kernel, built.error
        took = "(before)" if built.module and built.module.cached else "built"
        if error:
            took = "NOT BUILT"
            failed.append(f"{row.name}: {error}")
        table.row(row.name, built.release, row.suite(codename), built.compiler, took)
    terminal.show(table)
    for line in remarks(suites.load().suites if names is None else ()):
        terminal.show(line)
    if failed:
        raise InfrastructureError("\n".join(failed))


def remarks(asked: Iterable[str]) -> list[str]:
    """What is to be said of these suites: kernels that the data does not know of, or lacks."""
    debian = suites.load()
    lines = [f"kernels.toml has no row for {each}" for each in suites.missing(debian)]
    found, unasked = suites.differences(debian, set(asked))
    lines += [f"{each}; the module was last tried on {debian.day}" for each in found]
    return [*lines, *(f"it is not known what {each}" for each in unasked)]
