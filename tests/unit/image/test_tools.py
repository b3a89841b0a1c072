# SPDX-License-Identifier: GPL-2.0-only
"""The image with tools: what of packages goes into it, and that nothing of it is lacking."""

from __future__ import annotations

import gzip
import shutil
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from harness.base import fingerprint, paths
from harness.base.errors import InfrastructureError
from harness.debian import packages
from harness.debian.packagefolder import Package
from harness.image import image, tools
from harness.image.image import Image
from harness.image.tools import Choice
from tests.unit.image.test_cpio import fields

LIBRARIES = "usr/lib/x86_64-linux-gnu"
LOADER = f"{LIBRARIES}/ld-linux-x86-64.so.2"
CHOICE = Choice(
    packages=("tool",),
    keep=("usr/bin/tool*", "usr/lib/python3*/*"),
    leave_out=("*/__pycache__/*",),
    libraries=("libbyname.so.1",),
    users=("tool:x:105:105::/:/bin/false",),
    memory_mib=512,
)


class Debian:
    """A toy of the release: packages, of files by their paths."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.fetched: list[str] = []
        monkeypatch.setattr(packages, "closure", self._closure)
        monkeypatch.setattr(packages, "binary", self._binary)
        monkeypatch.setattr(packages, "unpack", self._unpack)
        needed, linked = self.compiled("needed", shared=True), self.compiled("tool")
        # As before /usr was merged and as it is since, a library as a link to a file.
        self.add("libneeded1", {f"lib/x86_64-linux-gnu/{needed.name}.1.2": needed})
        self.link("libneeded1", f"lib/x86_64-linux-gnu/{needed.name}", f"{needed.name}.1.2")
        self.add("libc6", {f"lib/x86_64-linux-gnu/{Path(LOADER).name}": needed})
        self.add("libbyname1", {f"{LIBRARIES}/libbyname.so.1": needed})
        self.add("tool", {"usr/bin/tool": linked, "usr/bin/other": linked})
        self.add("tool", {"usr/share/doc/tool/copyright": None, "etc/tool.conf": None})
        self.add("python", {"usr/lib/python3.11/socket.py": None})
        self.add("python", {"usr/lib/python3.11/__pycache__/socket.pyc": None})

    def compiled(self, name: str, *, shared: bool = False) -> Path:
        """A library libNAME.so, or a program that is linked with libneeded.so."""
        source = self.folder / f"{name}.c"
        source.write_text("int main(void) { return 0; }\n")
        target = self.folder / (f"lib{name}.so" if shared else name)
        how = ["-shared", "-fPIC", f"-Wl,-soname,{target.name}"] if shared else []
        ours = [] if shared else ["-Wl,--no-as-needed", f"-L{self.folder}", "-lneeded"]
        words = ["gcc", "-nostdlib", *how, "-o", str(target), str(source), *ours, "-Wl,-e,main"]
        subprocess.run(words, check=True)
        return target

    def add(self, package: str, files: dict[str, Path | None]) -> None:
        for name, source in files.items():
            path = self.folder / "packages" / package / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if source:
                shutil.copy(source, path)
            else:
                path.write_text(f"{name}\n")

    def link(self, package: str, name: str, target: str) -> None:
        (self.folder / "packages" / package / name).symlink_to(target)

    def without(self, package: str) -> None:
        shutil.rmtree(self.folder / "packages" / package)

    def _closure(self, names: Sequence[str], _architecture: str) -> list[str]:
        assert names == CHOICE.packages
        return sorted(path.name for path in (self.folder / "packages").iterdir())

    def _binary(self, name: str, _architecture: str) -> Package:
        self.fetched.append(name)
        return Package(name, "1", self.folder / "packages" / name, "")

    def _unpack(self, package: Package, folder: Path, _log: Path) -> None:
        shutil.copytree(package.path, folder, symlinks=True)


@pytest.fixture(name="debian")
def _debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Debian:
    monkeypatch.setenv("DIVERT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    monkeypatch.setattr(tools, "load", lambda: CHOICE)
    return Debian(tmp_path, monkeypatch)


@pytest.fixture(name="base")
def _base(tmp_path: Path) -> Image:
    """The image that tests run on."""
    folder = tmp_path / "base"
    folder.mkdir()
    image.pack(b"the image that tests run on", folder)
    return Image(folder / image.INITRD, tmp_path / "key", tmp_path / "host", 0.0, cached=True)


def added(base: Image, built: Image) -> dict[str, tuple[int, bytes]]:
    """What stands behind the base in an image: names, modes, contents."""
    whole = built.initrd.read_bytes()
    before = base.initrd.read_bytes()
    assert whole.startswith(before)
    archive = gzip.decompress(whole[len(before) :])
    return {name: (mode, content) for name, mode, content, _, _ in fields(archive)}


def test_what_is_chosen_and_what_it_is_linked_with(debian: Debian, base: Image) -> None:
    before = fingerprint.of_file(base.initrd)
    files = added(base, tools.build(base))
    assert fingerprint.of_file(base.initrd) == before
    here = {name for name, (mode, _) in files.items() if not stat.S_ISDIR(mode)}
    assert here - {"TRAILER!!!"} == {
        *("usr/bin/tool", "usr/lib/python3.11/socket.py", "etc/passwd"),
        *(f"{LIBRARIES}/libneeded.so", f"{LIBRARIES}/libneeded.so.1.2"),
        *(f"{LIBRARIES}/libbyname.so.1", "lib64/ld-linux-x86-64.so.2"),
    }
    assert files["usr/bin/tool"][0] & 0o111
    assert b"root:" in files["etc/passwd"][1]
    assert files["etc/passwd"][1].endswith(b"tool:x:105:105::/:/bin/false\n")


def test_loader_can_be_run(debian: Debian, base: Image) -> None:
    """The kernel starts programs by it, and no right of root's does that for a file of mode 644."""
    loader = debian.compiled("loader", shared=True)
    debian.add("libc6", {f"lib/x86_64-linux-gnu/{Path(LOADER).name}": loader})
    subprocess.run(["gcc", "-nostdlib", "-o", loader, debian.folder / "tool.c"], check=True)
    files = added(
        base, tools.build(base, msgspec.structs.replace(CHOICE, libraries=(Path(LOADER).name,)))
    )
    assert files[LOADER][0] & 0o111
    assert files["lib64/ld-linux-x86-64.so.2"][1] == f"/{LOADER}".encode()


def test_library_that_no_package_has(debian: Debian, base: Image) -> None:
    debian.without("libneeded1")
    with pytest.raises(InfrastructureError, match=r"lack a library: libneeded\.so"):
        tools.build(base)


def test_once_made_it_needs_no_packages_and_no_archive(debian: Debian, base: Image) -> None:
    tools.build(base)
    assert len(debian.fetched) == 5
    debian.without("tool")
    debian.fetched.clear()
    again = tools.build(base)
    assert debian.fetched == []
    assert again.cached
    assert "usr/bin/tool" in added(base, again)


def test_what_is_kept_is_of_the_guest_s_own_secrets_too(debian: Debian, base: Image) -> None:
    assert stat.S_IMODE(tools.build(base).initrd.stat().st_mode) == 0o600


def test_program_that_the_document_shows_is_the_one_that_check_runs() -> None:
    program = (paths.ROOT / "docs/examples/divert.py").read_text()
    code = program[program.index("import ctypes") :]
    assert f"\n```python\n{code}```\n" in (paths.ROOT / "docs/guest-image.md").read_text()
