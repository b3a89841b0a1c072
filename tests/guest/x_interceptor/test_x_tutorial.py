# SPDX-License-Identifier: GPL-2.0-only
"""P1, X5. The commands of docs/tutorial.md, and of README's five minutes, print what is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.guest.shell import Shell
from harness.image import sysroot
from harness.matrix import kernels, variants
from tests.guest.support import shown
from tests.guest.support.shown import Shown

statement = pytest.mark.statement
needs = pytest.mark.needs

TUTORIAL, README = "docs/tutorial.md", "README.md"
# The reference has not got this, and each kernel of today has; the output differs between these.
OF_TODAY = "modern-stack"

# Of an echo of 84 bytes at 1,000 bytes a second: the request and the reply.
SHAPED_MS = 2 * 84


def _runs(*, with_program: bool) -> list[Any]:
    """The commands that run something in a guest, each where its output is of such a kernel."""
    found = []
    for document in (README, TUTORIAL):
        for each in shown.commands(document):
            if each.words[0] != "run" or bool(each.option("--put")) != with_program:
                continue
            kernel = variants.named(each.option("--variant")).kernel
            need = f"no {OF_TODAY}" if kernel == kernels.REFERENCE else OF_TODAY
            words = (Path(document).stem, kernel, Path(each.option("--put")).name)
            found.append(pytest.param(each, marks=needs(need), id="-".join(filter(None, words))))
    return found


def _output(each: Shown, shell: Shell) -> str:
    """What it prints: a program of it may still hold its output open, in the background."""
    return shell.run(f"cd /root; {{ {each.line}; }} >/tmp/output 2>&1; cat /tmp/output").stdout


@statement("X5/run")
@pytest.mark.parametrize("each", _runs(with_program=True))
def test_a_program_prints_what_is_shown(each: Shown, shell: Shell, tmp_path: Path) -> None:
    name = each.option("--put")
    target = tmp_path / Path(name).name
    source = shown.sources(each.document)[name]
    sysroot.compile_for_user(str(source), flags=["-Wall", "-Werror"], output=str(target))
    shell.put(target, f"/root/{target.name}", mode=0o755)
    output = _output(each, shell)
    assert shown.without_times(output) == shown.without_times(each.output)
    if target.name == "shape":
        assert min(shown.times(output)) >= SHAPED_MS
        assert min(shown.times(each.output)) >= SHAPED_MS


@statement("P1/dropped")
@pytest.mark.parametrize("each", _runs(with_program=False))
def test_without_a_program_it_prints_what_is_shown(each: Shown, shell: Shell) -> None:
    assert shown.without_times(_output(each, shell)) == shown.without_times(each.output)
