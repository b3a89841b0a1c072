# SPDX-License-Identifier: GPL-2.0-only
"""Which packages a distribution's kernel is made of."""

from __future__ import annotations

import lzma
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.base.errors import InfrastructureError, UnavailableError
from harness.boot import initramfs
from harness.debian import packages
from harness.debian.hostrelease import Release
from harness.debian.packagefolder import Package
from harness.kernel import debiankernel
from harness.matrix import kernels

MODERN = kernels.named("linux-6.1")


@pytest.mark.parametrize(
    ("depends", "release"),
    [
        ("linux-image-6.1.0-50-cloud-amd64 (= 6.1.176-1)", "6.1.0-50-cloud-amd64"),
        (
            "linux-base-rt-amd64 (= 7.3.4-1~bpo13+1), linux-image-7.3.4+deb13-rt-amd64 (= 7.3.4)",
            "7.3.4+deb13-rt-amd64",
        ),
        ("linux-image-6.1.0-50-amd64 (= 6.1.176-1)", "6.1.0-50-amd64"),
        ("firmware, linux-image-6.12.57+deb13-amd64 (= 6.12.57-1)", "6.12.57+deb13-amd64"),
        ("linux-image-generic", None),
        ("", None),
    ],
)
def test_release_that_a_package_depends_on(depends: str, release: str | None) -> None:
    assert debiankernel.release_in(depends) == release


@pytest.mark.parametrize(
    ("depends", "headers", "compiler"),
    [
        (
            "linux-headers-6.1.0-50-common-rt (= 6.1.176-1), linux-kbuild-6.1 (>= 6.1.176-1), "
            "linux-compiler-gcc-12-x86",
            ["linux-headers-6.1.0-50-common-rt", "linux-kbuild-6.1"],
            12,
        ),
        (
            "linux-base (>= 4.12~), linux-headers-6.12.95+deb12-common (= 6.12.95-1~bpo12+1), "
            "linux-image-6.12.95+deb12-amd64 (= 6.12.95-1~bpo12+1), linux-kbuild-6.12.95+deb12, "
            "gcc-12",
            ["linux-headers-6.12.95+deb12-common", "linux-kbuild-6.12.95+deb12"],
            12,
        ),
        (
            "gcc-16-for-host, linux-base (>= 4.12~), linux-base-7.2.12+deb14-rt-amd64 (= 7.2.12-1),"
            " linux-headers-7.2.12+deb14-common (= 7.2.12-1), linux-kbuild-7.2.12+deb14",
            ["linux-headers-7.2.12+deb14-common", "linux-kbuild-7.2.12+deb14"],
            16,
        ),
        ("", [], 0),
    ],
)
def test_what_headers_need_besides_themselves(
    depends: str, headers: list[str], compiler: int
) -> None:
    assert debiankernel.headers_in(depends) == headers
    assert debiankernel.compiler_in(depends) == compiler


def test_parts_that_a_package_of_a_kernel_leaves_to_others() -> None:
    depends = (
        "dracut | initramfs-tools (>= 0.120+deb8u2) | linux-initramfs-tool, kmod, "
        "linux-base-7.3.4+deb13-rt-amd64 (= 7.3.4-1~bpo13+1), "
        "linux-binary-7.3.4+deb13-rt-amd64 (= 7.3.4-1~bpo13+1), "
        "linux-modules-7.3.4+deb13-rt-amd64 (= 7.3.4-1~bpo13+1)"
    )
    names = [f"linux-{part}-7.3.4+deb13-rt-amd64" for part in ("base", "binary", "modules")]
    assert debiankernel.parts_in(depends) == names
    older = "kmod, linux-base (>= 4.3~), initramfs-tools (>= 0.120+deb8u2) | linux-initramfs-tool"
    assert debiankernel.parts_in(older) == []


def test_headers_that_are_not_installed_find_each_other(tmp_path: Path) -> None:
    own, common = (
        tmp_path / "src/linux-headers-9.9-amd64",
        tmp_path / "src/linux-headers-9.9-common",
    )
    own.mkdir(parents=True)
    common.mkdir()
    (own / "Makefile").write_text(
        "KBUILD_OUTPUT=/usr/src/linux-headers-9.9-amd64\n"
        "include /usr/src/linux-headers-9.9-common/Makefile\n"
    )
    # As the kernel's own Makefile: elsewhere when it is asked.
    (common / "Makefile").write_text("all:\n\t@echo $(realpath $(KBUILD_OUTPUT))\n")
    debiankernel._make_relative(own / "Makefile")
    argv = ["make", "-s", "--no-print-directory", "-C", str(own)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(own)


def test_kernel_of_another_series_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    package = Package("linux-image-amd64", "1", Path("x.deb"), "")
    monkeypatch.setattr(packages, "binary", lambda *_: package)
    monkeypatch.setattr(debiankernel, "_field", lambda *_: "linux-image-6.12.57+deb13-amd64")
    with pytest.raises(UnavailableError, match=r"bookworm has no kernel 6\.1 .*but 6\.12"):
        debiankernel.obtain(MODERN)


def test_host_of_another_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(UnavailableError, match="x86-64 host"):
        debiankernel.obtain(MODERN)


def test_host_of_another_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    noble = Release("ubuntu", "24.04", "noble")
    monkeypatch.setattr(packages, "host_release", lambda: noble)
    with pytest.raises(UnavailableError, match=r"Debian's bookworm, .* ubuntu-24\.04"):
        debiankernel.obtain(MODERN)


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
    assert debiankernel.unpacked(bzimage(elf, pack)) == elf


@pytest.mark.parametrize(
    "image",
    [bzimage(b"no ELF"), bzimage(b"\x7fELF")[:1030] + bytes(90), bytes(4096), b""],
    ids=["no-elf", "damaged", "no-header", "empty"],
)
def test_kernel_that_cannot_be_unpacked(image: bytes) -> None:
    with pytest.raises(InfrastructureError, match="neither XZ nor Zstandard"):
        debiankernel.unpacked(image)
