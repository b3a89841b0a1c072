# SPDX-License-Identifier: GPL-2.0-only
"""Python, tcpdump and strace for the guests of kernels of today: an image of its own.

The image is that which tests run on, with a second archive behind it: programs of Debian's
packages, as images/tools.toml names them, and the libraries that they are linked with. Nothing is
installed, and no package's script runs.
"""

from __future__ import annotations

import fnmatch
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.base import command, fingerprint, store, terminal
from harness.base.datafile import Schema, Table
from harness.base.errors import InfrastructureError
from harness.debian import packages
from harness.image import cpio, image, rootfs
from harness.image.image import Image

ARCHITECTURE = "amd64"

# Counts up when what this module makes of its inputs changes.
RECIPE = "2"

_ARCHIVE = "tools.cpio"
_SECONDS = 60.0
# Of merged systems all is below usr; where a package has it in either, it is there, too.
_MERGED = ("bin", "sbin", "lib", "lib64")
_LIBRARIES = "usr/lib/x86_64-linux-gnu"
# readelf -d, of several files.
_FILE = re.compile(r"^File: (.+)$")
_NEEDED = re.compile(r"\(NEEDED\) +Shared library: \[(.+)\]$")


class Choice(Table, frozen=True, kw_only=True, rename="kebab"):
    """What the image with tools has, as images/tools.toml says."""

    packages: tuple[str, ...]
    keep: tuple[str, ...]
    leave_out: tuple[str, ...]
    libraries: tuple[str, ...]
    users: tuple[str, ...]
    memory_mib: int


DATA = Schema(Choice, "images/tools.toml")


def load() -> Choice:
    """What images/tools.toml says. Raises UserError if it is not as its head says."""
    return DATA.read()


def build(base: Image, choice: Choice | None = None) -> Image:
    """The image `base`, an initramfs, with tools: from the checkout, or made of what is kept.

    They are those of images/tools.toml where nobody has a choice of his own.

    Raises UnavailableError without the packages, InfrastructureError if one of the programs would
    lack a library.
    """
    begin = time.monotonic()
    files = _files(choice or load())
    print_ = fingerprint.of_bytes(RECIPE, fingerprint.of_file(base.initrd), files.name)

    def make(folder: Path) -> None:
        image.add(base, (files / _ARCHIVE).read_bytes(), folder)

    entry = image.keep(print_, make, "the guest image with tools")
    seconds = 0.0 if entry.cached else time.monotonic() - begin
    return replace(
        base,
        initrd=entry.path / image.INITRD,
        seconds=base.seconds + seconds,
        cached=base.cached and entry.cached,
    )


def _files(choice: Choice) -> Path:
    """The folder of the archive of these tools: of the host's release as it first was."""

    def make(folder: Path) -> None:
        log = command.new_log("tools")
        names = packages.closure(choice.packages, ARCHITECTURE)
        terminal.say(f"tools for the guest: {len(names)} packages of Debian's")
        work = folder / "work"
        for name in names:
            packages.unpack(packages.binary(name, ARCHITECTURE), work / name, log)
        root = folder / "root"
        _lay_out(choice, _merged(work), root, log)
        rootfs.settle(root)
        (folder / _ARCHIVE).write_bytes(cpio.archive(_entries(root)))
        for each in (work, root):
            shutil.rmtree(each)

    release = packages.host_release()
    key = fingerprint.of_bytes(
        RECIPE, release.name, repr(choice), fingerprint.of_tree(rootfs.SKELETON)
    )
    return store.obtain("tools", key, make, "the guest's tools").path


def _merged(work: Path) -> dict[str, Path]:
    """All files of the unpacked packages, by their paths on a system whose /lib is /usr/lib."""
    found = {}
    for package in sorted(work.iterdir()):
        for path in package.rglob("*"):
            if path.is_symlink() or path.is_file():
                name = path.relative_to(package).as_posix()
                top = name.partition("/")[0]
                found[f"usr/{name}" if top in _MERGED else name] = path
    return found


def _lay_out(choice: Choice, every: Mapping[str, Path], root: Path, log: Path) -> None:
    """Copy to `root` what is chosen, and the libraries that it is linked with."""
    chosen = [name for name in every if _is_chosen(name, choice)]
    wanted = list(chosen)
    libraries = [f"{_LIBRARIES}/{name}" for name in choice.libraries]
    while wanted:
        for name in wanted:
            _copy(every[name], root / name)
        known = {path.name for path in (root / _LIBRARIES).glob("*")}
        needed = _needed([root / name for name in wanted], log)
        wanted = sorted(
            {f"{_LIBRARIES}/{name}" for names in needed.values() for name in names - known}
            | {name for name in libraries if Path(name).name not in known}
        )
        if lacking := [name for name in wanted if name not in every]:
            raise InfrastructureError(
                f"the tools for the guest lack a library: {Path(lacking[0]).name}",
                f"add its package to {DATA.where}",
            )
        # The file that a library's name leads to.
        wanted += [name for name in _targets(wanted, every) if name not in wanted]
    # Whose path is in each program.
    loader = root / "lib64/ld-linux-x86-64.so.2"
    loader.parent.mkdir()
    loader.symlink_to(f"/{_LIBRARIES}/ld-linux-x86-64.so.2")
    passwd = root / "etc/passwd"
    lines = (rootfs.SKELETON / "etc/passwd").read_text() + "".join(f"{u}\n" for u in choice.users)
    passwd.parent.mkdir(exist_ok=True)
    passwd.write_text(lines)


def _is_chosen(name: str, choice: Choice) -> bool:
    """Whether the file's path is one to keep (pure)."""
    kept = any(fnmatch.fnmatchcase(name, pattern) for pattern in choice.keep)
    return kept and not any(fnmatch.fnmatchcase(name, pattern) for pattern in choice.leave_out)


def _targets(names: Iterable[str], every: Mapping[str, Path]) -> Iterator[str]:
    for name in names:
        if every[name].is_symlink():
            target = (Path(name).parent / every[name].readlink().name).as_posix()
            if target in every:
                yield target


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink():
        target.symlink_to(source.readlink())
    else:
        shutil.copyfile(source, target)


def _needed(files: Sequence[Path], log: Path) -> dict[Path, set[str]]:
    """The libraries that each of these files is linked with, but for those that are no programs.

    ld-linux-x86-64.so.2 is one of them.
    """
    programs = [path for path in files if path.is_file() and _is_elf(path)]
    if not programs:
        return {}
    begin = log.stat().st_size if log.exists() else 0
    argv: list[str | Path] = ["readelf", "-d", "-W", *programs]
    command.run(argv, what="what the tools are linked with", log=log, seconds=_SECONDS)
    found: dict[Path, set[str]] = {path: set() for path in programs}
    at = programs[0]
    with log.open(errors="replace") as stream:
        stream.seek(begin)
        for line in stream:
            if row := _FILE.match(line):
                at = Path(row[1])
            elif row := _NEEDED.search(line.rstrip()):
                found[at].add(row[1])
    return found


def _is_elf(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4) == b"\x7fELF"


def _entries(root: Path) -> list[cpio.Entry]:
    """The files as the guest gets them; the loader, a library of that name, is a program too."""
    return [
        replace(each, mode=each.mode | 0o111) if each.name.startswith(f"{_LIBRARIES}/ld-") else each
        for each in cpio.tree(root)
    ]
