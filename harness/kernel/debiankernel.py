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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base import command, fingerprint, store
from harness.base.errors import InfrastructureError, UnavailableError
from harness.debian import packagefolder, packages
from harness.matrix.kernels import Kernel

# Counts up when what this module makes of its inputs changes.
RECIPE = "5"

DISTRIBUTION = "debian"
ARCHITECTURE = "amd64"

_FIELD_SECONDS = 20.0
_UNPACK_SECONDS = 60.0
_ZSTANDARD = b"\x28\xb5\x2f\xfd"
_IMAGE = re.compile(r"linux-image-(?P<release>\d[^ ,]*-amd64)\b")
_HEADERS = re.compile(r"\b(linux-(?:headers-[^\s,]+-common(?:-rt)?|kbuild-[^\s,]+))")
# The compiler's package has had three names.
_COMPILER = re.compile(r"\b(?:linux-compiler-)?gcc-(?P<version>\d+)(?:-x86|-for-host)?\b")
# Since 6.19 the image's package has nothing itself.
_PARTS = re.compile(r"\b(linux-(?:base|binary|modules)-\d[^\s,]*-amd64)\b")
_RELATIVE = "$(dir $(abspath $(lastword $(MAKEFILE_LIST))))"


@dataclass(frozen=True)
class Headers:
    """What modules are compiled with: `path` is the folder for KDIR of module/Makefile.

    `compiler` is the major version of GCC that the kernel was compiled with, 0 if that is the
    host's, and `suite` the suite of Debian that has it. Links in `path` lead to what is in `root`.
    """

    release: str
    path: Path
    fingerprint: str
    seconds: float
    compiler: int = 0
    suite: str = ""

    @property
    def root(self) -> Path:
        """The folder in which the packages are unpacked."""
        return self.path.parents[2]


@dataclass(frozen=True)
class Distributed:
    """An unpacked kernel. `modules` has the files *.ko that kernels.toml names for it, but for
    what is built in. `fingerprint` is of its package and of what was taken of it. `packed` is the
    same kernel as it was, packed, if `image` is not.
    """

    image: Path
    modules: Path
    headers: Headers
    fingerprint: str
    seconds: float
    packed: Path | None = None


def obtain(kernel: Kernel) -> Distributed:
    """The kernel that the package of `kernel` has or depends on, from the cache or downloaded.

    Raises UnavailableError without a network, and on a host of another architecture or
    distribution; InfrastructureError if the packages have not what kernels.toml names.
    """
    found = headers(kernel)
    release = found.release
    image = package(kernel, f"linux-image-{release}")
    parts = [package(kernel, name) for name in parts_in(_field(image, "Depends"))]
    print_ = fingerprint.of_bytes(
        RECIPE, *(each.digest for each in (image, *parts)), *kernel.modules_kept, *kernel.gone
    )

    def make(folder: Path) -> None:
        work = folder / "work"
        for each in (image, *parts):
            packages.unpack(each, work, command.log_of(kernel.name))
        # In newer releases all that was in /lib is in /usr/lib, and the kernel with its modules.
        places = [work / top / "modules" / release for top in ("lib", "usr/lib")]
        tree = next((place for place in places if place.is_dir()), places[0])
        kernels = [work / "boot" / f"vmlinuz-{release}", tree / "vmlinuz"]
        packed = next((path for path in kernels if path.is_file()), kernels[0])
        (folder / "vmlinux").write_bytes(unpacked(packed.read_bytes()))
        packed.rename(folder / "vmlinuz")
        (folder / "modules").mkdir()
        built_in = (tree / "modules.builtin").read_text()
        names = [name for name in kernel.modules_kept if name not in kernel.gone]
        keep_modules(tree / "kernel", built_in, names, folder / "modules")
        shutil.rmtree(work)

    entry = store.obtain("distribution", print_, make, f"the package of {kernel.name}")
    seconds = entry.seconds + found.seconds
    files = [entry.path / name for name in ("vmlinux", "modules", "vmlinuz")]
    return Distributed(files[0], files[1], found, print_, seconds, files[2])


def headers(kernel: Kernel) -> Headers:
    """The headers and programs that a module for `kernel` is compiled with.

    Raises UnavailableError and InfrastructureError as `obtain` does.
    """
    require_host(kernel)
    release = _release(kernel)
    own = package(kernel, f"linux-headers-{release}")
    depends = _field(own, "Depends")
    all_of_them = [own, *(package(kernel, name) for name in headers_in(depends))]
    print_ = fingerprint.of_bytes(RECIPE, *(each.digest for each in all_of_them))

    def make(folder: Path) -> None:
        for each in all_of_them:
            packages.unpack(each, folder, command.log_of(f"{kernel.name}-headers"))
        _make_relative(folder / "usr/src" / f"linux-headers-{release}" / "Makefile")

    entry = store.obtain("headers", print_, make, f"the headers of {kernel.name}")
    path = entry.path / "usr/src" / f"linux-headers-{release}"
    suite = kernel.suite(packages.host_release().codename)
    return Headers(release, path, print_, entry.seconds, compiler_in(depends), suite)


def require_host(kernel: Kernel) -> None:
    """Raise UnavailableError on a host of another architecture or distribution."""
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


def unpacked(image: bytes) -> bytes:
    """The ELF file in a bzImage, packed by XZ or Zstandard, which QEMU starts by its PVH entry.

    Under TCG unpacking takes the guest 3 s. Documentation/arch/x86/boot.rst of the kernel:
    setup_sects at 0x1f1, payload_offset and payload_length at 0x248; the last four bytes of the
    payload are the length of what is in it. Raises InfrastructureError.
    """
    found = b""
    if image[0x202:0x206] == b"HdrS":
        offset, length = struct.unpack_from("<II", image, 0x248)
        begin = ((image[0x1F1] or 4) + 1) * 512 + offset
        found = _decompressed(image[begin : begin + length - 4])
    if not found.startswith(b"\x7fELF"):
        raise InfrastructureError(
            "the distribution's kernel is packed by neither XZ nor Zstandard, or is damaged",
            "tell this project, with the release of the distribution",
        )
    return found


def _decompressed(packed: bytes) -> bytes:
    """What is in it; nothing, if it is packed in another way."""
    if packed.startswith(_ZSTANDARD):
        done = subprocess.run(
            ["zstd", "-d", "-q", "-c"],
            input=packed,
            capture_output=True,
            timeout=_UNPACK_SECONDS,
            check=False,
        )
        return done.stdout
    with contextlib.suppress(lzma.LZMAError):
        return lzma.LZMADecompressor().decompress(packed)
    return b""


def release_in(depends: str) -> str | None:
    """The kernel's release in the field Depends of a package that depends on a kernel (pure)."""
    match = _IMAGE.search(depends)
    return match["release"] if match else None


def headers_in(depends: str) -> list[str]:
    """The packages that a package with headers needs besides itself, by its Depends (pure)."""
    return list(dict.fromkeys(_HEADERS.findall(depends)))


def parts_in(depends: str) -> list[str]:
    """The packages that have what a package of a kernel has not itself, by its Depends (pure)."""
    return list(dict.fromkeys(_PARTS.findall(depends)))


def compiler_in(depends: str) -> int:
    """The major version of GCC that they ask for; 0 if they ask for none (pure)."""
    match = _COMPILER.search(depends)
    return int(match["version"]) if match else 0


def package(kernel: Kernel, name: str) -> packagefolder.Package:
    """The package of this name, of the release that this host takes `kernel` from."""
    suite = kernel.suite(packages.host_release().codename)
    return packages.binary(name, ARCHITECTURE, suite)


def _release(kernel: Kernel) -> str:
    release = release_in(_field(package(kernel, kernel.package), "Depends"))
    series = kernel.series
    if release is None or not release.startswith(f"{series}."):
        raise UnavailableError(
            f"the package {kernel.package} of {kernel.release} has no kernel {series} "
            f"(but {release or 'none'})",
            "name another kernel",
        )
    return release


def _field(of: packagefolder.Package, name: str) -> str:
    try:
        done = subprocess.run(
            ["dpkg-deb", "-f", str(of.path), name],
            capture_output=True,
            text=True,
            timeout=_FIELD_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise InfrastructureError(
            f"dpkg-deb cannot read {of.path}", "remove the folder, and it is fetched anew"
        ) from error
    return done.stdout


def keep_modules(tree: Path, built_in: str, names: Sequence[str], to: Path) -> None:
    """Copy modules of a tree, where they may be packed by XZ; what is built in needs none.

    `built_in` is the text of the kernel's modules.builtin. Raises InfrastructureError if one is
    neither.
    """
    rows = built_in.splitlines()
    for name in names:
        path = tree / f"{name}.ko"
        packed = path.with_name(f"{path.name}.xz")
        if packed.is_file():
            (to / path.name).write_bytes(lzma.decompress(packed.read_bytes()))
        elif path.is_file():
            shutil.copyfile(path, to / path.name)
        elif f"kernel/{name}.ko" not in rows:
            raise InfrastructureError(
                f"the kernel has no module {name}", "see harness/matrix/kernels.toml"
            )


def _make_relative(makefile: Path) -> None:
    """Headers that are not installed are not where their Makefile looks for the common ones.

    Since 6.19 it says where it is itself, too.
    """
    text = makefile.read_text()
    text = re.sub(r"^include /usr/src/", "include ../", text, flags=re.MULTILINE)
    own = re.compile(r"^KBUILD_OUTPUT *=.*", re.MULTILINE)
    makefile.write_text(own.sub(f"KBUILD_OUTPUT := {_RELATIVE}", text))
