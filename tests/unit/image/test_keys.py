# SPDX-License-Identifier: GPL-2.0-only
"""Keys of a checkout: fresh, private, and in the forms that paramiko and dropbear read."""

from __future__ import annotations

import base64
from pathlib import Path

import paramiko
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from harness.base import paths, store
from harness.image import keys


@pytest.fixture(name="folder", autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "build" / "keys"
    monkeypatch.setattr(paths, "KEYS", folder)
    return folder


def test_made_once_and_not_the_same_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = keys.obtain()
    assert keys.obtain() == first
    here = first.private_key.read_bytes()
    monkeypatch.setattr(paths, "KEYS", tmp_path / "other" / "keys")
    assert keys.obtain().private_key.read_bytes() != here


def test_nobody_else_can_read_them(folder: Path) -> None:
    keys.obtain()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_a_copy_that_others_can_read_is_closed_to_them(folder: Path) -> None:
    """As of a checkout that was copied without its modes."""
    keys.obtain()
    folder.chmod(0o755)
    for path in folder.iterdir():
        path.chmod(0o666)
    test_nobody_else_can_read_them(folder)


def test_an_interrupted_making_is_made_anew(folder: Path) -> None:
    partial = folder.with_suffix(".partial")
    partial.mkdir(parents=True)
    (partial / "id_ed25519").write_text("half")
    assert keys.obtain().private_key.read_bytes().startswith(b"-----BEGIN OPENSSH")


def test_damaged_keys_are_made_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With half a key nobody can log in, and the guest would be blamed."""
    first = keys.obtain()
    before = first.private_key.read_bytes()
    first.private_key.write_bytes(before[:100])
    monkeypatch.setattr(store, "_whole", {})
    made = keys.obtain()
    assert made.private_key.read_bytes().startswith(before[:30])
    assert len(made.private_key.read_bytes()) == len(before)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_paramiko_reads_the_pair() -> None:
    made = keys.obtain()
    key = paramiko.Ed25519Key.from_private_key_file(str(made.private_key))
    kind, blob, _ = made.public_key.read_text().split()
    assert kind == "ssh-ed25519"
    assert key.asbytes() == base64.b64decode(blob)


def test_dropbears_host_key_is_the_pair_of_the_public_one() -> None:
    made = keys.obtain()
    data = made.host_private_key.read_bytes()
    assert data[:15] == b"\0\0\0\x0bssh-ed25519"
    assert int.from_bytes(data[15:19], "big") == 64
    assert len(data) == 19 + 64
    blob = base64.b64decode(made.host_key.read_text().split()[1])
    assert blob[-32:] == data[-32:]
    seed = data[19:51]
    message = paramiko.Message()
    message.add_string("ssh-ed25519")
    assert blob.startswith(message.asbytes())
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    assert public == blob[-32:]
