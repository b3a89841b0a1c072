# SPDX-License-Identifier: GPL-2.0-only
"""The cache as one tar file, for machines that are to have what another has built.

It has entries of the store, each with its digests, and downloads: packages and upstream archives.
What comes in is held against the digests before any of it is taken. They tell what broke on the
way, not who made it: a file is to be trusted as whoever could write into the cache is.
"""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from harness.base import digests, fingerprint, paths, store, terminal
from harness.base.errors import InfrastructureError, UserError
from harness.boot import bootable
from harness.matrix import variants

MANIFEST = "divert-cache.json"
SCHEMA = 1
_DOWNLOADS = "downloads"
_HINT = "use a file that ./inv cache export has written, copied whole"


@dataclass(frozen=True)
class Contents:
    """What a tar file has: entries as `kind/fingerprint`, and downloads, by their path below
    `downloads/`: a file's SHA-256, or where a link leads.
    """

    entries: tuple[str, ...]
    files: Mapping[str, str]
    links: Mapping[str, str]


def export(
    file: str,
    *,
    variant: str | None = None,
    matrix: str | None = None,
    kernel: str | None = None,
    given: Sequence[str] = (),
) -> None:
    """Write what the variants need into a tar file, what is not there yet being built; all that is
    in the cache, if none are named.

    Raises UserError for a variant or a file that cannot be, InfrastructureError for what cannot be
    had, and for an entry that is damaged.
    """
    target = Path(file).absolute()
    if not target.parent.is_dir():
        raise UserError(f"cannot write {target}: there is no folder {target.parent}")
    cache = store.root()
    if variant is matrix is kernel is None:
        used: set[Path] = {*store.entries(cache), *_all_downloads(paths.downloads_dir())}
    else:
        with store.noting() as used:
            for row in variants.select(variant, matrix, kernel):
                bootable.build(row, given)
    entries = sorted(path for path in used if _is_entry(path, cache))
    downloads = sorted(_downloads(used, paths.downloads_dir()))
    with store.disk_errors(target):
        _write(target, cache, entries, paths.downloads_dir(), downloads)
    told = f"{len(entries)} entries, {len(downloads)} downloads"
    terminal.show(f"{target}: {told}, {target.stat().st_size >> 20} MiB")


def _is_entry(path: Path, cache: Path) -> bool:
    inside = path.is_relative_to(cache) and len(path.relative_to(cache).parts) == 2
    return inside and store.is_entry(path.name)


def _all_downloads(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_file():
            yield path
    yield from folder.glob("packages/*/*/[!.]*")


def _downloads(used: Iterable[Path], folder: Path) -> Iterator[Path]:
    """The files, and links, that are used of the folder of downloads."""
    for path in used:
        if not path.is_relative_to(folder):
            continue
        if path.is_symlink():
            yield path
            path = path.resolve()  # noqa: PLW2901
        if path.is_dir() and path.is_relative_to(folder.resolve()):
            yield from (folder / each.relative_to(folder.resolve()) for each in _files(path))
        elif path.is_file():
            yield path


def _files(folder: Path) -> Iterator[Path]:
    return (path.resolve() for path in folder.iterdir() if path.is_file())


def _write(
    target: Path, cache: Path, entries: Sequence[Path], folder: Path, downloads: Sequence[Path]
) -> None:
    names = {path: path.relative_to(folder).as_posix() for path in downloads}
    manifest = {
        "schema": SCHEMA,
        "entries": [path.relative_to(cache).as_posix() for path in entries],
        "files": {
            name: fingerprint.of_file(path) for path, name in names.items() if not path.is_symlink()
        },
        "links": {
            name: path.readlink().as_posix() for path, name in names.items() if path.is_symlink()
        },
    }
    partial = target.with_name(f".{target.name}.partial")
    try:
        with tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as tar:
            _add_text(tar, MANIFEST, json.dumps(manifest, indent=1))
            for path in entries:
                # What is damaged here would be refused there.
                try:
                    digests.check(path)
                except digests.DamagedError as error:
                    raise InfrastructureError(
                        f"{path} is damaged: {error}", "name variants: then it is made anew"
                    ) from error
                name = path.relative_to(cache).as_posix()
                tar.add(digests.beside(path), name + digests.ENDING, filter=_plain)
                tar.add(path, name, filter=_plain)
            for path, name in names.items():
                if not path.is_symlink():
                    tar.add(path, f"{_DOWNLOADS}/{name}", filter=_plain)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without what is of this machine: the same content is the same file."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    data = text.encode()
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def read(file: str) -> None:
    """Take what is in a tar file into the cache, if all of it is what was exported, or none.

    What is there already stays. Raises UserError for a file that is none of `export`,
    InfrastructureError for one that is broken or has more than it says, and where the cache cannot
    be written.
    """
    source = Path(file)
    cache = store.root()
    with store.disk_errors(cache):
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".import-") as staging:
            contents = _unpack(source, Path(staging))
            _check(source, contents, Path(staging))
            new = sum(_adopt(name, Path(staging), cache) for name in contents.entries)
            new_files = _adopt_downloads(contents, Path(staging) / _DOWNLOADS)
    every = len(contents.entries) + len(contents.files)
    terminal.show(f"{source}: {every} found, {new + new_files} of them new")


def _unpack(source: Path, staging: Path) -> Contents:
    """Unpack all of it below `staging`: folders, files and links, by their names alone."""
    try:
        with tarfile.open(source) as tar:
            first = tar.next()
            if first is None or first.name != MANIFEST or not first.isfile():
                raise UserError(f"{source} is no cache that was exported", _HINT)
            contents = _contents(source, tar, first)
            for member in tar:
                if member is not first:
                    _take(source, tar, member, contents, staging)
    except FileNotFoundError as error:
        raise UserError(f"there is no file {source}") from error
    except (tarfile.TarError, EOFError) as error:
        raise InfrastructureError(f"{source} cannot be read: {error}", _HINT) from error
    return contents


def _contents(source: Path, tar: tarfile.TarFile, member: tarfile.TarInfo) -> Contents:
    stream = tar.extractfile(member)
    assert stream is not None
    try:
        row: Any = json.loads(stream.read())
        if row["schema"] != SCHEMA:
            raise UserError(f"{source} is of another version of this ({row['schema']})", _HINT)
        contents = Contents(tuple(row["entries"]), dict(row["files"]), dict(row["links"]))
        names = [*contents.entries, *contents.files, *contents.links]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{source} is no cache that was exported: {error}", _HINT) from error
    for name in names:
        if not isinstance(name, str) or not _inside(name):
            raise _foreign(source, str(name))
    for name in contents.entries:
        kind, _, key = name.partition("/")
        if not kind.isidentifier() or not store.is_entry(key):
            raise _foreign(source, name)
    for name, leads in contents.links.items():
        ends = _joined(PurePosixPath(name).parent, leads)
        if not name.startswith("packages/") or ends is None or ends.parts[:1] != ("packages",):
            raise _foreign(source, name)
    return contents


def _inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and str(path) == name


def _joined(folder: PurePosixPath, leads: str) -> PurePosixPath | None:
    """Where a link in a folder leads; None if out of all folders."""
    parts = list(folder.parts)
    for part in PurePosixPath(leads).parts:
        if part == "..":
            if not parts:
                return None
            parts.pop()
        else:
            parts.append(part)
    return PurePosixPath(*parts)


def _foreign(source: Path, name: str) -> InfrastructureError:
    return InfrastructureError(f"{source}: {name} is nothing that a cache has", _HINT)


def _take(
    source: Path,
    tar: tarfile.TarFile,
    member: tarfile.TarInfo,
    contents: Contents,
    staging: Path,
) -> None:
    name = member.name
    if not _inside(name) or not _known(name, contents):
        raise _foreign(source, name)
    target = staging / name
    # Through no link that came before: what is in the file stays below `staging`.
    if target.parent.resolve() != staging.resolve() / PurePosixPath(name).parent:
        raise _foreign(source, name)
    if member.isdir():
        target.mkdir(parents=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if member.issym():
        target.symlink_to(member.linkname)
    elif member.isreg() and (stream := tar.extractfile(member)) is not None:
        with target.open("xb") as out:
            shutil.copyfileobj(stream, out)
        target.chmod(0o755 if member.mode & 0o100 else 0o644)
    elif member.islnk():
        # The same file under two names, as tar has it; each has its own digest.
        other = staging / member.linkname
        if not _inside(member.linkname) or not other.is_file() or other.is_symlink():
            raise _foreign(source, name)
        shutil.copy(other, target)
    else:
        raise _foreign(source, name)


def _known(name: str, contents: Contents) -> bool:
    """Whether the manifest tells of it."""
    if name.startswith(f"{_DOWNLOADS}/"):
        return name.removeprefix(f"{_DOWNLOADS}/") in contents.files
    own = "/".join(PurePosixPath(name).parts[:2])
    return own.removesuffix(digests.ENDING) in contents.entries


def _check(source: Path, contents: Contents, staging: Path) -> None:
    for name in contents.entries:
        try:
            digests.check(staging / name)
        except digests.DamagedError as error:
            raise InfrastructureError(f"{source}: {name} is damaged: {error}", _HINT) from error
    for name, digest in contents.files.items():
        path = staging / _DOWNLOADS / name
        if not path.is_file() or path.is_symlink() or fingerprint.of_file(path) != digest:
            raise InfrastructureError(f"{source}: {_DOWNLOADS}/{name} is damaged", _HINT)


def _adopt(name: str, staging: Path, cache: Path) -> bool:
    return store.adopt(staging / name, cache / name, name)


def _adopt_downloads(contents: Contents, staging: Path) -> int:
    """Each that is not there takes its place; how many did."""
    folder, new = paths.downloads_dir(), 0
    for name in contents.files:
        target = folder / name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            # Downloads may be on another file system than the cache.
            partial = target.with_name(f".{target.name}.partial")
            shutil.copyfile(staging / name, partial)
            partial.replace(target)
            new += 1
    for name, leads in contents.links.items():
        target = folder / name
        if not target.exists() and not target.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(leads)
    return new


def run(action: str, file: str, **chosen: Any) -> None:
    """What the command line asks for. Raises UserError for neither of the two, and as these do."""
    if action == "export":
        export(file, **chosen)
    elif action == "import":
        if wrong := [name for name, value in chosen.items() if value]:
            raise UserError(f"--{wrong[0]} is for cache export: import takes all that a file has")
        read(file)
    else:
        raise UserError(
            f"cache {action}: it is export or import", "as in: ./inv cache export F.tar"
        )
