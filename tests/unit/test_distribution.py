# SPDX-License-Identifier: GPL-2.0-only
"""Which packages a distribution's kernel is made of."""

from __future__ import annotations

import lzma
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import distribution, initramfs, kernels, packages
from harness.errors import InfrastructureError, UnavailableError
from harness.hostrelease import Release
from harness.packages import Package

MODERN = kernels.named("linux-6.1")


@pytest.mark.parametrize(
    ("depends", "release"),
    [
        ("linux-image-6.1.0-50-amd64 (= 6.1.176-1)", "6.1.0-50-amd64"),
        ("firmware, linux-image-6.12.57+deb13-amd64 (= 6.12.57-1)", "6.12.57+deb13-amd64"),
        ("linux-image-generic", None),
        ("", None),
    ],
)
def test_release_that_a_package_depends_on(depends: str, release: str | None) -> None:
    assert distribution.release_in(depends) == release


def test_kernel_of_another_series_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    package = Package("linux-image-amd64", "1", Path("x.deb"), "")
    monkeypatch.setattr(packages, "binary", lambda *_: package)
    monkeypatch.setattr(distribution, "_field", lambda *_: "linux-image-6.12.57+deb13-amd64")
    with pytest.raises(UnavailableError, match=r"bookworm has no kernel 6\.1 .*but 6\.12"):
        distribution.obtain(MODERN)


def test_host_of_another_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(UnavailableError, match="x86-64 host"):
        distribution.obtain(MODERN)


def test_host_of_another_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    noble = Release("ubuntu", "24.04", "noble")
    monkeypatch.setattr(packages, "host_release", lambda: noble)
    with pytest.raises(UnavailableError, match=r"Debian's bookworm, .* ubuntu-24\.04"):
        distribution.obtain(MODERN)


def test_modules_are_loaded_after_those_that_they_need() -> None:
    names = initramfs.names(MODERN.modules)
    assert names.index("virtio_ring") < names.index("virtio") < names.index("virtio_net")
    names = initramfs.names(MODERN.modules_at_hand)
    assert names.index("libcrc32c") < names.index("nf_tables") < names.index("nft_queue")


def test_modules_at_hand_are_kept_but_not_loaded() -> None:
    assert set(MODERN.modules).isdisjoint(MODERN.modules_at_hand)
    assert MODERN.modules_kept == (*MODERN.modules, *MODERN.modules_at_hand)


def bzimage(content: bytes, pack: Callable[[bytes], bytes] = lzma.compress) -> bytes:
    """A file with the header of a bzImage of one setup sector, and `content` packed."""
    packed = pack(content)
    head = bytearray(1024)
    head[0x1F1] = 1
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", head, 0x248, 16, len(packed) + 4)
    return bytes(head) + bytes(16) + packed + struct.pack("<I", len(content))


def zstd(content: bytes) -> bytes:
    """Packed as Debian's newer kernels are."""
    argv = ["zstd", "-q", "-c"]
    return subprocess.run(argv, input=content, capture_output=True, check=True).stdout


@pytest.mark.parametrize("pack", [lzma.compress, zstd])
def test_kernel_is_unpacked(pack: Callable[[bytes], bytes]) -> None:
    elf = b"\x7fELF" + bytes(range(256)) * 20
    assert distribution.unpacked(bzimage(elf, pack)) == elf


@pytest.mark.parametrize(
    "image",
    [bzimage(b"no ELF"), bzimage(b"\x7fELF")[:1030] + bytes(90), bytes(4096), b""],
    ids=["no-elf", "damaged", "no-header", "empty"],
)
def test_kernel_that_cannot_be_unpacked(image: bytes) -> None:
    with pytest.raises(InfrastructureError, match="neither XZ nor Zstandard"):
        distribution.unpacked(image)
