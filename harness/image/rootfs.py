# SPDX-License-Identifier: GPL-2.0-only
"""The files of a guest, laid out in a folder: what is the same for every form that they take."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from harness.base import fingerprint, paths
from harness.image import keys
from harness.kernel import parts

# Counts up when what this module makes of its inputs changes.
RECIPE = "1"

# Files of the guest that are the same everywhere, and its devices, in genext2fs's own form.
SKELETON = paths.IMAGES / "root"
DEVICES = paths.IMAGES / "devices"

# Of every file in the image: 27 February 2000, that of the HOWTO. Seconds since 1970.
FILE_TIME = 951609600


def identity(built: Iterable[parts.Built], secrets: keys.Keys) -> str:
    """A fingerprint of all that `lay_out` puts there."""
    return fingerprint.of_bytes(
        RECIPE,
        fingerprint.of_tree(SKELETON),
        fingerprint.of_file(DEVICES),
        *(fingerprint.of_file(path) for path in (secrets.public_key, secrets.host_private_key)),
        *(part.fingerprint for part in built),
    )


def lay_out(root: Path, built: Iterable[parts.Built], secrets: keys.Keys) -> None:
    """Make `root` the guest's root folder, but for its devices; `settle` comes last."""
    shutil.copytree(SKELETON, root)
    for part in built:
        if part.name != "libc":
            shutil.copytree(
                part.folder, root, symlinks=True, dirs_exist_ok=True, copy_function=_replace
            )
    _put_keys(root, secrets)
    for folder in ("dev", "dev/pts", "proc", "tmp", "var/log", "var/run"):
        (root / folder).mkdir(parents=True, exist_ok=True)


def _replace(source: str, target: str) -> str:
    """Copy a file to where another part may have a link, which can point out of `root`."""
    Path(target).unlink(missing_ok=True)
    return str(shutil.copy2(source, target))


def _put_keys(root: Path, secrets: keys.Keys) -> None:
    (root / "etc/dropbear").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(secrets.host_private_key, root / "etc/dropbear/host_key")
    (root / "root/.ssh").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(secrets.public_key, root / "root/.ssh/authorized_keys")


def settle(root: Path) -> None:
    """Modes that depend on nobody's umask (programs 755, files 644, what is secret 600), and times
    that are always the same.
    """
    for path in [root, *root.rglob("*")]:
        if not path.is_symlink():
            if path.is_dir():
                path.chmod(0o700 if path.name == ".ssh" else 0o755)
            elif path.parent.name in {"bin", "sbin"}:
                path.chmod(0o755)
            else:
                path.chmod(0o600 if path.name in {"host_key", "authorized_keys"} else 0o644)
        os.utime(path, (FILE_TIME, FILE_TIME), follow_symlinks=False)
