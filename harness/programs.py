# SPDX-License-Identifier: GPL-2.0-only
"""The C programs of tests/programs, compiled for the guest."""

from __future__ import annotations

import tomllib
from pathlib import Path

from harness import fingerprint, parts, paths, store, sysroot
from harness.errors import InfrastructureError

FOLDER = paths.TESTS / "programs"
DATA = FOLDER / "programs.toml"


def build(root: sysroot.Sysroot) -> parts.Built:
    """Every program that programs.toml names, as usr/bin/<name>.

    Raises InfrastructureError with the compiler's messages if one does not compile, or compiles
    with a warning where it must not.
    """
    print_ = fingerprint.of_bytes(root.fingerprint, fingerprint.of_tree(FOLDER))

    def make(folder: Path) -> None:
        target = folder / "out" / "usr" / "bin"
        target.mkdir(parents=True)
        for name, program in tomllib.loads(DATA.read_text()).items():
            sources = [FOLDER / source for source in program["sources"]]
            done = root.compile(sources, target / name, ["-O2", "-s", *program["flags"]])
            if not done.succeeded or (done.messages and program["warnings"]):
                raise InfrastructureError(
                    f"the test program {name} does not compile"
                    f"{' without warnings' if done.succeeded else ''}:\n{done.messages.rstrip()}",
                    f"its source is in {FOLDER.relative_to(paths.ROOT)}",
                )

    entry = store.obtain("programs", print_, make, "the test programs")
    return parts.Built("programs", entry.path / "out", print_, entry.seconds, entry.cached)
