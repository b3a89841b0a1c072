# SPDX-License-Identifier: GPL-2.0-only
"""What was exported, built as its user builds it: by patch and make, outside the harness."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from harness.base import command, compiler, complaints, fingerprint, paths, store
from harness.base.errors import InfrastructureError
from harness.kernel import kernel
from harness.matrix import kernelconfig
from harness.matrix.variants import Variant
from harness.release.export import PATCH_OF_TODAY, Exported
from harness.upstream.sources import Verified

# The steps; rooms take the same ones.
SCRIPT = paths.ROOT / "tests" / "rooms" / "exported.sh"

# make alone takes one processor, which a machine that does much else gives it rarely.
SECONDS = 1800.0

BZIMAGE = "linux/arch/i386/boot/bzImage"


def step(name: str, made: Exported, work: Path, log: Path, arguments: Sequence[Path] = ()) -> None:
    """One step of SCRIPT below `work`. Raises InfrastructureError with what it said last."""
    # Only where the name that make knows is not that of the compiler that is meant here.
    named = {} if compiler.name() == "gcc" else {"GCC": compiler.name(), "CC": compiler.name()}
    command.run(
        ["sh", SCRIPT, name, made.folder, work, *arguments],
        what=f"the step {name} of {SCRIPT.name}",
        log=log,
        seconds=SECONDS,
        env=named,
    )


def kernel_of_today(made: Exported, source: Verified, variant: Variant) -> Path:
    """The bzImage that make builds in a fresh tree with the patch for a compiler of today.

    With the options of `variant`; from the cache if it was built before. Raises InfrastructureError
    if the patch does not apply exactly, or the kernel does not build.
    """
    options = kernelconfig.dump(kernelconfig.compose(variant.fragments))
    key = fingerprint.of_bytes(
        (made.folder / PATCH_OF_TODAY).read_bytes(),
        source.content,
        SCRIPT.read_bytes(),
        options,
        kernel.tool_versions(),
    )

    def make(folder: Path) -> None:
        log = command.new_log("exported")
        config = folder / "config"
        config.write_text(options)
        work = folder / "work"
        try:
            step("of-today", made, work, log, (source.tree, config))
        except InfrastructureError as error:
            raise complaints.explained("the exported kernel", error, log) from error
        (work / BZIMAGE).rename(folder / "bzImage")
        shutil.rmtree(work)

    return store.obtain("exported", key, make, "the exported kernel").path / "bzImage"
