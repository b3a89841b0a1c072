# SPDX-License-Identifier: GPL-2.0-only
"""The choice of the host's compiler, on a PATH of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import compiler, host, kernel
from harness.errors import InfrastructureError

# Answers as gcc does.
GCC = """\
#!/bin/sh
case $1 in
--version) printf '%s (Toy) {0}.3.0\\nCopyright\\n' "${{0##*/}}" ;;
-dumpversion) echo {0} ;;
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
    return folder


def install(folder: Path, name: str, version: int) -> None:
    (folder / name).write_text(GCC.format(version))
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
    assert (host.where(gcc), gcc.package) == (str(programs / "gcc-12"), "gcc-12")
    assert host.version(gcc) == "gcc-12 (Toy) 12.3.0"


def test_the_user_chooses(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(programs, "gcc-12", 12)
    install(programs, "gcc-99", 99)
    monkeypatch.setenv(compiler.VARIABLE, str(programs / "gcc-99"))
    assert compiler.identity() == f"{programs}/gcc-99: gcc-99 (Toy) 99.3.0"
    assert {f"GCC={programs}/gcc-99", f"HOSTCC={programs}/gcc-99 -m32"} <= set(
        kernel.make_command("dep")
    )
    assert {need.package for need in host.load() if need.name.startswith("gcc")} == {
        "gcc-99",
        "gcc-99-multilib",
    }


def test_none_works(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InfrastructureError, match="no working C compiler gcc") as caught:
        compiler.identity()
    assert caught.value.hint == "run: ./inv setup"
    monkeypatch.setenv(compiler.VARIABLE, "gcc-nowhere")
    with pytest.raises(InfrastructureError, match="gcc-nowhere") as caught:
        compiler.identity()
    assert compiler.VARIABLE in caught.value.hint


def test_doubt_falls_on_a_compiler_that_was_not_tried(programs: Path) -> None:
    install(programs, "gcc", 99)
    assert "gcc 99 has not been tried" in compiler.doubted("see the log")
    install(programs, "gcc-12", 12)
    assert compiler.doubted("see the log") == "see the log"
