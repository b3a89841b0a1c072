# SPDX-License-Identifier: GPL-2.0-only
"""The guest's files for a kernel that has its drivers in modules: an initramfs."""

from __future__ import annotations

import gzip
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.base import fingerprint, paths, store, terminal
from harness.image import cpio, keys, rootfs
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
    initrd = paths.BUILD / "image" / print_[:32] / "initrd.gz"
    cached = initrd.is_file()
    with store.disk_errors(initrd):
        if not cached:
            initrd.parent.mkdir(parents=True, exist_ok=True)
            with store.lock(initrd.with_name("lock"), f"the guest image of {kernel.name}"):
                cached = initrd.is_file()
                if not cached:
                    with terminal.activity(f"packing the guest image of {kernel.name}", said=False):
                        _assemble(initrd, built, secrets, files, lists)
    seconds = 0.0 if cached else time.monotonic() - begin
    return Image(initrd, secrets.private_key, secrets.host_key, seconds, cached)


def names(modules: Sequence[str]) -> tuple[str, ...]:
    """The names of modules that kernels.toml has with their folders, in the same order (pure)."""
    return tuple(path.rpartition("/")[2] for path in modules)


def _assemble(
    initrd: Path,
    built: Sequence[parts.Built],
    secrets: keys.Keys,
    files: Sequence[Path],
    lists: Mapping[str, Sequence[str]],
) -> None:
    with tempfile.TemporaryDirectory(dir=initrd.parent, prefix=".partial-") as work:
        root = Path(work) / "root"
        rootfs.lay_out(root, built, secrets)
        (root / "lib/modules").mkdir(parents=True)
        for file in files:
            shutil.copyfile(file, root / "lib/modules" / file.name)
        for name, lines in lists.items():
            (root / name).write_text("".join(f"{line}\n" for line in lines))
        rootfs.settle(root)
        entries = [*cpio.tree(root), *cpio.devices(rootfs.DEVICES.read_text())]
        packed = Path(work) / "initrd.gz"
        packed.write_bytes(gzip.compress(cpio.archive(entries), compresslevel=6, mtime=0))
        # The guest's private host key is in it.
        packed.chmod(0o600)
        packed.rename(initrd)
