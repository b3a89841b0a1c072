# SPDX-License-Identifier: GPL-2.0-only
"""What the session of a mutant boots: a kernel, an image or a module with the fault in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.base import paths
from harness.boot import bootable
from harness.boot.bootable import Bootable
from harness.kernel import kernel
from harness.matrix import availability, variants
from harness.matrix.variants import Variant
from harness.mutate import build, edit, modulebuild
from harness.mutate.mutants import MODULE, Mutant
from harness.run.worker import WorkerSpec

# Below build/: a folder a run, and what is kept from run to run.
FOLDER = "mutations"
# Below that: what mutants are compiled in.
TREES = "trees"


class Programs:
    """The programs of a run, each built when it is asked for; `folder` is the run's."""

    def __init__(self, folder: Path, given: tuple[str, ...]) -> None:
        self._folder = folder
        self._given = given
        self._trees: dict[str, build.Tree] = {}
        self._module_trees: dict[str, modulebuild.ModuleTree] = {}
        self._plain: dict[str, Bootable] = {}

    def of(self, mutant: Mutant, name: str, session: str) -> WorkerSpec:
        """A session of the variant `name` with a mutant, whose files are in the session's folder.

        Raises DoesNotBuildError, SameError; InfrastructureError, and UnavailableError, for a
        variant that cannot be had without a mutant either.
        """
        variant = variants.named(name)
        folder = self._folder / session
        folder.mkdir()
        what, series = f"mutant {mutant.name}", ""
        if mutant.source == MODULE:
            tree = self._module_tree(variant.kernel)
            plain = self._bootable(variant)
            built = tree.build(mutant.edit, plain, folder / "kernel", what)
        else:
            series = str(folder / "patches")
            edit.write(mutant.edit, paths.PATCHES, folder / "patches")
            built = self._reference(mutant, variant, folder, what)
        return replace(self._spec(session, built), patches=series)

    def plain(self, name: str, session: str) -> WorkerSpec:
        """A session of a variant without a mutant. Raises as `of` does."""
        return self._spec(session, self._bootable(variants.named(name)))

    def _reference(self, mutant: Mutant, variant: Variant, folder: Path, what: str) -> Bootable:
        plain = self._bootable(variant)
        if mutant.source != kernel.SOURCE:
            return replace(plain, image=build.build_image(folder / "patches", self._given))
        made = self._tree(variant).build(mutant.edit, folder / "kernel", what)
        return replace(plain, bzimage=made.bzimage, objects=made.objects)

    def _tree(self, variant: Variant) -> build.Tree:
        if variant.name not in self._trees:
            folder = paths.BUILD / FOLDER / TREES / variant.name
            self._trees[variant.name] = build.Tree(variant, folder, self._given)
        return self._trees[variant.name]

    def _module_tree(self, name: str) -> modulebuild.ModuleTree:
        if name not in self._module_trees:
            folder = paths.BUILD / FOLDER / TREES / f"{MODULE}-{name}"
            self._module_trees[name] = modulebuild.ModuleTree(name, folder)
        return self._module_trees[name]

    def _bootable(self, variant: Variant) -> Bootable:
        """What a variant boots without a mutant."""
        if variant.name not in self._plain:
            self._plain[variant.name] = bootable.build(variant, self._given)
        return self._plain[variant.name]

    def _spec(self, session: str, built: Bootable) -> WorkerSpec:
        found = availability.look(self._given)
        folder = self._folder / session
        return WorkerSpec.of(built, found, folder, self._given, variant=session, events="")
