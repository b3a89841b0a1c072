# SPDX-License-Identifier: GPL-2.0-only
"""`./inv` as a process of its own, on a toy suite: nothing is downloaded, built or booted for it.

    python -m tests.unit.support.toyinv FOLDER WORD...

FOLDER has the suite (toysuite.make), and the runs come there. All else is as a user has it: the
command line, the sessions of pytest, the events, the report, the exit status.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from harness.base import cli, paths
from harness.base.errors import InfrastructureError, MissingSourceError
from harness.image import image
from harness.image.image import Image
from harness.kernel import kernel
from harness.kernel.kernel import Kernel
from harness.matrix import statements
from harness.matrix.variants import Variant
from harness.run import workerpool
from harness.upstream import sources
from harness.upstream.releases import Source

# What of a run does not work, as names in a list: missing, unbuilt, impatient.
FAULTS = "faults.json"


def main(folder: Path, words: list[str]) -> None:
    """Be `./inv` with these words. Ends as that does."""
    faults = json.loads((folder / FAULTS).read_text())
    paths.RUNS = folder / "runs"
    paths.BUILD = folder / "build"
    paths.GUEST_TESTS = folder / "suite"
    os.environ["DIVERT_CACHE"] = str(folder / "cache")
    nothing = folder / "nothing"
    shutil.which = lambda *_, **__: "/bin/sh"  # type: ignore[assignment]

    def locate(source: Source, given: Sequence[str] = ()) -> Path:
        if "missing" in faults:
            raise MissingSourceError(f"{source.name} is missing", "put it there")
        return folder

    def build(variant: Variant, **_: object) -> Kernel:
        if "unbuilt" in faults:
            raise InfrastructureError("x.c:1: error")
        return Kernel(variant, nothing, nothing, nothing, nothing, nothing, 0.0, True)

    sources.locate = locate
    kernel.build = build
    image.build = lambda **_: Image(nothing, nothing, nothing, 0.0, True)
    # What the toy suite proves is all that is owed.
    known = statements.load()
    owed = {"S1": "opens", "S2": "plain"}
    few = {
        name: replace(known[name], cases={case: known[name].cases[case]})
        for name, case in owed.items()
    }
    statements.load = lambda *_: few
    if "impatient" in faults:
        workerpool.run = partial(workerpool.run, silence=6.0)
    sys.argv[1:] = ["--search-root", str(paths.ROOT), *words]
    cli.main()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
