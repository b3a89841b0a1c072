# SPDX-License-Identifier: GPL-2.0-only
"""The guest's RAM disk: all parts, the programs of tests/programs and this checkout's keys."""

from __future__ import annotations

import concurrent.futures
import gzip
import os
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.base import command, fingerprint, paths, store, terminal
from harness.image import guestprograms, keys, rootfs, sysroot
from harness.kernel import kernel, parts
from harness.kernel.parts import Layout
from harness.matrix import availability

# Counts up when what this module makes of its inputs changes.
RECIPE = "1"

# As it is named to who waits for it.
WHAT = "the guest image"

# The image, in its folder.
INITRD = "initrd.gz"

GENEXT2FS_SECONDS = 60.0


@dataclass(frozen=True)
class Image:
    """The RAM disk for QEMU's -initrd (ext2, gzip), and the files that a login to it needs.

    `private_key` is in OpenSSH's form; `host_key` holds the guest's public key, a line
    `ssh-ed25519 AAAA...`. `seconds` is 0.0 when the image was there before.
    """

    initrd: Path
    private_key: Path
    host_key: Path
    seconds: float
    cached: bool


def build(*, jobs: int = 0, given: Sequence[str] = (), without: Collection[str] = ()) -> Image:
    """The guest image of this checkout, from the cache or built; `given` is that of --source.

    `without` are upstream sources to do without, as `userland` does. Raises MissingSourceError for
    any other that is not at hand; InfrastructureError if a part cannot be downloaded or built, or
    all of it does not fit into the RAM disk.
    """
    image, _ = _build(jobs=jobs, given=given, without=without)
    return image


def build_and_print(*, jobs: int, given: Sequence[str]) -> None:
    """`invoke build-image`: build it, and print each part's time and where the image is."""
    missing = availability.look(given).missing
    if kernel.SOURCE in missing:
        raise missing[kernel.SOURCE]
    availability.tell(missing)
    image, built = _build(jobs=jobs, given=given, without=missing)
    table = terminal.Grid("part", "seconds", "where")
    for part in built:
        table.row(part.name, "cached" if part.cached else f"{part.seconds:.1f}", str(part.folder))
    table.row("image", "cached" if image.cached else f"{image.seconds:.1f}", str(image.initrd))
    terminal.show(table)


def _build(
    *, jobs: int, given: Sequence[str], without: Collection[str]
) -> tuple[Image, list[parts.Built]]:
    begin = time.monotonic()
    built = userland(jobs=jobs, given=given, without=without)
    secrets = keys.obtain()
    layout = parts.DATA.read().image
    print_ = fingerprint.of_bytes(
        RECIPE,
        repr(layout),
        rootfs.identity(built, secrets),
    )
    entry = keep(print_, lambda folder: _assemble(folder, layout, built, secrets), WHAT)
    # What the image is made of may have been built for it.
    seconds = 0.0 if entry.cached else time.monotonic() - begin
    image = Image(entry.path / INITRD, secrets.private_key, secrets.host_key, seconds, entry.cached)
    return image, built


def keep(print_: str, make: Callable[[Path], None], what: str) -> store.Entry:
    """The folder of an image that `make` assembles, which the checkout keeps: its keys are in it.

    Raises what store.keep raises.
    """
    return store.keep(paths.BUILD / "image" / print_[:32], make, what)


def pack(content: bytes, folder: Path) -> None:
    """Write an image, unpacked so far, into its folder."""
    # The guest's private host key is in it.
    with open(folder / INITRD, "xb", opener=_privately) as stream:
        stream.write(gzip.compress(content, compresslevel=6, mtime=0))


def add(image: Image, content: bytes, folder: Path) -> Image:
    """An image in `folder` that is another one, an initramfs, and a second archive behind it: the
    kernel unpacks both, and of files with one name the later one holds.

    It is kept nowhere.
    """
    with open(folder / INITRD, "xb", opener=_privately) as stream:
        stream.write(image.initrd.read_bytes())
        stream.write(gzip.compress(content, compresslevel=1, mtime=0))
    return replace(image, initrd=folder / INITRD, cached=False)


def _privately(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def userland(
    *, jobs: int = 0, given: Sequence[str] = (), without: Collection[str] = ()
) -> list[parts.Built]:
    """All parts and the programs, in the order of the data file; two or more at once.

    Nothing is made from the upstream sources in `without`: there is no ipchains, but our own
    program in its place; programs are compiled with the module's linux/ip_fw.h, not the kernel's.
    """
    jobs = jobs or parts.processors()
    wanted = {name: part for name, part in parts.load().items() if part.upstream not in without}
    first = wanted.pop("libc")
    parts.fetch(first)
    pending: list[concurrent.futures.Future[Any]] = []
    with concurrent.futures.ThreadPoolExecutor(max_workers=max(2, jobs)) as pool:
        try:
            # The others' packages come while the libc is compiled.
            pending += [pool.submit(parts.fetch, part) for part in wanted.values()]
            libc = parts.build(first, (), jobs=jobs, given=given)
            futures = [
                pool.submit(parts.build, part, (libc,), jobs=jobs, given=given)
                for part in wanted.values()
            ]
            headers_of = None if kernel.SOURCE in without else given
            compiled = pool.submit(_build_programs, libc, headers_of, tuple(wanted))
            pending += [*futures, compiled]
            concurrent.futures.wait(pending, return_when=concurrent.futures.FIRST_EXCEPTION)
            for future in pending:
                if future.done():
                    future.result()
            return [libc, *(future.result() for future in futures), *compiled.result()]
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            if not isinstance(error, Exception):
                # Ctrl-C reaches this thread alone; the others' compilers and waits are ended here.
                # (Futures that were cancelled are done, but wait() does not count them.)
                with store.giving_up():
                    while running := [future for future in pending if not future.done()]:
                        command.end_all()
                        concurrent.futures.wait(running, timeout=0.1)
            raise


def _build_programs(
    libc: parts.Built, given: Sequence[str] | None, present: Sequence[str]
) -> list[parts.Built]:
    if given is None:
        return guestprograms.build(sysroot.of_today(libc), present)
    return guestprograms.build(sysroot.combine(libc, kernel.headers(given)), present)


def _assemble(
    folder: Path, layout: Layout, built: Sequence[parts.Built], secrets: keys.Keys
) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as work:
        root = Path(work) / "root"
        rootfs.lay_out(root, built, secrets)
        rootfs.settle(root)
        raw = Path(work) / "root.ext2"
        command.run(
            # -U: all is root's; -f: no times of today, so the same files make the same image.
            [
                *("genext2fs", "-U", "-f", "-b", str(layout.size), "-N", str(layout.inodes)),
                *("-d", str(root), "-D", str(rootfs.DEVICES), str(raw)),
            ],
            what="making the guest's file system",
            log=command.new_log("guest-image"),
            seconds=GENEXT2FS_SECONDS,
        )
        pack(raw.read_bytes(), folder)
