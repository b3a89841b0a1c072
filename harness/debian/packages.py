# SPDX-License-Identifier: GPL-2.0-only
"""Debian packages of any architecture, and source packages, without touching the host.

apt-get, in a folder of its own, has verified what it downloads against the archive's signature. A
download is kept, and not asked for again.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.base import command, paths, store, terminal
from harness.base.errors import AbsentError, InfrastructureError, UnavailableError
from harness.debian import aptlists, hostrelease, packagefolder
from harness.debian.apt import AptError
from harness.debian.hostrelease import Release
from harness.debian.packagefolder import Package

# Threads of this process queue here, without a word; other processes at the lock file. One that
# takes from another release what its own cannot give holds both releases' lock files.
_one_at_a_time = threading.RLock()

# Folders of packages of which it was said that they are another release's.
_told: set[Path] = set()


def source(name: str) -> Package:
    """The upstream tarball of the source package `name`, of the host's release.

    Of another, in the order that harness/debian/distributions.toml has for it, if the host's has no
    such package, or lists one that its mirror has not: that is said in a line.
    Raises UnavailableError without a network, or if no release can give it; InfrastructureError if
    what comes is not what the archive's signed lists say, or there is no room on the disk.
    """
    return _obtain(name, None, host_release(), elsewhere=True)


def binary(name: str, architecture: str, codename: str = "", *, elsewhere: bool = False) -> Package:
    """The host release's package `name` for a Debian architecture (i386, amd64); see `unpack`.

    Or that of another release of the same distribution, by its code name, from the host's mirror;
    or, if it may be from `elsewhere`, as `source` does. Raises what `source` raises.
    """
    return _obtain(name, architecture, host_release().other(codename), elsewhere=elsewhere)


def listed(name: str, architecture: str, codename: str = "") -> str:
    """The version of a binary package in the lists of a release today; nothing of it is fetched.

    Raises what `source` raises.
    """
    version, _ = _looked_up(name, architecture, codename)
    return version


def size(name: str, architecture: str, codename: str = "") -> int:
    """How many bytes of a binary package are yet to be fetched: 0 if it is here.

    Raises what `source` raises.
    """
    if _folder(name, architecture, host_release().other(codename)).exists():
        return 0
    _, size = _looked_up(name, architecture, codename)
    return size


def closure(names: Sequence[str], architecture: str) -> list[str]:
    """The host release's packages that a system would get which has nothing yet, for these to work,
    in the order in which they would be installed; nothing of it is fetched.

    Raises what `source` raises.
    """
    release = host_release()
    folder = _folder(names[0], architecture, release)
    with store.disk_errors(folder), _locked(folder):
        what = f"looking for what {', '.join(names)} need"
        apt = aptlists.prepared(store.root(), architecture, release)
        words = ["install", "--print-uris", "--yes", "--no-install-recommends", *names]
        try:
            said = apt.run(words, what=what)
        except AptError as error:
            raise error.error(what) from error
    # 'ADDRESS' FILE SIZE DIGEST
    found = [word for word in said.split() if word.endswith(".deb")]
    return [file.partition("_")[0] for file in found]


def _looked_up(name: str, architecture: str, codename: str) -> tuple[str, int]:
    """The version and the size of a binary package, of the lists of today."""
    release = host_release().other(codename)
    folder = _folder(name, architecture, release)
    with store.disk_errors(folder), _locked(folder):
        apt, what = aptlists.prepared(store.root(), architecture, release), f"looking for {name}"
        try:
            said = apt.run(["download", "--print-uris", name], what=what)
        except AptError as error:
            raise error.error(what) from error
    # 'ADDRESS' FILE SIZE DIGEST
    words = said.split()
    for file, size in itertools.pairwise(words):
        if (version := packagefolder.version_in(file)) and size.isdecimal():
            return version, int(size)
    raise InfrastructureError(f"apt-get names no file of {name} of {release.name}: {said}")


def one_of(names: str, architecture: str) -> Package:
    """The first that the host's release has of `one|other`: one package by its names over time.

    Raises what `binary` raises for the last of them.
    """
    *earlier, last = names.split("|")
    release = host_release()
    for name in (*earlier, last):
        if _folder(name, architecture, release).is_dir():
            return binary(name, architecture)
    for name in earlier:
        with contextlib.suppress(AbsentError):
            return binary(name, architecture)
    return binary(last, architecture)


def unpack(package: Package, folder: Path, log: Path) -> None:
    """Unpack into `folder`: a source tarball without its topmost folder, or a package's files."""
    if package.path.suffix != ".deb":
        untar(package.path, folder, log)
        return
    folder.mkdir(parents=True, exist_ok=True)
    argv = ["dpkg-deb", "-x", str(package.path), str(folder)]
    command.run(argv, what=f"unpacking {package.path.name}", log=log, seconds=120, into=folder)


def untar(archive: Path, folder: Path, log: Path, seconds: float = 120) -> None:
    """Unpack a tarball into `folder`, without its topmost folder."""
    folder.mkdir(parents=True, exist_ok=True)
    argv = ["tar", "-x", "--strip-components=1", "--no-same-owner"]
    argv += ["-C", str(folder), "-f", str(archive)]
    command.run(argv, what=f"unpacking {archive.name}", log=log, seconds=seconds, into=folder)


def host_release() -> Release:
    """The release that this host is, or is made of."""
    return hostrelease.host()


def _obtain(name: str, architecture: str | None, release: Release, *, elsewhere: bool) -> Package:
    folder = _folder(name, architecture, release)
    with store.disk_errors(folder):
        if folder.is_symlink():
            taken = folder.resolve().parents[1].name
            _tell(
                folder,
                f"{name} is of {taken}: {release.name} could not give it (ask anew: rm {folder})",
            )
        elif not folder.is_dir():
            with _locked(folder):
                if not folder.is_dir():
                    _bring(name, architecture, release, folder, elsewhere=elsewhere)
        try:
            return packagefolder.read(name, folder)
        except packagefolder.DamagedError as error:
            damaged = error
        with _locked(folder):
            _bring_anew(name, architecture, release, folder.resolve(), damaged)
        return packagefolder.read(name, folder)


def _folder(name: str, architecture: str | None, release: Release) -> Path:
    return paths.downloads_dir() / "packages" / release.name / (architecture or "source") / name


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    what = f"the folder of {folder.parent.name} packages"
    with _one_at_a_time, store.lock(folder.parent / "apt.lock", what, download=True):
        yield


def _bring(
    name: str, architecture: str | None, release: Release, folder: Path, *, elsewhere: bool
) -> None:
    """Fill `folder`; or make it a link to the folder of another release that can give it.

    Raises the first release's error if none can.
    """
    try:
        _download(name, architecture, release, folder)
    except AbsentError as error:
        if not elsewhere:
            raise
        absent = error
    else:
        return
    for other in release.others:
        theirs = _folder(name, architecture, other)
        try:
            if not theirs.is_dir():
                with _locked(theirs):
                    _download(name, architecture, other, theirs)
        except UnavailableError:
            continue
        folder.symlink_to(os.path.relpath(theirs, folder.parent))
        why = ": ".join(line.strip() for line in absent.message.splitlines())
        _tell(folder, f"{name} is taken from {other.name}, not {release.name}: {why}")
        return
    raise absent


def _bring_anew(
    name: str,
    architecture: str | None,
    release: Release,
    folder: Path,
    damaged: packagefolder.DamagedError,
) -> None:
    """Fetch a damaged package again; `folder` may be another release's.

    Raises `damaged`, with the reason, if it cannot be had now.
    """
    terminal.say(f"{damaged.message}: it is fetched anew")
    here = next(
        each
        for each in (release, *release.others)
        if _folder(name, architecture, each).resolve() == folder
    )
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".damaged-") as aside:
        folder.rename(Path(aside) / name)
        try:
            _download(name, architecture, here, folder)
        except InfrastructureError as error:
            (Path(aside) / name).rename(folder)
            raise packagefolder.DamagedError(
                f"{damaged.message}; {error.message}", error.hint
            ) from error


def _download(name: str, architecture: str | None, release: Release, folder: Path) -> None:
    """Fetch into a folder beside `folder`, which takes its name when it is whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    apt = aptlists.prepared(store.root(), architecture, release)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".partial-") as work:
        partial = Path(work) / name
        partial.mkdir()
        verb = ["download"] if architecture else ["source", "--download-only", "--tar-only"]
        what = f"downloading the package {name}"
        try:
            apt.run([*verb, name], what=what, cwd=partial)
        except AptError as error:
            raise error.error(what) from error
        files = [path for path in partial.iterdir() if packagefolder.version_in(path.name)]
        if len(files) != 1:
            raise InfrastructureError(
                f"apt-get brought {len(files)} files for the package {name}, not one",
                f"what it said: {apt.log}",
            )
        if files[0].is_symlink():
            # apt-get links to what is on a disk of this machine, which may be a DVD.
            shutil.copyfile(files[0].resolve(), partial / "copy")
            (partial / "copy").replace(files[0])
        packagefolder.write(files[0])
        partial.rename(folder)


def _tell(folder: Path, line: str) -> None:
    """Say once a process what `folder` is."""
    if folder not in _told:
        _told.add(folder)
        terminal.say(line)
