# SPDX-License-Identifier: GPL-2.0-only
"""A distribution's kernel, from its packages: the kernel itself, its modules, and its headers."""

from __future__ import annotations

import contextlib
import lzma
import platform
import re
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness import fingerprint, packages, paths, store
from harness.errors import InfrastructureError, UnavailableError
from harness.kernels import Kernel

# Counts up when what this module makes of its inputs changes.
RECIPE = "2"

DISTRIBUTION = "debian"
ARCHITECTURE = "amd64"

_FIELD_SECONDS = 20.0
_IMAGE = re.compile(r"linux-image-(?P<release>\d[^ ,]*-amd64)\b")
_HEADERS = re.compile(r"\b(linux-(?:headers-\S+-common|kbuild-[\d.]+))\b")


@dataclass(frozen=True)
class Distributed:
    """An unpacked kernel. `headers` is the folder for KDIR of module/Makefile; `modules` has the
    files *.ko that its entry in kernels.toml names, those at hand too. `fingerprint` is of all
    packages.
    """

    release: str
    image: Path
    modules: Path
    headers: Path
    fingerprint: str
    seconds: float
    cached: bool


def obtain(kernel: Kernel) -> Distributed:
    """The kernel that the package of `kernel` has or depends on, from the cache or downloaded.

    Raises UnavailableError without a network, and on a host of another architecture or
    distribution; InfrastructureError if the packages have not what kernels.toml names.
    """
    if platform.machine() != "x86_64":
        raise UnavailableError(
            f"{kernel.name} is made of packages for x86-64, and its module is compiled here",
            "use an x86-64 host, or name another kernel",
        )
    host = packages.host_release()
    if host.distribution != DISTRIBUTION:
        raise UnavailableError(
            f"{kernel.name} is a kernel of Debian's {kernel.release}, and this host is {host.name}",
            "use a Debian host, or name another kernel",
        )
    release = _release(kernel)
    image = _package(kernel, f"linux-image-{release}")
    headers = _package(kernel, f"linux-headers-{release}")
    wanted = dict.fromkeys(_HEADERS.findall(_field(headers, "Depends")))
    others = [_package(kernel, name) for name in wanted]
    print_ = fingerprint.of_bytes(
        RECIPE, *(each.digest for each in (image, headers, *others)), *kernel.modules_kept
    )

    def make(folder: Path) -> None:
        log = paths.BUILD / "logs" / f"{kernel.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        work = folder / "work"
        packages.unpack(image, work, log)
        packed = (work / "boot" / f"vmlinuz-{release}").read_bytes()
        (folder / "vmlinux").write_bytes(unpacked(packed))
        (folder / "modules").mkdir()
        for name in kernel.modules_kept:
            _keep_module(work / "lib/modules" / release / "kernel", name, folder / "modules")
        shutil.rmtree(work)
        for package in (headers, *others):
            packages.unpack(package, folder / "headers", log)
        _make_relative(folder / "headers/usr/src" / f"linux-headers-{release}" / "Makefile")

    entry = store.obtain("distribution", print_, make, f"the packages of {kernel.name}")
    return Distributed(
        release,
        entry.path / "vmlinux",
        entry.path / "modules",
        entry.path / "headers/usr/src" / f"linux-headers-{release}",
        print_,
        entry.seconds,
        entry.cached,
    )


def unpacked(image: bytes) -> bytes:
    """The ELF file in a bzImage that is packed by XZ, which QEMU starts by its PVH entry (pure).

    Under TCG unpacking takes the guest 3 s. Documentation/arch/x86/boot.rst of the kernel:
    setup_sects at 0x1f1, payload_offset and payload_length at 0x248. Raises InfrastructureError.
    """
    if image[0x202:0x206] == b"HdrS":
        offset, length = struct.unpack_from("<II", image, 0x248)
        begin = ((image[0x1F1] or 4) + 1) * 512 + offset
        with contextlib.suppress(lzma.LZMAError):
            found = lzma.LZMADecompressor().decompress(image[begin : begin + length])
            if found.startswith(b"\x7fELF"):
                return found
    raise InfrastructureError(
        "the distribution's kernel is not packed by XZ, and cannot be unpacked here",
        "tell this project, with the release of the distribution",
    )


def release_in(depends: str) -> str | None:
    """The kernel's release in the field Depends of a package that depends on a kernel (pure)."""
    match = _IMAGE.search(depends)
    return match["release"] if match else None


def _package(kernel: Kernel, name: str) -> packages.Package:
    return packages.binary(name, ARCHITECTURE, kernel.release)


def _release(kernel: Kernel) -> str:
    package = _package(kernel, kernel.package)
    release = release_in(_field(package, "Depends"))
    series = kernel.name.removeprefix("linux-")
    if release is None or not release.startswith(f"{series}."):
        raise UnavailableError(
            f"the package {kernel.package} of {kernel.release} has no kernel {series} "
            f"(but {release or 'none'})",
            "name another kernel",
        )
    return release


def _field(package: packages.Package, name: str) -> str:
    try:
        done = subprocess.run(
            ["dpkg-deb", "-f", str(package.path), name],
            capture_output=True,
            text=True,
            timeout=_FIELD_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise InfrastructureError(
            f"dpkg-deb cannot read {package.path}", "remove the folder, and it is fetched anew"
        ) from error
    return done.stdout


def _keep_module(folder: Path, name: str, target: Path) -> None:
    path = folder / f"{name}.ko"
    if not path.is_file():
        raise InfrastructureError(
            f"the kernel's package has no module {name}", "see harness/data/kernels.toml"
        )
    shutil.copyfile(path, target / path.name)


def _make_relative(makefile: Path) -> None:
    """Headers that are not installed are not where their Makefile looks for the common ones."""
    text = makefile.read_text()
    makefile.write_text(re.sub(r"^include /usr/src/", "include ../", text, flags=re.MULTILINE))
