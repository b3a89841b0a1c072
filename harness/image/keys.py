# SPDX-License-Identifier: GPL-2.0-only
"""The key pair that logs in to guests, and the guests' host key: made fresh for each checkout."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from harness.base import paths, store

_TYPE = b"ssh-ed25519"
_COMMENT = "divert-guest"


@dataclass(frozen=True)
class Keys:
    """Files: the private key of whoever logs in (OpenSSH's form) and its public line; the guest's
    private host key (dropbear's form) and its public line `ssh-ed25519 AAAA... comment`.
    """

    private_key: Path
    public_key: Path
    host_private_key: Path
    host_key: Path


def obtain() -> Keys:
    """The keys of this checkout, made if they are not there yet, or are damaged; nobody but the
    user can read them.

    Raises InfrastructureError if the checkout is not writable.
    """
    folder = store.keep(paths.KEYS, _make, "the keys of this checkout").path
    with store.disk_errors(folder):
        _close_to_others(folder)
    return _named(folder)


def _close_to_others(folder: Path) -> None:
    """A copy of a checkout may have lost the modes."""
    for path, mode in ((folder, 0o700), *((path, 0o600) for path in folder.iterdir())):
        if path.stat().st_mode & 0o077:
            path.chmod(mode)


def _named(folder: Path) -> Keys:
    return Keys(
        folder / "id_ed25519",
        folder / "id_ed25519.pub",
        folder / "host_ed25519.dropbear",
        folder / "host_ed25519.pub",
    )


def _make(folder: Path) -> None:
    folder.chmod(0o700)
    keys = _named(folder)
    user, host = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    _write(
        keys.private_key,
        user.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        ),
    )
    _write(keys.public_key, _public_line(user))
    _write(keys.host_private_key, dropbear_form(host))
    _write(keys.host_key, _public_line(host))


def _write(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(data)


def _raw(key: Ed25519PrivateKey) -> tuple[bytes, bytes]:
    """The private seed and the public key, 32 bytes each."""
    return key.private_bytes_raw(), key.public_key().public_bytes_raw()


def dropbear_form(key: Ed25519PrivateKey) -> bytes:
    """The key as dropbear keeps it: SSH strings of the type, and of seed and public key."""
    seed, public = _raw(key)
    return _string(_TYPE) + _string(seed + public)


def _public_line(key: Ed25519PrivateKey) -> bytes:
    blob = _string(_TYPE) + _string(_raw(key)[1])
    return b" ".join((_TYPE, base64.b64encode(blob), _COMMENT.encode())) + b"\n"


def _string(data: bytes) -> bytes:
    """A string of the SSH protocol (RFC 4251): its length in four bytes, then itself."""
    return len(data).to_bytes(4, "big") + data
