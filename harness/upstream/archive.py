# SPDX-License-Identifier: GPL-2.0-only
"""A source archive: unpacked so that nothing in it can reach outside its folder, and packed."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import shutil
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO, cast

from harness.base.errors import InfrastructureError
from harness.upstream import treenames

CHUNK = 1 << 18

# Every file's time, in seconds of the epoch: 1 January 2000. With one time for all, make does not
# take a file that a release ships made for older than what it is made from.
FILE_TIME = 946684800


# The first bytes of what each can open.
_OPENERS: dict[bytes, type[gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
}


class BadArchiveError(InfrastructureError):
    """An archive that is truncated, corrupt, no archive at all, or not safe to unpack."""


def unpack(archive: Path, folder: Path) -> dict[str, str]:
    """Unpack a .tar.gz, .tar.bz2 or .tar.xz into `folder`; the content, path to SHA-256.

    The compression is told from the bytes, not the name. A single folder at the top is taken off,
    whatever its name. Modes and times are not kept, so that archives of one release give one tree.
    Links to what is not in the archive are refused.

    Raises BadArchiveError; the message says how the archive is bad, and names no file.
    """
    try:
        with _decompressed(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            content = _write_all(tar, folder)
            # tarfile takes damage for the end, and stops; the sum at the end tells.
            while stream.read(CHUNK):
                pass
        content = _without_top(folder, content)
        treenames.check_tree(content)
    except treenames.BadNameError as error:
        raise BadArchiveError(str(error)) from error
    except EOFError as error:
        raise BadArchiveError("it is truncated") from error
    except (tarfile.TarError, lzma.LZMAError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's, not the archive's
        truncated = "unexpected end" in str(error)
        message = "it is truncated" if truncated else f"it is corrupt: {error}"
        raise BadArchiveError(message) from error
    return content


def _write_all(tar: tarfile.TarFile, folder: Path) -> dict[str, str]:
    """Write what is in a tar into `folder`; path to SHA-256, or to what a link leads to."""
    content: dict[str, str] = {}
    links: dict[str, str] = {}
    names = treenames.Names()
    for member in tar:
        name = _safe_name(member.name)
        if member.isreg():
            names.file(name)
            data = tar.extractfile(member)
            assert data is not None  # as it is for every regular file
            content[name] = _write(data, folder / name)
        elif member.islnk():
            names.file(name)
            content[name] = _copy(_safe_name(member.linkname), name, content, folder)
        elif member.issym():
            names.link(name)
            links[name] = member.linkname
        elif not member.isdir():
            what = treenames.shown(name)
            raise BadArchiveError(f"{what} is a device or another special file")
    # Last, so that no file can be written through one.
    for name, target in links.items():
        treenames.check(target)
        _safe_name(str(PurePosixPath(name).parent / target), follow=True)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(target)
        content[name] = f"{treenames.LINK}{target}"
    return content


def _copy(first: str, name: str, content: Mapping[str, str], folder: Path) -> str:
    """Make `name` a copy of the file `first`, which came before it; its SHA-256."""
    if first not in content:
        what = f"{treenames.shown(name)} is a link to {treenames.shown(first)}"
        raise BadArchiveError(f"{what}, which is not in it")
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(folder / first, folder / name)
    settle(folder / name)
    return content[first]


def _decompressed(archive: Path) -> IO[bytes]:
    """The bytes of the tar in the archive, which fails at its end if a checksum does not match."""
    with archive.open("rb") as stream:
        begin = stream.read(max(map(len, _OPENERS)))
    for magic, opener in _OPENERS.items():
        if begin.startswith(magic):
            return cast(IO[bytes], opener(archive))
    what = "not a .tar.gz, .tar.bz2 or .tar.xz" if begin else "empty"
    raise BadArchiveError(f"it is {what}")


def _safe_name(name: str, *, follow: bool = False) -> str:
    """The path without `.` parts; raises BadArchiveError if it is absolute or leads outside."""
    path = PurePosixPath(name)
    depth = 0
    for part in path.parts:
        depth += -1 if part == ".." else 1
        if depth < 0 or (part == ".." and not follow):
            raise BadArchiveError(f"it has an unsafe path: {treenames.shown(name)}")
    if path.is_absolute():
        raise BadArchiveError(f"it has an unsafe path: {treenames.shown(name)}")
    return path.as_posix()


def _write(stream: IO[bytes], target: Path) -> str:
    digest = hashlib.sha256()
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as out:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            out.write(chunk)
    settle(target)
    return digest.hexdigest()


def pack(tree: Path, top: str, target: Path) -> None:
    """Pack `tree` as a .tar.gz with the one folder `top` in it: the same bytes for the same files.

    All is root's and of one time; what begins with #! can be run.
    """
    with (
        target.open("wb") as raw,
        gzip.GzipFile("", "wb", 9, raw, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w|", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for path in [tree, *sorted(tree.rglob("*"))]:
            _add(tar, path, (PurePosixPath(top) / path.relative_to(tree)).as_posix())


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    row = tarfile.TarInfo(name)
    row.uname = row.gname = "root"
    row.mtime = FILE_TIME
    if path.is_symlink():
        row.type, row.linkname, row.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
        tar.addfile(row)
    elif path.is_dir():
        row.type, row.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(row)
    else:
        data = path.read_bytes()
        row.size, row.mode = len(data), 0o755 if data.startswith(b"#!") else 0o644
        tar.addfile(row, io.BytesIO(data))


def settle(path: Path) -> None:
    """Give a file of a source tree the mode and the time that all of them have."""
    path.chmod(0o644)
    os.utime(path, (FILE_TIME, FILE_TIME))


def _without_top(folder: Path, content: dict[str, str]) -> dict[str, str]:
    tops = {path.split("/", 1)[0] for path in content}
    if len(tops) != 1 or tops <= content.keys():
        return content
    (top,) = tops
    # Under a name that nothing in it can have, since a folder may hold one of its own name.
    (folder / top).rename(folder / ".top")
    for path in list((folder / ".top").iterdir()):
        path.rename(folder / path.name)
    (folder / ".top").rmdir()
    return {path.split("/", 1)[1]: value for path, value in content.items()}
