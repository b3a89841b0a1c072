# SPDX-License-Identifier: GPL-2.0-only
"""Fingerprints: what goes into a build, as one hexadecimal SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def of_bytes(*parts: bytes | str) -> str:
    """Fingerprint of the parts, in order; where one ends and the next begins counts."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()


def of_file(path: Path) -> str:
    """SHA-256 of one file's bytes, as `sha256sum` prints it."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def of_files(root: Path, paths: Iterable[Path]) -> str:
    """Fingerprint of files under `root`: their names relative to it, and their content."""
    parts: list[str] = []
    for path in sorted(paths):
        parts += [path.relative_to(root).as_posix(), of_file(path)]
    return of_bytes(*parts)


def of_tree(root: Path) -> str:
    """Fingerprint of every regular file below `root`; of an absent folder, that of an empty one."""
    return of_files(root, (path for path in root.rglob("*") if path.is_file()))
