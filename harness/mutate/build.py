# SPDX-License-Identifier: GPL-2.0-only
"""Mutated kernels and images, each built where the one before was, so that a second is enough."""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness.base import paths, terminal
from harness.base.errors import InfrastructureError
from harness.image import image
from harness.image.image import Image
from harness.kernel import kernel
from harness.kernel.kernel import Kernel
from harness.matrix import kernelconfig
from harness.matrix.variants import Variant
from harness.mutate.edit import ENCODING, Edit
from harness.upstream import patches, sources, worktree


class DoesNotBuildError(InfrastructureError):
    """A mutant that is no program: its row in the list has to be mended."""


class SameError(InfrastructureError):
    """A mutant that is, on this variant, the kernel without it: there is nothing to test."""


# What a tree was made of, beside it; it is there when the tree is whole.
_STAMP = "kernel"
# The tree's own files that a mutant may change, as they were.
_PRISTINE = "pristine"


class Tree:
    """A compiled tree of one variant, in `folder`; only what a mutant changes is compiled anew.

    It is none of the cache: what is built here never gets a fingerprint.
    """

    def __init__(self, variant: Variant, folder: Path, given: Sequence[str] = ()) -> None:
        """Make the tree, unless it is there from an earlier run.

        Raises InfrastructureError if what comes out is not, byte for byte, the kernel that is
        tested without a mutant.
        """
        self.control = kernel.build(variant, given=given)
        self._what = f"kernel {variant.name}"
        self._tree = folder / "tree"
        self._folder = folder
        self._log = folder / "log"
        stamp = folder / _STAMP
        if not stamp.is_file() or stamp.read_text() != self.control.folder.name:
            terminal.say(f"{self._what}: making a tree for mutants")
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            self._make(variant, given)
            stamp.write_text(self.control.folder.name)
        self._restore()

    def _make(self, variant: Variant, given: Sequence[str]) -> None:
        series = patches.load_parts(kernel.SOURCE, variant.series)
        kernel.prepare(sources.obtain(kernel.SOURCE, given), series, self._tree, self._log)
        options = kernelconfig.overlaid(kernelconfig.compose(variant.fragments), variant.changes)
        kernel.configure(options, self._tree, self._log, what=self._what)
        worktree.even(self._tree)
        self._compile(self._what)
        if not self._is_control():
            raise InfrastructureError(
                f"what {self._tree} makes is not {self.control.bzimage}",
                "two builds of the same source have to be the same",
            )
        for part in series:
            for name in part.touched():
                if (self._tree / name).is_file():
                    kept = self._folder / _PRISTINE / name
                    kept.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(self._tree / name, kept)

    def build(self, edit: Edit, folder: Path, what: str) -> Kernel:
        """The kernel with the edit, copied to `folder`.

        Raises DoesNotBuildError with the compiler's first errors; SameError if all that was
        changed is C, and the kernel the same byte for byte.
        """
        self._restore()
        kept = self._folder / _PRISTINE / edit.file
        if not kept.is_file():
            raise InfrastructureError(f"{self._what} has no {edit.file}")
        self._write(edit.file, edit.apply(kept.read_text(encoding=ENCODING)))
        try:
            self._compile(what)
        except InfrastructureError as error:
            raise DoesNotBuildError(error.message, error.hint) from error
        if edit.file.endswith((".c", ".h")) and self._is_control():
            raise SameError(f"{what} makes no other kernel")
        folder.mkdir(parents=True)
        kernel.keep(self._tree, folder)
        return Kernel(
            variant=self.control.variant,
            folder=folder,
            bzimage=folder / "bzImage",
            system_map=folder / "System.map",
            config=folder / "config",
            objects=folder / "objects",
            seconds=0.0,
            cached=False,
        )

    def _is_control(self) -> bool:
        made = self._tree / "arch/i386/boot/bzImage"
        return filecmp.cmp(made, self.control.bzimage, shallow=False)

    def _compile(self, what: str) -> None:
        jobs = len(os.sched_getaffinity(0))
        more = self.control.variant.make
        kernel.compile_image(self._tree, self._log, what=what, jobs=jobs, more=more)

    def _restore(self) -> None:
        # All of them: an earlier run may have been ended anywhere.
        pristine = self._folder / _PRISTINE
        for kept in pristine.rglob("*"):
            if kept.is_file():
                name = kept.relative_to(pristine).as_posix()
                text = kept.read_text(encoding=ENCODING)
                if (self._tree / name).read_text(encoding=ENCODING) != text:
                    self._write(name, text)

    def _write(self, name: str, text: str) -> None:
        path = self._tree / name
        # The file may be a link into the unpacked source.
        path.unlink(missing_ok=True)
        path.write_text(text, encoding=ENCODING)


@contextmanager
def _patches_in(folder: Path) -> Iterator[None]:
    """Look for series in `folder` instead of the checkout's."""
    before = paths.PATCHES
    paths.PATCHES = folder
    try:
        yield
    finally:
        paths.PATCHES = before


def build_image(series: Path, given: Sequence[str]) -> Image:
    """The guest's image, made with the series in the folder `series` (mutate_edit.write).

    Raises DoesNotBuildError if a part does not build, which it does without the mutant.
    """
    image.build(given=given)
    with _patches_in(series):
        try:
            return image.build(given=given)
        except InfrastructureError as error:
            raise DoesNotBuildError(error.message, error.hint) from error
