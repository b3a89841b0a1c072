# SPDX-License-Identifier: GPL-2.0-only
"""What a variant boots, whichever kernel it is of: built here, or a distribution's."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.base import command, terminal
from harness.base.errors import InfrastructureError, UnavailableError, UserError
from harness.boot import initramfs
from harness.image import image, tools
from harness.image.image import Image
from harness.kernel import debiankernel, kernel, module, parts, rebuilt
from harness.kernel.debiankernel import Distributed
from harness.matrix import availability, kernels, variants
from harness.matrix.kernels import Hardware, Kernel
from harness.matrix.variants import Variant

# What --matrix can name, as the module's parameters.
_OPTIONS = ("passthrough", "defrag")


@dataclass(frozen=True)
class Bootable:
    """A variant's kernel and the guest's image for it.

    `objects` holds net/ipv4/*.o and `system_map` the kernel's symbols, of a kernel that was built
    here. `seconds` went into the kernel, or into the module and the image made for it. `packed` is
    the kernel in the form that boots later and is put back sooner, if there is another.
    `memory_mib` is what the image needs, if that is more than the kernel's machine has.
    """

    kernel: Kernel
    variant: Variant
    bzimage: Path
    image: Image
    seconds: float
    cached: bool
    system_map: Path | None = None
    objects: Path | None = None
    packed: Path | None = None
    memory_mib: int = 0

    @property
    def hardware(self) -> Hardware:
        """The machine that it boots on: the variant's, with as much memory as its image takes."""
        own = self.variant.hardware
        return replace(own, memory_mib=max(own.memory_mib, self.memory_mib))

    def with_tools(self) -> Bootable:
        """The same with Python, tcpdump and strace in its image.

        Raises UserError for a kernel that such programs are too new for; UnavailableError if they
        cannot be had.
        """
        require_tools(self.variant)
        made = tools.build(self.image)
        return replace(self, image=made, memory_mib=tools.load().memory_mib)

    def kernel_for(self, *, long: bool) -> Path:
        """The file to boot, for a long row of tests or a short one.

        Before each `loadvm` QEMU resets the machine and writes what it loaded itself again: all of
        an ELF kernel, whose translated code is thrown away block by block. It costs 75 ms, under
        TCG (2 cores, QEMU 7.2); a packed kernel's code is the guest's own, but unpacking takes 3 s.
        """
        return self.packed if long and self.packed else self.bzimage


def require_tools(variant: Variant) -> None:
    """Raise UserError for a variant whose kernel cannot run what an image with tools has."""
    if kernels.named(variant.kernel).sources:
        raise UserError(
            f"--tools: {variant.name} is Linux 2.2.12, and Debian's Python, tcpdump and strace are "
            "programs of 64 bits that want a kernel of 3.2 or later",
            "as in: ./inv run --tools --variant linux-6.1:base -- python3; for 2.2.12 Python is "
            "outside: docs/python.md",
        )


def userland(row: Kernel, given: Sequence[str] = (), without: Collection[str] = ()) -> Userland:
    """What all variants of a kernel have in their image.

    `without` are upstream sources that are not at hand. Raises InfrastructureError and
    MissingSourceError as image.build does.
    """
    command.require(row.hardware.program)
    if row.sources:
        return Userland(row, tuple(given), image.build(given=given, without=without), ())
    built = tuple(image.userland(given=given, without=without))
    return Userland(row, tuple(given), None, built)


@dataclass(frozen=True)
class Userland:
    """The guest's programs: in an image that fits each variant, or in parts for such images."""

    kernel: Kernel
    given: tuple[str, ...]
    image: Image | None
    parts: tuple[parts.Built, ...]

    @property
    def seconds(self) -> float:
        """How long it took to build, 0.0 if it was there."""
        return self.image.seconds if self.image else max(part.seconds for part in self.parts)

    @property
    def cached(self) -> bool:
        """Whether all of it was there."""
        return self.image.cached if self.image else all(part.cached for part in self.parts)

    def boot(self, variant: Variant) -> Bootable:
        """Build what `variant` boots. Raises InfrastructureError."""
        return self._built(variant) if self.image else self._distributed(variant)

    def _built(self, variant: Variant) -> Bootable:
        assert self.image is not None
        made = kernel.build(variant, given=self.given)
        return Bootable(
            self.kernel,
            variant,
            made.bzimage,
            self.image,
            made.seconds,
            made.cached,
            made.system_map,
            made.objects,
        )

    def _distributed(self, variant: Variant) -> Bootable:
        found = distributed(self.kernel)
        made = module.build(found.headers) if variant.module else None
        parameters = [f"{name}={int(name in variant.options)}" for name in _OPTIONS]
        packed = initramfs.build(self.kernel, found, self.parts, made, parameters if made else ())
        seconds = found.seconds + packed.seconds + (made.seconds if made else 0.0)
        return Bootable(
            self.kernel,
            variant,
            found.image,
            packed,
            seconds,
            seconds == 0.0,
            packed=found.packed,
        )


def distributed(row: Kernel) -> Distributed:
    """A distribution's kernel, or one built here from its source package. Raises as these do."""
    return rebuilt.obtain(row) if row.source_package else debiankernel.obtain(row)


def build(variant: Variant, given: Sequence[str] = ()) -> Bootable:
    """What one variant boots; says what it has to do without.

    Raises InfrastructureError and MissingSourceError.
    """
    row = kernels.named(variant.kernel)
    found = availability.look(given)
    found.require(row)
    availability.tell(found.missing)
    return userland(row, given, found.missing).boot(variant)


def build_and_print(
    *,
    variant: str | None,
    matrix: str | None,
    kernels_named: str | None = None,
    jobs: int,
    given: Sequence[str],
) -> None:
    """Build the variants that the command line names, and print a table of where they are.

    Raises InfrastructureError, after all others are built, for those that could not be had or
    built.
    """
    table = terminal.Grid("variant", "built in", "file", "where", right=("built in",))
    absent: dict[str, list[str]] = {}
    for row in variants.select(variant, matrix, kernels_named):
        try:
            files, seconds = _files(row, jobs, given)
        except InfrastructureError as error:
            what = "missing" if isinstance(error, UnavailableError) else "NOT BUILT"
            absent.setdefault(str(error), []).append(row.name)
            table.row(row.name, "", what, "")
            continue
        took = f"{seconds:.1f} s" if seconds else "(before)"
        for number, (name, path) in enumerate(files.items()):
            first = number == 0
            table.row(row.name if first else "", took if first else "", name, str(path))
    terminal.show(table)
    if absent:
        raise InfrastructureError(
            "\n".join(f"{', '.join(names)}: {reason}" for reason, names in absent.items())
        )


def _files(row: Variant, jobs: int, given: Sequence[str]) -> tuple[dict[str, Path], float]:
    if kernels.named(row.kernel).sources:
        made = kernel.build(row, jobs=jobs, given=given)
        files = {"bzImage": made.bzimage, "System.map": made.system_map, ".config": made.config}
        return files, made.seconds
    found = distributed(kernels.named(row.kernel))
    files = {found.image.name: found.image, "headers": found.headers.path}
    if not row.module:
        return files, found.seconds
    built = module.build(found.headers, jobs=jobs)
    return files | {"divert.ko": built.path}, found.seconds + built.seconds
