# SPDX-License-Identifier: GPL-2.0-only
"""The guest's files for a kernel that has its drivers in modules: an initramfs."""

from __future__ import annotations

import shutil
import stat
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.base import fingerprint
from harness.image import cpio, image, keys, rootfs
from harness.image.image import Image
from harness.kernel import parts
from harness.kernel.debiankernel import Distributed
from harness.kernel.module import Module
from harness.matrix.kernels import Kernel

# Counts up when what this module makes of its inputs changes.
RECIPE = "2"

# The guest's /etc/rc loads what this names, in this order: a module, its parameters.
LIST = "etc/modules"

# Names of modules that other kernels have, and this one has built in: they need not be loaded.
BUILT_IN = "lib/modules/built-in"
_MODULES = "lib/modules"


def loading(*modules: str) -> str:
    """The shell's words that load modules by their names, but for those that this kernel has built
    in, or has already (pure).
    """
    there = (
        f"[ -d /sys/module/{{0}} ] || grep -qxF {{0}} /{BUILT_IN} || insmod /lib/modules/{{0}}.ko"
    )
    return " && ".join(f"{{ {there.format(name)}; }}" for name in modules)


def build(
    kernel: Kernel,
    distributed: Distributed,
    built: Sequence[parts.Built],
    module: Module | None,
    parameters: Sequence[str] = (),
) -> Image:
    """The initramfs of a kernel with the parts `built`, and with `module` if it is to be loaded.

    Raises InfrastructureError if the disk is full.
    """
    begin = time.monotonic()
    secrets = keys.obtain()
    wanted = {name: distributed.modules / f"{name}.ko" for name in names(kernel.modules_kept)}
    files = [path for path in wanted.values() if path.is_file()]
    built_in = [name for name, path in wanted.items() if path not in files]
    lines = [name for name in names(kernel.modules) if name not in built_in]
    if module:
        files.append(module.path)
        lines.append(" ".join([module.path.stem, *parameters]))
    print_ = fingerprint.of_bytes(
        RECIPE,
        rootfs.identity(built, secrets),
        distributed.fingerprint,
        module.fingerprint if module else "",
        *lines,
    )
    lists = {LIST: lines, BUILT_IN: built_in}
    entry = image.keep(
        print_,
        lambda folder: _assemble(folder, built, secrets, files, lists),
        f"the guest image of {kernel.name}",
    )
    seconds = 0.0 if entry.cached else time.monotonic() - begin
    return Image(
        entry.path / image.INITRD, secrets.private_key, secrets.host_key, seconds, entry.cached
    )


def with_module(packed: Image, module: Path, folder: Path) -> Image:
    """The same initramfs, in `folder`, with another file in the place of the module."""
    entry = cpio.Entry(f"{_MODULES}/{module.name}", stat.S_IFREG | 0o644, module.read_bytes())
    return image.add(packed, cpio.archive([entry]), folder)


def names(modules: Sequence[str]) -> tuple[str, ...]:
    """The names of modules that kernels.toml has with their folders, in the same order (pure)."""
    return tuple(path.rpartition("/")[2] for path in modules)


def _assemble(
    folder: Path,
    built: Sequence[parts.Built],
    secrets: keys.Keys,
    files: Sequence[Path],
    lists: Mapping[str, Sequence[str]],
) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as work:
        root = Path(work) / "root"
        rootfs.lay_out(root, built, secrets)
        (root / _MODULES).mkdir(parents=True)
        for file in files:
            shutil.copyfile(file, root / _MODULES / file.name)
        for name, lines in lists.items():
            (root / name).write_text("".join(f"{line}\n" for line in lines))
        rootfs.settle(root)
        entries = [*cpio.tree(root), *cpio.devices(rootfs.DEVICES.read_text())]
        image.pack(cpio.archive(entries), folder)
