# SPDX-License-Identifier: GPL-2.0-only
"""S1. The number of divert sockets in the headers that programs include."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base import command, compiler
from harness.image import sysroot
from harness.kernel import kernel
from harness.run.worker import WorkerSpec

statement = pytest.mark.statement

OWN = "#define IPPROTO_DIVERT 254\n"
# What a program of the time may do beside including the header.
PROGRAMS = {
    "alone": "{include}",
    "before": OWN + "{include}",
    "behind": "{include}" + OWN,
    "unless": "{include}#ifndef IPPROTO_DIVERT\n" + OWN + "#endif\n",
}
REST = """\
typedef char number_is_right[IPPROTO_DIVERT == 254 ? 1 : -1];
int main(void) { return IPPROTO_DIVERT - 254; }
"""
# What the kernel's header takes for granted, and the libc's <sys/socket.h> has.
SOCKET = "typedef unsigned short sa_family_t;\n"
WARNINGS = ("-Wall", "-Wextra", "-Werror")
SECONDS = 60.0


@pytest.fixture(name="source", params=PROGRAMS)
def _source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"{request.param}.c"


def write(source: Path, header: str) -> None:
    """Write the program named as the file is, with that header."""
    text = PROGRAMS[source.stem].format(include=f"#include <{header}>\n")
    source.write_text(text + REST)


@statement("S1/headers")
@pytest.mark.parametrize("header", ["netinet/in.h", "linux/in.h"])
def test_programs_for_the_guest(header: str, source: Path, worker_spec: WorkerSpec) -> None:
    write(source, header)
    done = sysroot.build(given=worker_spec.given).compile(
        [source], source.with_suffix(""), WARNINGS
    )
    assert (done.succeeded, done.messages) == (True, "")


@statement("S1/headers")
def test_the_patched_kernels_own_header(source: Path, worker_spec: WorkerSpec) -> None:
    """As a program has it with the patched tree's headers in /usr/include/linux."""
    write(source, "linux/in.h")
    source.write_text(SOCKET + source.read_text())
    headers = kernel.headers(worker_spec.given)
    own = ("-fsyntax-only", "-nostdinc", "-isystem", str(headers))
    command.run(
        [*compiler.for_32_bit(), *own, *WARNINGS, str(source)],
        what="the compiler",
        log=source.with_suffix(".log"),
        seconds=SECONDS,
        cwd=source.parent,
    )
