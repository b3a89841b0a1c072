# SPDX-License-Identifier: GPL-2.0-only
"""Programs for this machine: how they are compiled, and which C library they need."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from harness.base import compiler
from harness.base.errors import InfrastructureError, UserError
from harness.release import deb_programs, deb_recipe

PACKED = [name for recipe in deb_recipe.load() for _, name in recipe.programs]

NEEDS = """\
Dynamic Section:
  NEEDED               libc.so.6

Version References:
  required from libc.so.6:
    0x09691a75 0x00 03 GLIBC_2.2.5
    0x069691b4 0x00 02 GLIBC_2.{}
"""


@pytest.fixture(name="built", scope="module")
def _built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("programs")
    for name in PACKED:
        deb_programs.build(name, folder / name, folder / "log")
    return {name: folder / name for name in PACKED}


@pytest.mark.parametrize("name", PACKED)
def test_packed_programs_are_hardened_and_for_this_machine(
    name: str, built: dict[str, Path]
) -> None:
    said = subprocess.run(
        ["readelf", "-hldSW", built[name]],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "LC_ALL": "C"},
    ).stdout
    assert "X86-64" in said
    for word in (
        "DYN (Position-Independent Executable file)",
        "GNU_RELRO",
        "BIND_NOW",
        "libc.so.6",
    ):
        assert word in said
    for word in (".comment", ".symtab", ".debug"):
        assert word not in said


def test_the_c_library_that_they_need(built: dict[str, Path]) -> None:
    assert deb_programs.libc(list(built.values())).startswith("libc6 (>= 2.")


def test_the_newest_version_that_any_of_them_needs() -> None:
    texts = [NEEDS.format(version) for version in ("9", "34", "4")]
    assert deb_programs.needed(texts) == "libc6 (>= 2.34)"


def test_no_other_library_is_known() -> None:
    more = NEEDS.format(3).replace(
        "libc.so.6\n", "libc.so.6\n  NEEDED               libm.so.6\n", 1
    )
    for text, said in ((more, r"needs libc\.so\.6, libm\.so\.6"), ("", "needs no library")):
        with pytest.raises(InfrastructureError, match=said):
            deb_programs.needed([text])


def test_static_ones_need_nothing(tmp_path: Path) -> None:
    """As a guest's image has no C library of the host's."""
    program = tmp_path / "rules"
    deb_programs.build("rules", program, tmp_path / "log", deb_programs.STATIC)
    with pytest.raises(InfrastructureError, match="needs no library"):
        deb_programs.libc([program])


def test_what_is_no_program() -> None:
    with pytest.raises(UserError, match="there is no program nothing"):
        deb_programs.build("nothing", Path("x"), Path("log"))


def test_a_compiler_for_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "ask", lambda _question: "aarch64-linux-gnu")
    with pytest.raises(InfrastructureError, match="compiles for aarch64-linux-gnu, and rules is"):
        deb_programs.build("rules", tmp_path / "rules", tmp_path / "log")
