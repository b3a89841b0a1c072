# SPDX-License-Identifier: GPL-2.0-only
"""The choice of the host's compiler, on a PATH of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base import compiler
from harness.base.errors import InfrastructureError
from harness.host import host
from harness.kernel import kernel

# Answers as gcc does.
GCC = """\
#!/bin/sh
case $1 in
--version) printf '%s (Toy) {0}.3.0\\nCopyright\\n' "${{0##*/}}" ;;
-dumpversion) echo {0} ;;
-print-multiarch) echo {1} ;;
-print-file-name=*) echo /lib/gcc/{0}/${{1#*=}} ;;
*) exit 1 ;;
esac
"""


@pytest.fixture(name="programs", autouse=True)
def _programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with a shell and no compiler."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv(compiler.VARIABLE, raising=False)
    compiler._ask.cache_clear()
    compiler._warn.cache_clear()
    return folder


def install(folder: Path, name: str, version: int, triplet: str = "x86_64-linux-gnu") -> None:
    (folder / name).write_text(GCC.format(version, triplet))
    (folder / name).chmod(0o755)


def test_the_one_that_was_tried_comes_first(programs: Path) -> None:
    assert compiler.name() == "gcc"
    install(programs, "gcc", 14)
    assert compiler.name() == "gcc"
    install(programs, "gcc-12", 12)
    assert compiler.name() == "gcc-12"
    assert compiler.identity() == "gcc-12: gcc-12 (Toy) 12.3.0"
    assert compiler.ask("-print-file-name=include") == "/lib/gcc/12/include"
    (gcc,) = (need for need in host.load() if need.name == "gcc")
    assert host.where(gcc) == str(programs / "gcc-12")
    assert host.version(gcc) == "gcc-12 (Toy) 12.3.0"


def test_the_user_chooses(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(programs, "gcc-12", 12)
    install(programs, "gcc-99", 99)
    monkeypatch.setenv(compiler.VARIABLE, str(programs / "gcc-99"))
    assert compiler.identity() == f"{programs}/gcc-99: gcc-99 (Toy) 99.3.0"
    assert f"GCC={programs}/gcc-99" in kernel.make_command("dep")


def test_one_place_says_how_32_bit_code_is_compiled(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The headers of asm/ are in the folder of the 64-bit architecture; others have no such."""
    install(programs, "gcc", 12)
    words = ["gcc", "-m32", "-idirafter", "/usr/include/x86_64-linux-gnu"]
    assert compiler.for_32_bit() == words
    assert f"HOSTCC={' '.join(words)}" in kernel.make_command("dep")
    install(programs, "gcc-12", 12, triplet="")
    assert compiler.for_32_bit() == ["gcc-12", "-m32"]


def test_it_is_asked_in_a_clean_environment(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (programs / "gcc").write_text('#!/bin/sh\necho "$CPATH$LANG$GCC_EXEC_PREFIX$LC_ALL"\n')
    (programs / "gcc").chmod(0o755)
    for name in ("CPATH", "LANG", "GCC_EXEC_PREFIX", "LC_ALL"):
        monkeypatch.setenv(name, "de")
    assert compiler.ask("--version") == "C"


def test_none_works(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InfrastructureError, match="no working C compiler gcc") as caught:
        compiler.identity()
    assert caught.value.hint == "run: ./inv setup"
    monkeypatch.setenv(compiler.VARIABLE, "gcc-nowhere")
    with pytest.raises(InfrastructureError, match="gcc-nowhere") as caught:
        compiler.identity()
    assert compiler.VARIABLE in caught.value.hint


@pytest.mark.parametrize("version", [11, 12, 13, 16])
def test_a_compiler_among_those_tried_is_not_spoken_of(
    version: int, programs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(programs, "gcc", version)
    compiler.identity()
    assert compiler.doubted("see the log") == "see the log"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("version", [10, 99])
def test_another_is_used_and_warned_of_once(
    version: int, programs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(programs, "gcc", version)
    for _ in range(2):
        compiler.identity()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: gcc is version {version}, and versions 11 to 16 have been")
    assert f"gcc is version {version}" in compiler.doubted("see the log")
