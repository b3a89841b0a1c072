# SPDX-License-Identifier: GPL-2.0-only
"""Mutated modules, each compiled where the one before was, and the guest's files with one."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

from harness.base import command, terminal
from harness.base.errors import InfrastructureError
from harness.boot import bootable, initramfs
from harness.boot.bootable import Bootable
from harness.kernel import module
from harness.kernel.debiankernel import Headers
from harness.matrix import kernels
from harness.mutate.build import DoesNotBuildError, SameError
from harness.mutate.edit import ENCODING, Edit
from harness.mutate.mutants import MODULE

# What a linker says of all of a file, lines of debug information and all.
_BUILD_ID = ".note.gnu.build-id"
_SECONDS = 30.0
# Debug information is half of a compiler's work, and leaves the code as it is.
_WORDS = ("CONFIG_DEBUG_INFO=",)
# What tells whether two modules are the same program.
_CONTENTS = (".text", ".init.text", ".rodata", ".data")
# What the tree was made of, beside it; it is there when the tree is whole.
_STAMP = "module"


class ModuleTree:
    """The module's sources, compiled for one kernel, in `folder`; only what a mutant changes is
    compiled anew.

    It is none of the cache: what is built here never gets a fingerprint.
    """

    def __init__(self, kernel: str, folder: Path) -> None:
        """Make the tree, unless it is there from an earlier run.

        Raises InfrastructureError if the code that comes out is not, byte for byte, that of the
        module that is tested without a mutant.
        """
        headers = bootable.distributed(kernels.named(kernel)).headers
        control = module.build(headers)
        self._headers: Headers = headers
        self._what = f"module for {kernel}"
        self._folder = folder
        # Alone in its own, as the compiler of another release wants it.
        self._tree = folder / "tree" / module.WORK
        self._log = folder / "log"
        self._control = folder / "control.ko"
        stamp = folder / _STAMP
        if not stamp.is_file() or stamp.read_text() != control.fingerprint:
            terminal.say(f"{self._what}: making a tree for mutants")
            shutil.rmtree(folder, ignore_errors=True)
            module.lay_out(self._tree)
            shutil.copytree(self._tree, folder / "pristine")
            self._compile()
            self._bare(self._tree / module.MODULE, self._control)
            # Strings have the names of the files that they were made from, by where these were.
            if self._contents(self._control) != self._contents(control.path):
                raise InfrastructureError(
                    f"what {self._tree} makes is not {control.path}",
                    "two builds of the same source have to be the same",
                )
            stamp.write_text(control.fingerprint)

    def build(self, edit: Edit, built: Bootable, folder: Path, what: str) -> Bootable:
        """What boots, as `built` does, with the module that has the edit; its files in `folder`.

        Raises DoesNotBuildError with the compiler's first errors; SameError if the module is the
        same byte for byte.
        """
        self._restore()
        name = edit.file.removeprefix(f"{MODULE}/")
        path = self._tree / name
        text = (self._folder / "pristine" / name).read_text(encoding=ENCODING)
        path.write_text(edit.apply(text), encoding=ENCODING)
        try:
            self._compile()
        except InfrastructureError as error:
            raise DoesNotBuildError(error.message, error.hint) from error
        if self._is_control():
            raise SameError(f"{what} makes no other module")
        folder.mkdir(parents=True)
        module.strip(self._tree / module.MODULE, folder / module.MODULE, self._log)
        image = initramfs.with_module(built.image, folder / module.MODULE, folder)
        return replace(built, image=image, cached=False)

    def _compile(self) -> None:
        # What it complains of is looked for in its log.
        self._log.unlink(missing_ok=True)
        module.compile_in(self._tree, self._headers, self._log, _WORDS)

    def _is_control(self) -> bool:
        made = self._folder / "made.ko"
        self._bare(self._tree / module.MODULE, made)
        return made.read_bytes() == self._control.read_bytes()

    def _bare(self, file: Path, target: Path) -> None:
        argv = ["objcopy", "--strip-debug", "-R", _BUILD_ID, str(file), str(target)]
        command.run(argv, what=self._what, log=self._log, seconds=_SECONDS)

    def _contents(self, file: Path) -> list[bytes]:
        dumped = [self._folder / f"control{section}" for section in _CONTENTS]
        words = [
            word
            for section, target in zip(_CONTENTS, dumped, strict=True)
            for word in ("--dump-section", f"{section}={target}")
        ]
        argv = ["objcopy", *words, str(file), os.devnull]
        command.run(argv, what=self._what, log=self._log, seconds=_SECONDS)
        return [path.read_bytes() for path in dumped]

    def _restore(self) -> None:
        # All of them: an earlier run may have been ended anywhere.
        pristine = self._folder / "pristine"
        for kept in pristine.rglob("*"):
            path = self._tree / kept.relative_to(pristine)
            if kept.is_file() and path.read_bytes() != kept.read_bytes():
                shutil.copyfile(kept, path)
