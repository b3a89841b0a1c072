# SPDX-License-Identifier: GPL-2.0-only
"""Compiling for the guest: what a user sees of it, with a sysroot that stands in for the real one.

That the headers of the real one agree is checked whenever it is made (images/sysroot/check.c).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.base import compiler, paths
from harness.base.errors import InfrastructureError, MissingSourceError, UserError
from harness.image import guestprograms, sysroot
from tests.unit.programs.test_c_programs import sources_there

# A compiler that knows two words: `good`, and anything else.
COMPILER = """\
#!/bin/sh
for word do
	case $word in *.c | *.cc) source=$word ;; esac
	[ "$last" != -o ] || output=$word
	last=$word
done
grep -q good "$source" || { echo "$source:1: error: not good"; exit 1; }
grep -q warned "$source" && echo "$source:1: warning: hm"
echo "$*" >"$output"
"""


@pytest.fixture(name="root", autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> sysroot.Sysroot:
    folder = tmp_path / "sysroot"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "cc").write_text(COMPILER)
    (folder / "bin" / "cc").chmod(0o755)
    root = sysroot.Sysroot(folder, "fingerprint", 0.0, cached=True)
    monkeypatch.setattr(sysroot, "build", lambda *, given: root)
    monkeypatch.setenv("DIVERT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return root


def test_output_is_named_after_the_source(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "prog.c").write_text("good")
    sysroot.compile_for_user("prog.c", flags=["-DA -DB", "-O3"], output=None)
    words = (tmp_path / "prog").read_text().split()
    assert words[: len(sysroot.PERMISSIVE)] == list(sysroot.PERMISSIVE)
    # The user's flags come after ours, so that -std=gnu17 is what holds.
    assert words[len(sysroot.PERMISSIVE) : -3] == ["-DA", "-DB", "-O3"]
    assert "prog: a static program for the guest" in capfd.readouterr().err


@pytest.mark.parametrize("ending", sysroot.PLUS_PLUS_ENDINGS)
def test_a_file_of_cplusplus_is_told_by_its_ending(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"prog{ending}").write_text("good")
    (tmp_path / "sysroot/bin/cc").write_text(
        '#!/bin/sh\nfor last; do :; done\necho "$*" >"$last"\n'
    )
    sysroot.compile_for_user(f"prog{ending}", flags=["-DA"], output=None)
    words = (tmp_path / "prog").read_text().split()
    assert words[: len(sysroot.PLUS_PLUS) + 1] == [*sysroot.PLUS_PLUS, "-DA"]


def test_a_host_without_cplusplus_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiler, "name", lambda: "/usr/bin/gcc-12")
    monkeypatch.setattr(compiler, "ask", lambda question: question.partition("=")[2])
    (tmp_path / "prog.cc").write_text("bad")
    with pytest.raises(InfrastructureError, match=r"without C\+\+") as caught:
        sysroot.compile_for_user("prog.cc", flags=[], output=None)
    assert caught.value.hint == "as root, run: apt-get install g++-12"
    monkeypatch.setattr(compiler, "ask", lambda _question: "/usr/lib/gcc/12/cc1plus")
    with pytest.raises(UserError, match=r"prog\.cc does not compile"):
        sysroot.compile_for_user("prog.cc", flags=[], output=None)


def test_warnings_are_shown_and_no_failure(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "prog.c").write_text("good warned")
    sysroot.compile_for_user("prog.c", flags=[], output="else")
    assert (tmp_path / "else").is_file()
    assert "warning: hm" in capfd.readouterr().err


def test_bad_c_is_the_users_and_leaves_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "prog.c").write_text("bad")
    with pytest.raises(UserError, match=r"prog\.c does not compile"):
        sysroot.compile_for_user("prog.c", flags=[], output=None)
    assert "error: not good" in capfd.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"prog.c", "sysroot"}


@pytest.mark.parametrize(
    ("program", "output", "message"),
    [
        ("absent.c", None, "there is no file absent.c"),
        ("prog.c", "prog.c", "the source itself"),
        ("prog.c", "nowhere/prog", "there is no folder nowhere"),
        ("prog.c", "sysroot", "is a folder"),
        ("prog", None, "the source itself"),
        ("sysroot", None, "there is no file sysroot"),
    ],
)
def test_mistakes_are_named(program: str, output: str | None, message: str, tmp_path: Path) -> None:
    (tmp_path / "prog.c").write_text("good")
    (tmp_path / "prog").write_text("good")
    with pytest.raises(UserError, match=message):
        sysroot.compile_for_user(program, flags=[], output=output)
    assert (tmp_path / "prog.c").read_text() == "good"


def test_flags_that_a_shell_would_refuse(tmp_path: Path) -> None:
    (tmp_path / "prog.c").write_text("good")
    with pytest.raises(UserError, match="--flags"):
        sysroot.compile_for_user("prog.c", flags=["-DX='half"], output=None)


def test_without_the_kernels_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*, given: Sequence[str]) -> sysroot.Sysroot:
        raise MissingSourceError(f"it is not at {given}", "put it there")

    monkeypatch.setattr(sysroot, "build", missing)
    (tmp_path / "prog.c").write_text("good")
    with pytest.raises(MissingSourceError, match="=elsewhere"):
        sysroot.compile_for_user("prog.c", flags=[], output=None, given=["linux-2.2.12=elsewhere"])


def test_includes_are_reversed_in_place() -> None:
    text = "#include <a.h>\nint x;\n#include <b.h>\n#include <c.h>\n"
    assert sysroot.reordered(text) == ("#include <c.h>\nint x;\n#include <b.h>\n#include <a.h>\n")


def test_check_includes_every_header_of_ours() -> None:
    text = sysroot.CHECK.read_text()
    names = {path.relative_to(sysroot.COMPATIBLE) for path in sysroot.COMPATIBLE.rglob("*.h")}
    named = {name for name in names if f"#include <{name}>" in text}
    # Those that the libc's headers include themselves, or our own do.
    assert {str(name) for name in names - named} == {"sysroot-features.h", "sys/cdefs.h"}


def test_every_program_is_described(root: sysroot.Sysroot) -> None:
    known = guestprograms.load()
    used = {source for program in known for source in program.sources}
    assert used == sources_there()
    assert len({program.name for program in known}) == len(known)


@pytest.mark.parametrize(
    ("text", "warnings", "message"),
    [
        ("bad", False, r"does not compile:\n.*not good"),
        ("good warned", True, r"does not compile without warnings:\n.*hm"),
        ("good warned", False, None),
        ("good", True, None),
    ],
)
def test_programs_compile_without_warnings(
    text: str,
    warnings: bool,
    message: str | None,
    root: sysroot.Sysroot,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "toy.c").write_text(text)
    monkeypatch.setattr(guestprograms, "FOLDER", folder)
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    toy = guestprograms.Program("toy", ("toy.c",), (), warnings)
    monkeypatch.setattr(guestprograms, "load", lambda: (toy,))
    if message:
        with pytest.raises(InfrastructureError, match=message):
            guestprograms.build(root, ())
    else:
        (built,) = guestprograms.build(root, ())
        assert (built.folder / "usr/bin/toy").is_file()
