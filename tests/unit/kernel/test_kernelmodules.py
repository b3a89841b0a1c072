# SPDX-License-Identifier: GPL-2.0-only
"""Modules: what they need has to be exported, by the kernel or by one of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.base.errors import InfrastructureError
from harness.kernel import kernelmodules


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A kernel that exports `wide` and has `narrow`; a module that exports `deep` needs wide."""
    (tmp_path / "modules").mkdir()
    compiled(tmp_path / "vmlinux", "int wide, narrow, __ksymtab_wide;")
    compiled(tmp_path / "modules/one.o", "extern int wide; int deep, __ksymtab_deep, *at = &wide;")
    return tmp_path


def compiled(target: Path, text: str) -> None:
    source = target.with_suffix(".c")
    source.write_text(text)
    subprocess.run(["cc", "-c", "-o", str(target), str(source)], check=True)


def test_what_is_exported_can_be_needed(tree: Path) -> None:
    compiled(
        tree / "modules/two.o",
        "extern int wide, deep, __this_module;int *at[] = { &wide, &deep, &__this_module };",
    )
    kernelmodules.check(tree, tree / "log", "kernel x")


def test_what_is_not_exported_is_told(tree: Path) -> None:
    compiled(tree / "modules/two.o", "extern int narrow, none; int *at[] = { &narrow, &none };")
    with pytest.raises(InfrastructureError) as caught:
        kernelmodules.check(tree, tree / "log", "kernel x")
    assert str(caught.value) == (
        "kernel x: modules need what the kernel does not export:\n"
        "  two.o needs narrow\n  two.o needs none"
    )


def test_those_of_an_earlier_configuration_are_forgotten(tree: Path) -> None:
    kernelmodules.forget(tree)
    assert kernelmodules.of(tree) == []
