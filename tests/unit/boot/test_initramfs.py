# SPDX-License-Identifier: GPL-2.0-only
"""The guest's archive for a kernel with modules: what is in it, in which order, and when it is new.

It is read back by the text of the format, and by cpio(1) where the host has it.
"""

from __future__ import annotations

import gzip
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from harness.base import paths, store
from harness.base.errors import InfrastructureError
from harness.boot import initramfs
from harness.image import cpio, keys, rootfs
from harness.image.image import Image
from harness.kernel import parts
from harness.kernel.debiankernel import Distributed, Headers
from harness.kernel.module import Module
from harness.matrix.kernels import Hardware, Kernel
from tests.unit.image.test_cpio import fields

KERNEL = Kernel(
    "linux-9.9",
    Hardware("qemu", "card", 64, ()),
    package="linux-image",
    modules=("net/zed", "drivers/built_in", "drivers/alpha"),
    modules_at_hand=("net/middle", "lib/in_too"),
    release="bookworm",
)
# In the kernel itself: there is no file of it.
BUILT_IN = ("built_in", "in_too")
DIVERT = "divert passthrough=1 defrag=0"


class Input:
    """All that an archive is made of; a test changes one of it."""

    def __init__(self, here: Path) -> None:
        modules = here / "modules"
        modules.mkdir()
        for name in initramfs.names(KERNEL.modules_kept):
            if name not in BUILT_IN:
                (modules / f"{name}.ko").write_text(f"module {name}")
        (modules / "stray.ko").write_text("of nobody")
        headers = Headers("9.9.0", here / "headers", "headers", 0.0)
        (here / "divert.ko").write_text("the module")
        (here / "part/usr/bin").mkdir(parents=True)
        (here / "part/usr/bin/toy").write_text("toy program")
        self.kernel = KERNEL
        self.distributed = Distributed(here / "vmlinux", modules, headers, "distributed", 0.0)
        self.built = [parts.Built("toy", here / "part", "toy", 0.0, True)]
        self.module: Module | None = Module(here / "divert.ko", "module", 0.0, True)
        self.parameters: tuple[str, ...] = ("passthrough=1", "defrag=0")

    def build(self) -> Image:
        return initramfs.build(
            self.kernel, self.distributed, self.built, self.module, self.parameters
        )


@pytest.fixture(name="given")
def _given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Input:
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    monkeypatch.setattr(paths, "KEYS", tmp_path / "build" / "keys")
    return Input(tmp_path)


def entries(image: Image) -> dict[str, bytes]:
    """The content of each file of the archive, in its order; the last of a name holds."""
    return {name: content for name, _, content, _, _ in fields(unpacked(image))}


def unpacked(image: Image) -> bytes:
    return gzip.decompress(image.initrd.read_bytes())


def modes(image: Image) -> dict[str, int]:
    return {name: mode for name, mode, _, _, _ in fields(unpacked(image))}


def listed(image: Image) -> list[str]:
    return entries(image)["etc/modules"].decode().splitlines()


def test_what_is_in_it(given: Input) -> None:
    image = given.build()
    files, secrets = entries(image), keys.obtain()
    assert files["usr/bin/toy"] == b"toy program"
    assert files["etc/rc"] == (rootfs.SKELETON / "etc/rc").read_bytes()
    assert files["etc/dropbear/host_key"] == secrets.host_private_key.read_bytes()
    assert files["root/.ssh/authorized_keys"] == secrets.public_key.read_bytes()
    assert secrets.private_key.read_bytes() not in unpacked(image)
    assert (image.private_key, image.host_key) == (secrets.private_key, secrets.host_key)
    for device in cpio.devices(rootfs.DEVICES.read_text()):
        assert modes(image)[device.name] == device.mode
    assert modes(image)["usr/bin/toy"] == stat.S_IFREG | 0o755
    assert list(files)[-1] == "TRAILER!!!"
    if program := shutil.which("cpio"):
        done = subprocess.run(
            [program, "-t"], input=unpacked(image), capture_output=True, check=True
        )
        names = [name for name, *_ in fields(unpacked(image))]
        assert done.stdout.decode().split() == names[:-1]


def test_modules_are_loaded_in_their_order_and_ours_last(given: Input) -> None:
    assert listed(given.build()) == ["zed", "alpha", DIVERT]


def test_modules_that_are_there(given: Input) -> None:
    files = entries(given.build())
    found = {name: text for name, text in files.items() if name.startswith("lib/modules/")}
    assert found.pop(initramfs.BUILT_IN).decode() == "built_in\nin_too\n"
    assert found == {
        "lib/modules/zed.ko": b"module zed",
        "lib/modules/alpha.ko": b"module alpha",
        "lib/modules/middle.ko": b"module middle",
        "lib/modules/divert.ko": b"the module",
    }
    # The guest's rc loads a line's first word from there, and gives it the rest.
    for line in listed(given.build()):
        assert f"lib/modules/{line.split()[0]}.ko" in found


def test_kernel_as_it_is_has_no_module_of_ours(given: Input) -> None:
    given.module, given.parameters = None, ()
    image = given.build()
    assert listed(image) == ["zed", "alpha"]
    assert "lib/modules/divert.ko" not in entries(image)


def test_module_without_parameters(given: Input) -> None:
    given.parameters = ()
    assert listed(given.build()) == ["zed", "alpha", "divert"]


def test_folder_comes_before_what_is_in_it(given: Input) -> None:
    names = list(entries(given.build()))
    for number, name in enumerate(names):
        parent = name.rpartition("/")[0]
        assert not parent or parent in names[:number], name


def test_same_input_same_bytes(given: Input) -> None:
    first = given.build()
    before = first.initrd.read_bytes()
    shutil.rmtree(first.initrd.parent)
    (given.built[0].folder / "usr/bin/toy").chmod(0o600)
    os.utime(given.distributed.modules / "zed.ko", (1, 1))
    umask = os.umask(0o077)
    try:
        again = given.build()
    finally:
        os.umask(umask)
    assert again.initrd == first.initrd
    assert again.initrd.read_bytes() == before
    assert before[4:8] == bytes(4), "the time in the header of gzip"


def test_archive_is_made_once_and_nobody_else_can_read_it(given: Input) -> None:
    first, again = given.build(), given.build()
    assert (first.cached, again.cached) == (False, True)
    assert again.seconds == 0.0 < first.seconds
    assert again.initrd == first.initrd
    assert stat.S_IMODE(first.initrd.stat().st_mode) == 0o600
    assert {path.name for path in first.initrd.parent.iterdir()} == {"initrd.gz"}


def test_archive_that_another_process_has_made_meanwhile(
    given: Input, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = given.build()
    aside = there.initrd.parent.with_name("aside")
    there.initrd.parent.rename(aside)

    @contextmanager
    def waited(_path: Path, what: str) -> Iterator[None]:
        assert what == "the guest image of linux-9.9"
        aside.rename(there.initrd.parent)
        yield

    monkeypatch.setattr(store, "lock", waited)
    image = given.build()
    assert image.initrd == there.initrd
    assert (image.cached, image.seconds) == (True, 0.0)


def other_part(given: Input) -> None:
    given.built = [replace(given.built[0], fingerprint="another")]


def other_module(given: Input) -> None:
    assert given.module
    given.module = replace(given.module, fingerprint="another")


def no_module(given: Input) -> None:
    given.module = None


def other_kernel(given: Input) -> None:
    given.distributed = replace(given.distributed, fingerprint="another")


def other_parameters(given: Input) -> None:
    given.parameters = ("passthrough=0", "defrag=0")


def other_order_of_parameters(given: Input) -> None:
    given.parameters = given.parameters[::-1]


def one_more_is_loaded(given: Input) -> None:
    # The package and what is kept of it are the same.
    given.kernel = replace(
        KERNEL,
        modules=(*KERNEL.modules, "net/middle"),
        modules_at_hand=("lib/in_too",),
    )
    assert given.kernel.modules_kept == KERNEL.modules_kept


@pytest.mark.parametrize(
    "change",
    [
        other_part,
        other_module,
        no_module,
        other_kernel,
        other_parameters,
        other_order_of_parameters,
        one_more_is_loaded,
    ],
)
def test_change_makes_another_archive(given: Input, change: object) -> None:
    assert callable(change)
    first = given.build()
    change(given)
    second = given.build()
    assert second.initrd != first.initrd
    assert not second.cached
    assert first.initrd.is_file()


def test_module_that_is_loaded_now_is_in_the_list(given: Input) -> None:
    given.build()
    one_more_is_loaded(given)
    assert listed(given.build()) == ["zed", "alpha", "middle", DIVERT]


def test_disk_that_cannot_be_written(given: Input) -> None:
    keys.obtain()
    (paths.BUILD / "image").write_text("in the way")
    with pytest.raises(InfrastructureError, match=r"cannot write .*image") as caught:
        given.build()
    assert "DIVERT_CACHE" in caught.value.hint


def test_nothing_is_left_of_one_that_failed(given: Input) -> None:
    assert given.module
    given.module.path.unlink()
    with pytest.raises(InfrastructureError, match=r"divert\.ko"):
        given.build()
    left = {path.name for path in (paths.BUILD / "image").rglob("*") if path.is_file()}
    assert {Path(name).suffix for name in left} <= {".lock"}
    given.module.path.write_text("there again")
    assert entries(given.build())["lib/modules/divert.ko"] == b"there again"


def test_names_are_without_folders() -> None:
    assert initramfs.names(("net/ipv4/ipip", "failover", "a/b/c_d")) == ("ipip", "failover", "c_d")
    assert initramfs.names(()) == ()
