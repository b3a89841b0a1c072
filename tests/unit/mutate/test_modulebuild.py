# SPDX-License-Identifier: GPL-2.0-only
"""Mutated modules, of a toy of one file: each from the sources as they are, none in the cache."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.base.errors import InfrastructureError
from harness.boot import bootable
from harness.boot.bootable import Bootable
from harness.image.image import Image
from harness.kernel import module
from harness.kernel.debiankernel import Headers
from harness.kernel.module import Module
from harness.matrix import kernels, variants
from harness.mutate.build import DoesNotBuildError, SameError
from harness.mutate.edit import Edit
from harness.mutate.modulebuild import ModuleTree

SOURCE = "int made(void)\n{\n\treturn 1;\n}\nconst int table = 2;\nint data = 3;\n"
INIT = '__attribute__((section(".init.text"))) void begin(void)\n{\n}\n'


def compiled(work: Path, _headers: Headers, log: Path, _words: Sequence[str]) -> None:
    """In the place of Kbuild: one object."""
    argv = ["gcc", "-c", "-O1", "-o", module.MODULE, "socket/sock.c"]
    done = subprocess.run(argv, cwd=work, capture_output=True, text=True, check=False)
    log.write_text(done.stderr)
    if done.returncode:
        raise InfrastructureError(f"the module does not build:\n{done.stderr}")


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bootable:
    """A module of one file, built and in an image."""
    source = tmp_path / "module"
    (source / "socket").mkdir(parents=True)
    (source / "socket/sock.c").write_text(SOURCE + INIT)
    monkeypatch.setattr(module, "SOURCE", source)
    monkeypatch.setattr(module, "compile_in", compiled)
    headers = Headers("6.1", tmp_path, "", 0.0)
    found = type("Found", (), {"headers": headers})
    monkeypatch.setattr(bootable, "distributed", lambda _: found)
    control = tmp_path / "cache" / module.MODULE
    shutil.copytree(source, tmp_path / "cache")
    compiled(tmp_path / "cache", headers, tmp_path / "log", ())
    made = Module(control, "fingerprint", 0.0, cached=True)
    monkeypatch.setattr(module, "build", lambda _: made)
    initrd = tmp_path / "initrd"
    initrd.write_bytes(gzip.compress(b"first"))
    variant = variants.named("linux-6.1:base")
    image = Image(initrd, tmp_path, tmp_path, 0.0, cached=True)
    return Bootable(kernels.named("linux-6.1"), variant, tmp_path, image, 0.0, cached=True)


def edit(new: str, line: int = 3, old: str = "\treturn 1;") -> Edit:
    return Edit("module", "module/socket/sock.c", line, (old,), (new,))


def test_each_from_the_sources_as_they_are(toy: Bootable, tmp_path: Path) -> None:
    tree = ModuleTree("linux-6.1", tmp_path / "tree")
    first = tree.build(edit("\treturn 2;"), toy, tmp_path / "1", "mutant 1")
    with pytest.raises(SameError, match="mutant 2 makes no other module"):
        tree.build(edit("\treturn 2 - 1;"), toy, tmp_path / "2", "mutant 2")
    with pytest.raises(DoesNotBuildError, match="error"):
        tree.build(edit("\tnonsense"), toy, tmp_path / "3", "mutant 3")
    again = tree.build(edit("\treturn 2;"), toy, tmp_path / "4", "mutant 4")
    content = again.image.initrd.read_bytes()
    assert content == first.image.initrd.read_bytes()
    # The image as it was, and the module behind it, for the owner alone.
    assert content.startswith(toy.image.initrd.read_bytes())
    assert b"lib/modules/divert.ko\0" in gzip.decompress(content)
    assert again.image.initrd.stat().st_mode & 0o077 == 0


def test_tree_of_an_earlier_run_serves(
    toy: Bootable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ModuleTree("linux-6.1", tmp_path / "tree").build(edit("\treturn 2;"), toy, tmp_path / "1", "")
    tree = ModuleTree("linux-6.1", tmp_path / "tree")
    assert capsys.readouterr().err.count("making a tree") == 1
    with pytest.raises(SameError):
        tree.build(edit("\treturn 1 ;"), toy, tmp_path / "2", "mutant 2")


def test_tree_has_to_make_the_module_that_is_tested(toy: Bootable, tmp_path: Path) -> None:
    (module.SOURCE / "socket/sock.c").write_text(SOURCE.replace("1", "7") + INIT)
    with pytest.raises(InfrastructureError, match="two builds of the same source"):
        ModuleTree("linux-6.1", tmp_path / "tree")
