# SPDX-License-Identifier: GPL-2.0-only
"""Mutated kernels of a toy tree: each from the tree as it was, none of them in the cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base import paths
from harness.base.errors import InfrastructureError
from harness.image import image
from harness.image.image import Image
from harness.kernel import kernel
from harness.matrix import variants
from harness.mutate import build as mutate_build
from harness.mutate.build import DoesNotBuildError, SameError, Tree
from harness.mutate.edit import Edit
from tests.unit.kernel.test_kernel import given

__all__ = ["given"]

CORE = "net/ipv4/core.c"


def edit(new: str, file: str = CORE, old: str = "long core;") -> Edit:
    return Edit(f"{kernel.SOURCE}/toolchain", file, 1, (old,), (new,))


def tree(tmp_path: Path, given: list[str]) -> Tree:
    return Tree(variants.named("base"), tmp_path / "mutants", given)


def test_each_from_the_tree_as_it_was(tmp_path: Path, given: list[str]) -> None:
    built = tree(tmp_path, given)
    first = built.build(edit("char core;"), tmp_path / "1", "mutant 1")
    assert first.bzimage.read_text().endswith("char core;\n")
    assert (first.objects / "net/ipv4/core.o").is_file()
    # Nothing of the toy's kernel is made of this file.
    with pytest.raises(SameError, match="mutant 2 makes no other kernel"):
        built.build(
            edit("int two;", "net/ipv4/divert.c", "int divert;"), tmp_path / "2", "mutant 2"
        )
    assert "long core;" in built.control.bzimage.read_text()
    # The cache has the kernel without a mutant alone.
    folders = [path for path in built.control.folder.parent.iterdir() if path.is_dir()]
    assert folders == [built.control.folder]


def test_what_does_not_build_is_said_and_leaves_nothing(tmp_path: Path, given: list[str]) -> None:
    built = tree(tmp_path, given)
    with pytest.raises(DoesNotBuildError, match=r"mutant 1 does not compile:\n.*error:"):
        built.build(edit("nonsense core;"), tmp_path / "1", "mutant 1")
    again = built.build(edit("char core;"), tmp_path / "2", "mutant 2")
    assert again.bzimage.read_text().endswith("char core;\n")


def test_tree_of_an_earlier_run_serves(
    tmp_path: Path, given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    tree(tmp_path, given).build(edit("char core;"), tmp_path / "1", "mutant 1")
    capsys.readouterr()
    later = tree(tmp_path, given)
    assert "making a tree" not in capsys.readouterr().err
    later.build(edit("short core;"), tmp_path / "2", "mutant 2")
    assert (tmp_path / "2/bzImage").read_text().endswith("short core;\n")


def test_tree_of_another_series_is_made_anew(
    tmp_path: Path, given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    tree(tmp_path, given)
    overlaid = paths.PATCHES / kernel.SOURCE / "divert/overlay/net/ipv4/divert.c"
    overlaid.write_text("int other;\n")
    tree(tmp_path, given)
    assert capsys.readouterr().err.count("making a tree") == 2


def test_tree_has_to_make_the_kernel_that_is_tested(tmp_path: Path, given: list[str]) -> None:
    control = kernel.build(variants.named("base"), given=given)
    control.bzimage.write_text("another\n")
    with pytest.raises(InfrastructureError, match="two builds of the same source"):
        tree(tmp_path, given)


def test_file_of_no_patch_is_refused(tmp_path: Path, given: list[str]) -> None:
    with pytest.raises(InfrastructureError, match="kernel base has no README"):
        tree(tmp_path, given).build(edit("", "README", "A toy."), tmp_path / "1", "mutant 1")


def test_image_of_other_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Path] = []
    nothing = Image(tmp_path, tmp_path, tmp_path, seconds=0.0, cached=True)

    def build(**_: object) -> Image:
        seen.append(paths.PATCHES)
        if len(seen) == 4:
            raise InfrastructureError("does not build")
        return nothing

    monkeypatch.setattr(image, "build", build)
    before = paths.PATCHES
    assert mutate_build.build_image(tmp_path / "series", ()) is nothing
    assert seen == [before, tmp_path / "series"]
    with pytest.raises(DoesNotBuildError):
        mutate_build.build_image(tmp_path / "series", ())
    assert before == paths.PATCHES
