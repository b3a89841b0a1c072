# SPDX-License-Identifier: GPL-2.0-only
"""A distribution's archive in a folder, small and unsigned, for the real apt-get to read."""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
from pathlib import Path


class ToyArchive:
    """Releases below `root`, each with packages that are made as they are asked for."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._indexes: dict[str, dict[str, str]] = {}

    def uri(self, scheme: str = "copy") -> str:
        return f"{scheme}:{self.root}"

    def release(self, suite: str, *, origin: str = "Debian", codename: str = "") -> None:
        """Begin a release, without packages."""
        fields = {"Origin": origin, "Suite": suite, "Codename": codename or suite}
        self._indexes.setdefault(
            suite, {"main/source/Sources": "", "main/binary-i386/Packages": ""}
        )
        self._write(suite, fields)
        self._fields = {**getattr(self, "_fields", {}), suite: fields}

    def source(self, suite: str, name: str, version: str) -> Path:
        """Add a source package; its tarball is returned."""
        pool = self.root / "pool" / suite
        pool.mkdir(parents=True, exist_ok=True)
        (pool / "file").write_text(f"{name} of {suite}\n")
        tarball = pool / f"{name}_{version}.orig.tar.gz"
        with tarfile.open(tarball, "w:gz") as archive:
            archive.add(pool / "file", f"{name}-{version}/file")
        dsc = pool / f"{name}_{version}-1.dsc"
        dsc.write_text(f"Format: 3.0 (quilt)\nSource: {name}\n")
        sums = "".join(f"\n {_sha256(x)} {x.stat().st_size} {x.name}" for x in (dsc, tarball))
        self._add(
            suite,
            "main/source/Sources",
            f"Package: {name}\nBinary: {name}\nVersion: {version}-1\nFormat: 3.0 (quilt)\n"
            f"Architecture: any\nDirectory: pool/{suite}\nChecksums-Sha256:{sums}\n\n",
        )
        return tarball

    def binary(self, suite: str, name: str, version: str, depends: str = "") -> Path:
        """Add a package for i386; its file is returned."""
        pool = self.root / "pool" / suite
        tree = pool / f"{name}-tree"
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "usr").mkdir()
        (tree / "usr" / name).write_text(f"{name} of {suite}\n")
        control = f"Package: {name}\nVersion: {version}\nArchitecture: i386\nMaintainer: x <x@x>\n"
        control += f"Depends: {depends}\n" if depends else ""
        (tree / "DEBIAN/control").write_text(f"{control}Description: toy\n")
        deb = pool / f"{name}_{version}_i386.deb"
        subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, deb], check=True)
        self._add(
            suite,
            "main/binary-i386/Packages",
            f"{control}Filename: pool/{suite}/{deb.name}\nSize: {deb.stat().st_size}\n"
            f"SHA256: {_sha256(deb)}\nDescription: toy\n\n",
        )
        return deb

    def _add(self, suite: str, index: str, paragraph: str) -> None:
        self._indexes[suite][index] += paragraph
        self._write(suite, self._fields[suite])

    def _write(self, suite: str, fields: dict[str, str]) -> None:
        folder = self.root / "dists" / suite
        sums = ""
        for name, text in self._indexes[suite].items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            sums += f" {_sha256(path)} {len(text)} {name}\n"
        head = "".join(f"{key}: {value}\n" for key, value in fields.items())
        head += "Date: Thu, 26 Aug 1999 00:00:00 UTC\nArchitectures: i386\nComponents: main\n"
        (folder / "Release").write_text(f"{head}SHA256:\n{sums}")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
