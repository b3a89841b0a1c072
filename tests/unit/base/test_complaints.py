# SPDX-License-Identifier: GPL-2.0-only
"""Of what a failed build printed, the lines that say what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base import complaints, diskroom
from harness.base.errors import InfrastructureError

# The end of a build of 2.2.12 with bin86 1.0.1, shortened.
PROGRAM_OF_THE_TREE = """\
make[2]: Entering directory '/tree/arch/i386/boot/compressed'
tools/build -b bbootsect bsetup compressed/bvmlinux.out FLOPPY > bzImage
Root device is (0, 0)
bbootsect: Non-Minix header
make[1]: *** [Makefile:24: bzImage] Error 1
make[1]: Leaving directory '/tree/arch/i386/boot'
make: *** [arch/i386/Makefile:105: bzImage] Error 2
"""

COMPILER = """\
checking for wide characters: not found
cc -c a.c
a.c: In function 'f':
a.c:3:1: error: 'x' undeclared (first use in this function)
a.c:3:1: note: each undeclared identifier is reported only once
make: *** [Makefile:5: a.o] Error 1
"""


def test_program_of_the_tree_is_quoted() -> None:
    assert complaints.first(PROGRAM_OF_THE_TREE) == [
        "Root device is (0, 0)",
        "bbootsect: Non-Minix header",
        "make[1]: *** [Makefile:24: bzImage] Error 1",
    ]


def test_compilers_fault_comes_without_what_follows_from_it() -> None:
    assert complaints.first(COMPILER) == [
        "a.c:3:1: error: 'x' undeclared (first use in this function)"
    ]


def test_shells_linkers_and_makes_words() -> None:
    text = (
        "/bin/sh: 1: as86: not found\n"
        "x.o: undefined reference to `ppoll'\n"
        "make: *** No rule to make target 'y'.  Stop.\n"
    )
    assert complaints.first(text) == text.splitlines()


def test_no_complaint_is_made_up() -> None:
    assert complaints.first("all is well\n") == []
    assert complaints.first("") == []


def test_few_lines_are_enough() -> None:
    text = "".join(f"a.c:{number}: error: again\n" for number in range(99))
    assert len(complaints.first(text)) == complaints.SHOWN


def test_error_of_a_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.base.compiler.doubted", lambda hint: hint)
    log = tmp_path / "log"
    log.write_text("x.c:1: error: of an earlier step\n" + COMPILER)
    ended = InfrastructureError("make ended with status 2", "all of its output: log")
    begin = log.read_text().index("checking")
    error = complaints.explained("kernel x", ended, log, begin)
    assert error.message == (
        "kernel x does not compile:\n  a.c:3:1: error: 'x' undeclared (first use in this function)"
    )
    assert str(log) in error.hint
    log.write_text("")
    assert complaints.explained("kernel x", ended, log).message == f"kernel x: {ended.message}"


def test_full_disk_is_no_fault_of_the_source(tmp_path: Path) -> None:
    full = diskroom.FullError("bzImage", tmp_path)
    error = complaints.explained("kernel x", full, tmp_path / "none")
    assert isinstance(error, diskroom.FullError)
    assert error.message.startswith("kernel x: no room on the disk of")
