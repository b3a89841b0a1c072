# SPDX-License-Identifier: GPL-2.0-only
"""Stands for all that takes minutes or a network before a guest boots."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

import pytest

from harness.base import paths
from harness.image import image
from harness.image.image import Image
from harness.kernel import debiankernel, kernel, module, parts
from harness.kernel.debiankernel import Distributed, Headers
from harness.kernel.kernel import Kernel as BuiltKernel
from harness.kernel.module import Module
from harness.matrix.kernels import Kernel
from harness.matrix.variants import Variant
from harness.upstream import download


class Builds:
    """Notes what was asked for. What was built takes `seconds`; at 0.0 it was there before."""

    def __init__(self, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.here = here
        self.asked: list[str] = []
        self.seconds = 0.0
        monkeypatch.setattr(paths, "BUILD", here / "build")
        monkeypatch.setattr(paths, "KEYS", here / "build" / "keys")
        monkeypatch.setenv("DIVERT_CACHE", str(here / "cache"))
        monkeypatch.setattr(shutil, "which", lambda _: "/bin/sh")
        monkeypatch.setattr(image, "build", self.image)
        monkeypatch.setattr(image, "userland", self.userland)
        monkeypatch.setattr(kernel, "build", self.kernel)
        monkeypatch.setattr(debiankernel, "obtain", self.obtain)
        monkeypatch.setattr(module, "build", self.module)
        monkeypatch.setattr(download, "fetch", _no_network)

    def _took(self, name: str) -> float:
        self.asked.append(name)
        return self.seconds

    def image(self, *, given: Sequence[str], without: Collection[str]) -> Image:
        seconds = self._took(f"image{_lacking(without)} {' '.join(given)}".strip())
        return Image(self.here / "ext2.gz", self.here, self.here, seconds, not seconds)

    def userland(self, *, given: Sequence[str], without: Collection[str]) -> list[parts.Built]:
        seconds = self._took(f"userland{_lacking(without)} {' '.join(given)}".strip())
        (self.here / "part/bin").mkdir(parents=True, exist_ok=True)
        return [
            parts.Built(name, self.here / "part", name, took, not took)
            for name, took in (("libc", 0.0), ("toy", seconds))
        ]

    def kernel(self, variant: Variant, *, jobs: int = 0, given: Sequence[str] = ()) -> BuiltKernel:
        seconds = self._took(f"kernel {variant.name} {' '.join(given)}".strip())
        folder = self.here / variant.name
        return BuiltKernel(
            variant=variant,
            folder=folder,
            bzimage=folder / "bzImage",
            system_map=folder / "System.map",
            config=folder / "config",
            objects=folder / "objects",
            seconds=seconds,
            cached=not seconds,
        )

    def obtain(self, row: Kernel) -> Distributed:
        seconds = self._took(f"package {row.name}")
        modules = self.here / "modules"
        modules.mkdir(exist_ok=True)
        (modules / "dummy.ko").write_text("of the package")
        headers = Headers("6.1.0-1-amd64", self.here / "headers", "headers", 0.0)
        packed = self.here / "vmlinuz"
        return Distributed(self.here / "vmlinux", modules, headers, row.name, seconds, packed)

    def module(self, headers: Headers, *, jobs: int = 0) -> Module:
        seconds = self._took(f"module {headers.release}")
        (self.here / "divert.ko").write_text("ours")
        return Module(self.here / "divert.ko", "module", seconds, not seconds)


def _lacking(without: Collection[str]) -> str:
    return "".join(f" without {name}" for name in without)


def _no_network(urls: Sequence[str], *_: object) -> Path:
    raise download.DownloadError(f"no network for {urls[0]}")


def archives(*names: str) -> None:
    """Put files of these names where upstream's archives are looked for."""
    folder = paths.downloads_dir()
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
