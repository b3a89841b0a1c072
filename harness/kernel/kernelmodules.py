# SPDX-License-Identifier: GPL-2.0-only
"""The modules of a kernel that is built here: whether each of them can be loaded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from harness.base import command
from harness.base.errors import InfrastructureError

NM_SECONDS = 60.0

# What EXPORT_SYMBOL names its entry in the table of a kernel, or of a module.
_EXPORTED = "__ksymtab_"
# What insmod makes for each.
_OWN = "__this_module"


def of(tree: Path) -> list[Path]:
    """The modules that a compiled tree has."""
    return sorted((tree / "modules").glob("*.o"))


def forget(tree: Path) -> None:
    """Take those away that an earlier configuration of the tree had."""
    for link in of(tree):
        link.unlink()


def check(tree: Path, log: Path, what: str) -> None:
    """See that the kernel, or one of them, exports all that each needs; insmod would look for it.

    Raises InfrastructureError that says which need what.
    """
    made = of(tree)
    exported = {
        symbol.removeprefix(_EXPORTED)
        for path in (tree / "vmlinux", *made)
        for symbol in _symbols(path, "--defined-only", log)
        if symbol.startswith(_EXPORTED)
    }
    lines = [
        f"  {path.name} needs {symbol}"
        for path in made
        for symbol in _symbols(path, "--undefined-only", log)
        if symbol not in exported and symbol != _OWN
    ]
    if lines:
        raise InfrastructureError(
            "\n".join([f"{what}: modules need what the kernel does not export:", *lines])
        )


def _symbols(path: Path, which: str, log: Path) -> Iterable[str]:
    begin = log.stat().st_size if log.exists() else 0
    argv = ["nm", "--format=just-symbols", which, str(path)]
    command.run(argv, what=f"nm {path.name}", log=log, seconds=NM_SECONDS)
    with log.open("rb") as stream:
        stream.seek(begin)
        # The first line is the command's.
        return stream.read().decode(errors="replace").splitlines()[1:]
