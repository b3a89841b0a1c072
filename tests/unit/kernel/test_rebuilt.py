# SPDX-License-Identifier: GPL-2.0-only
"""A kernel that is built here from a distribution's source package, with a toy in its place."""

from __future__ import annotations

import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from harness.base import compiler, paths
from harness.base.errors import InfrastructureError
from harness.debian import packages
from harness.debian.packagefolder import Package
from harness.kernel import debiankernel, rebuilt
from harness.matrix import kernelconfig, kernels

KERNEL = replace(
    kernels.named("linux-6.1-debug"),
    modules=("drivers/net/veth",),
    modules_at_hand=("samples/toy", "net/core/built-in"),
)
CONFIG = "CONFIG_KASAN=y\n# CONFIG_NET is not set\n"

# What the kernel's Makefile does with these targets, as far as it matters here.
MAKEFILE = """\
bzImage modules: tools
\t@mkdir -p arch/x86/boot arch/x86/include drivers/net samples include/config scripts tools/objtool
\t@touch arch/x86/Makefile Module.symvers tools/objtool/objtool
\t@echo $(CC) $(LD_LIBRARY_PATH) >arch/x86/boot/bzImage
\t@echo 6.1.7 >include/config/kernel.release
\t@echo veth >drivers/net/veth.ko
\t@echo toy >samples/toy.ko
\t@echo kernel/net/core/built-in.ko >modules.builtin
\t@$(BREAKS)
tools:
\t@flex && test -f ../usr/include/libelf.h
allnoconfig:
\t@cmp .config $(KCONFIG_ALLCONFIG) && echo CONFIG_OTHER=y >resolved
\t@grep -v '$(FORBIDS)' .config >>resolved && mv resolved .config
BREAKS ?= true
FORBIDS ?= nothing
"""


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration and packages of the test's own, and folders for what is built."""
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    monkeypatch.setattr(paths, "KERNEL_CONFIG", tmp_path)
    monkeypatch.setenv("DIVERT_CACHE", str(tmp_path / "cache"))
    for name in KERNEL.configs:
        (tmp_path / f"{name}.config").write_text(CONFIG)
    monkeypatch.setattr(debiankernel, "require_host", lambda _: None)
    monkeypatch.setattr(packages, "binary", package)
    monkeypatch.setattr(packages, "unpack", unpack)


def package(name: str, *_: str) -> Package:
    return Package(name, "1", Path(f"{name}.deb"), f"digest of {name}")


def unpack(given: Package, folder: Path, _log: Path) -> None:
    """The files of the packages that matter here."""
    files = {"flex": ("bin/flex", "#!/bin/sh\n"), "libelf-dev": ("include/libelf.h", "")}
    if given.name in files:
        name, text = files[given.name]
        path = folder / "usr" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    if given.name == KERNEL.source_package:
        tree = folder / "linux-source-6.1"
        tree.mkdir()
        (tree / "Makefile").write_text(MAKEFILE)
        (folder / "usr/src").mkdir(parents=True)
        with tarfile.open(folder / f"usr/src/{given.name}.tar.xz", "w:xz") as archive:
            archive.add(tree, tree.name)


def failure() -> InfrastructureError:
    with pytest.raises(InfrastructureError) as caught:
        rebuilt.obtain(KERNEL)
    assert not [path for path in (paths.cache_dir() / "rebuilt").iterdir() if path.is_dir()]
    return caught.value


def test_kernel_is_built_with_tools_of_packages_and_only_once() -> None:
    made = rebuilt.obtain(KERNEL)
    called, libraries = made.image.read_text().split()
    assert (made.image.name, called) == ("bzImage", compiler.name())
    assert "/usr/lib/" in libraries
    assert made.headers.release == "6.1.7"
    assert sorted(path.name for path in made.modules.iterdir()) == ["toy.ko", "veth.ko"]
    assert made.seconds > 0
    again = rebuilt.obtain(KERNEL)
    assert (again.seconds, again.fingerprint) == (0.0, made.fingerprint)
    assert not (made.image.parent / "work").exists()


def test_headers_are_a_tree_for_modules_with_the_configuration() -> None:
    folder = rebuilt.obtain(KERNEL).headers.path
    assert all((folder / name).exists() for name in rebuilt._KEPT)
    assert kernelconfig.parse((folder / ".config").read_text())["CONFIG_KASAN"] == "y"


@pytest.mark.parametrize(
    "changed", [replace(KERNEL, modules=()), replace(KERNEL, modules_at_hand=("samples/toy",))]
)
def test_kernel_with_other_modules_is_another(changed: kernels.Kernel) -> None:
    assert rebuilt.obtain(changed).fingerprint != rebuilt.obtain(KERNEL).fingerprint


def test_changed_configuration_is_built_anew(tmp_path: Path) -> None:
    first = rebuilt.obtain(KERNEL)
    (tmp_path / f"{KERNEL.configs[-1]}.config").write_text(f"{CONFIG}CONFIG_INET=y\n")
    assert rebuilt.obtain(KERNEL).image != first.image


def set_in_makefile(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """Nothing of the environment reaches a build."""
    monkeypatch.setattr(sys.modules[__name__], "MAKEFILE", f"{line}\n{MAKEFILE}")


def test_option_that_does_not_take_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    set_in_makefile(monkeypatch, "FORBIDS = KASAN")
    assert f"CONFIG_KASAN=y ({KERNEL.configs[-1]}.config) came out as n" in failure().message


def test_kernel_that_does_not_build(monkeypatch: pytest.MonkeyPatch) -> None:
    set_in_makefile(monkeypatch, "BREAKS = echo 'x.c:1: error: no' && false")
    error = failure()
    assert f"kernel {KERNEL.name} does not compile:" in error.message
    assert "x.c:1: error: no" in error.message
    assert f"kernel-{KERNEL.name}.log" in error.hint


def test_module_that_the_kernel_has_not() -> None:
    with pytest.raises(InfrastructureError, match=r"no module drivers/net/nothing"):
        rebuilt.obtain(replace(KERNEL, modules=("drivers/net/nothing",)))


def test_host_that_is_not_fit_is_told_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def unfit(row: kernels.Kernel) -> None:
        raise InfrastructureError(f"no {row.name} here")

    monkeypatch.setattr(debiankernel, "require_host", unfit)
    monkeypatch.setattr(packages, "binary", lambda *_: pytest.fail("nothing is downloaded"))
    with pytest.raises(InfrastructureError, match=r"no linux-6\.1-debug here"):
        rebuilt.obtain(KERNEL)
