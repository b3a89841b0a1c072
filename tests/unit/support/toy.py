# SPDX-License-Identifier: GPL-2.0-only
"""A toy release: a small source tree, its archives, manifest and places, all in one folder."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.base import paths
from harness.upstream import manifest, releases

NAME = "toy-1.2.3"

FILES = {
    "Makefile": "VERSION = 1\nPATCHLEVEL = 2\nSUBLEVEL = 3\n\nall:\n\techo built\n",
    "README": "A toy.\n",
    "net/core.c": "".join(f"int core{number};\n" for number in range(1, 21)),
    "net/raw.c": "int raw;\n",
    "toy-1.2.3/nested.c": "int nested;\n",
}

PATCH = """\
The tenth line is wrong; here it is mended.

--- a/net/core.c
+++ b/net/core.c
@@ -9,3 +9,3 @@
 int core9;
-int core10;
+long core10;
 int core11;
"""


@dataclass(frozen=True)
class Release:
    """Folders of one toy release."""

    root: Path
    downloads: Path
    patches: Path

    def describe(
        self, places: Sequence[str] = (), digests: Mapping[str, str] | None = None
    ) -> None:
        """Write sources.toml with these places and digests."""
        digest_rows = "".join(f'"{name}" = "{value}"\n' for name, value in (digests or {}).items())
        (self.root / "harness" / "upstream" / "sources.toml").write_text(
            f'["{NAME}"]\ntitle = "Toy 1.2.3"\narchive = "{NAME}"\n'
            'endings = [".tar.xz", ".tar.gz", ".tar.bz2"]\n'
            f"places = [{', '.join(repr(place) for place in places)}]\n"
            f'manifest = "{NAME}.sha256"\nleave_out = ["*.o", ".git", "include/asm"]\n'
            'written = ["*.h", "net/written.c"]\n'
            f'["{NAME}".version]\nfile = "Makefile"\nexpected = "1.2.3"\n'
            "pattern = 'VERSION = (\\d+)\\nPATCHLEVEL = (\\d+)\\nSUBLEVEL = (\\d+)'\n"
            f'["{NAME}".digests]\n{digest_rows}'
        )


def write_tree(folder: Path, files: Mapping[str, str]) -> Path:
    """The files, unpacked in `folder`."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def pack(
    path: Path, files: Mapping[str, str] = FILES, top: str = "toy/", mode: int = 0o644
) -> Path:
    """An archive of the files below `top`, compressed as the name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, f"w:{path.suffix[1:]}", format=tarfile.PAX_FORMAT) as tar:  # type: ignore[call-overload]
        for name, text in files.items():
            member = tarfile.TarInfo(top + name)
            member.size, member.mode = len(text), mode
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Release:
    """The toy release as the harness's only source, with empty cache and downloads folders."""
    harness = tmp_path / "harness"
    data = harness / "upstream"
    (data / "manifests").mkdir(parents=True)
    pristine = write_tree(tmp_path / "pristine", FILES)
    text = manifest.dump(manifest.of_tree(pristine))
    (data / "manifests" / f"{NAME}.sha256").write_text(text)
    patches = tmp_path / "patches" / NAME
    patches.mkdir(parents=True)
    (patches / "0001-tenth-line.patch").write_text(PATCH)
    monkeypatch.setattr(paths, "HARNESS", harness)
    monkeypatch.setattr(releases.DATA, "where", str(data / "sources.toml"))
    monkeypatch.setattr(paths, "PATCHES", tmp_path / "patches")
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    monkeypatch.setenv("DIVERT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DIVERT_DOWNLOADS", str(tmp_path / "downloads"))
    made = Release(tmp_path, tmp_path / "downloads", patches)
    made.describe()
    return made
