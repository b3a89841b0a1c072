# SPDX-License-Identifier: GPL-2.0-only
"""A kernel's debugging information comes out of its package, and has to be that kernel's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.base import fingerprint, paths
from harness.base.errors import InfrastructureError
from harness.debian import packages
from harness.debian.packagefolder import Package
from harness.kernel import debiankernel, debuginfo, lines
from harness.kernel.debiankernel import Headers
from harness.matrix import kernels

MODERN = kernels.named("linux-6.1")
RELEASE = "6.1.0-50-amd64"


@pytest.fixture(name="booted")
def _booted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A toy of a kernel, and its package as Debian's are: a link to the file, and modules."""
    monkeypatch.setenv("DIVERT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    booted = compiled(tmp_path, "return 1;")
    root = tmp_path / "root"
    debug = root / "usr/lib/debug"
    (debug / "boot").mkdir(parents=True)
    (debug / f"boot/vmlinux-{RELEASE}").write_bytes(booted.read_bytes())
    (debug / f"vmlinux-{RELEASE}").symlink_to(f"boot/vmlinux-{RELEASE}")
    (debug / "lib/modules").mkdir(parents=True)
    (debug / "lib/modules/large.ko").write_text("of no use")
    (root / "DEBIAN").mkdir()
    (root / "DEBIAN/control").write_text(
        f"Package: linux-image-{RELEASE}-dbg\nVersion: 1\nArchitecture: amd64\n"
        "Maintainer: toy <toy@example.org>\nDescription: toy\n"
    )
    deb = tmp_path / f"linux-image-{RELEASE}-dbg_1_amd64.deb"
    subprocess.run(["dpkg-deb", "-Znone", "-b", root, deb], check=True, capture_output=True)
    package = Package(deb.stem, "1", deb, fingerprint.of_file(deb))
    headers = Headers(RELEASE, tmp_path, "", 0.0)
    monkeypatch.setattr(debiankernel, "headers", lambda _: headers)
    monkeypatch.setattr(packages, "size", lambda *_: 855 << 20)
    monkeypatch.setattr(packages, "binary", lambda *_: package)
    return booted


def compiled(folder: Path, body: str) -> Path:
    source, target = folder / "toy.c", folder / f"vmlinux{len(body)}"
    source.write_text(f"int _start(void) {{ {body} }}\n")
    subprocess.run(["gcc", "-nostdlib", "-static", "-g", source, "-o", target], check=True)
    return target


def test_size_is_said_before_and_the_kernel_alone_is_kept(
    booted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = debuginfo.obtain(MODERN, booted)
    assert f"linux-image-{RELEASE}-dbg: 855 MiB to download" in capsys.readouterr().err
    assert found.read_bytes() == booted.read_bytes()
    assert not found.is_symlink()
    assert list(found.parent.iterdir()) == [found]


def test_that_of_another_kernel_is_refused(booted: Path, tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="is another than what is booted"):
        debuginfo.obtain(MODERN, compiled(tmp_path, "return 1 + _start();"))


def test_kernel_that_is_built_here_has_none(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match=r"is built here.*\n.*leave out --debug-info"):
        debuginfo.obtain(kernels.named("linux-6.1-debug"), tmp_path)


def test_where_it_was_compiled(tmp_path: Path) -> None:
    """Which is not where it is now, and from there on gdb finds the sources elsewhere."""
    tree = tmp_path / "lines" / "0123.partial" / "tree"
    (tree / "net/ipv4").mkdir(parents=True)
    (tree / "net/ipv4/toy.c").write_text("int _start(void) { return 1; }\n")
    argv: list[str | Path] = [
        "gcc",
        "-g",
        "-nostdlib",
        "-static",
        "toy.c",
        "-o",
        tmp_path / "vmlinux",
    ]
    subprocess.run(argv, cwd=tree / "net/ipv4", check=True)
    assert lines.compiled_in(tmp_path / "vmlinux") == str(tree)
