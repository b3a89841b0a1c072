# SPDX-License-Identifier: GPL-2.0-only
"""Kernels, built from a toy tree whose Makefile has 2.2.12's targets and leaves its files."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from harness.base import compiler, paths
from harness.base.errors import HarnessError, InfrastructureError, MissingSourceError, UserError
from harness.boot import bootable
from harness.kernel import kernel, kernelmodules, kerneltrees
from harness.matrix import kernelconfig, variants
from harness.matrix.variants import Variant
from harness.upstream import archive, manifest, patches, releases, sources, worktree
from tests.unit.support.toy import write_tree

MAKEFILE = """\
VERSION = 2
PATCHLEVEL = 2
SUBLEVEL = 12
EXTRAVERSION =

oldconfig:
\t@sed -i 's/CONFIG_BAD=y/# CONFIG_BAD is not set/' .config
dep:
\t@test "$(ARCH)" = i386 && test -z "$$KCFLAGS"
bzImage:
\t@echo "flags:$(KCFLAGS)"
\tcc -c -o net/ipv4/core.o net/ipv4/core.c
\tmkdir -p arch/i386/boot
\tcat .config net/ipv4/core.c >arch/i386/boot/bzImage
\techo map >System.map
\techo vmlinux >vmlinux
modules:
\tmkdir -p modules
\techo module >modules/toy.o
symlinks:
\tln -sf asm-i386 include/asm
include/linux/version.h: .config
\techo version >include/linux/version.h
"""

FILES = {
    "Makefile": MAKEFILE,
    "README": "A toy.\n",
    "net/ipv4/core.c": "int core;\n",
    "include/asm-i386/types.h": "",
    "include/linux/ip_fw.h": "int fw;\n",
}

PATCH = "Why.\n--- a/{0}\n+++ b/{0}\n@@ -1 +1 @@\n-{1}\n+{2}\n"


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """--source for a toy linux-2.2.12, with a series and a kernel-config of its own."""
    tree = write_tree(tmp_path / "linux", FILES)
    series = tmp_path / "patches" / kernel.SOURCE
    toolchain = PATCH.format("net/ipv4/core.c", "int core;", "long core;")
    header = PATCH.format("include/linux/ip_fw.h", "int fw;", "int fw, divert;")
    write_tree(series / "toolchain", {"0001-core.patch": toolchain})
    write_tree(series / "divert", {"0001-fw.patch": header})
    write_tree(series / "divert" / "overlay", {"net/ipv4/divert.c": "int divert;\n"})
    config = tmp_path / "kernel-config"
    # The other variants' are named, and empty.
    write_tree(config, dict.fromkeys((f"{name}.config" for name in kernelconfig.names()), ""))
    write_tree(config, {"base.config": "CONFIG_NET=y\n", "divert.config": "CONFIG_IP_DIVERT=y\n"})
    harness = write_tree(
        tmp_path / "harness",
        {
            "upstream/sources.toml": f'["{kernel.SOURCE}"]\ntitle = "Linux 2.2.12"\n'
            f'archive = "{kernel.SOURCE}"\n'
            'endings = [".tar.gz"]\nplaces = []\ndigests = {}\nmanifest = "toy"\nleave_out = []\n'
            "written = []\n"
            f'["{kernel.SOURCE}".version]\nfile = "Makefile"\nexpected = "2"\n'
            "pattern = 'VERSION = (\\d+)'\n",
            "upstream/manifests/toy": manifest.dump(manifest.of_tree(tree)),
        },
    )
    monkeypatch.setattr(paths, "HARNESS", harness)
    monkeypatch.setattr(releases.DATA, "where", str(harness / "upstream" / "sources.toml"))
    monkeypatch.setattr(paths, "PATCHES", tmp_path / "patches")
    monkeypatch.setattr(paths, "KERNEL_CONFIG", config)
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    monkeypatch.setenv("DIVERT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KCFLAGS", "-Dfrom_the_environment")
    return [f"{kernel.SOURCE}={tree}"]


def test_built_and_kept(given: list[str]) -> None:
    built = kernel.build(variants.named("base"), given=given)
    assert not built.cached
    assert built.seconds > 0
    assert built.bzimage.read_text() == "CONFIG_IP_DIVERT=y\nCONFIG_NET=y\nlong core;\n"
    assert built.system_map.read_text() == "map\n"
    assert "CONFIG_IP_DIVERT=y" in built.config.read_text()
    assert (built.objects / "net/ipv4/core.o").is_file()
    assert (built.folder / "vmlinux").is_file()
    assert "cc -c" in (built.folder / "build.log").read_text()
    assert not (built.folder / "tree").exists()


def test_changes_and_words_for_make_make_another_kernel(given: list[str]) -> None:
    base = variants.named("base")
    plain = kernel.build(base, given=given)
    assert "flags:\n" in (plain.folder / "build.log").read_text()
    changes = (kernelconfig.Option("CONFIG_NET", "n", "other.toml"),)
    changed = kernel.build(replace(base, changes=changes), given=given)
    assert kernelconfig.parse(changed.config.read_text())["CONFIG_NET"] == "n"
    told = kernel.build(replace(base, make=("KCFLAGS=-DX -DY",)), given=given)
    assert "flags:-DX -DY\n" in (told.folder / "build.log").read_text()
    assert len({plain.folder, changed.folder, told.folder}) == 3


def test_tree_of_the_kernel_before_serves_where_source_series_and_processors_are_the_same(
    given: list[str], tmp_path: Path
) -> None:
    base = variants.named("base")

    def changed(**values: str) -> Variant:
        changes = (
            kernelconfig.Option(f"CONFIG_{name}", value, "") for name, value in values.items()
        )
        return replace(base, changes=tuple(changes))

    with kerneltrees.trees(tmp_path) as trees:
        built = kernel.build(changed(MORE="y"), given=given, trees=trees)
        (folder,) = tmp_path.glob("trees-*")
        (tree,) = folder.iterdir()
        # All headers are of one age before anything is compiled.
        assert (tree / "include/linux/ip_fw.h").stat().st_mtime == archive.FILE_TIME
        (tree / "mark").touch()
        again = kernel.build(changed(MORE="n"), given=given, trees=trees)
        assert (tree / "mark").exists()
        kernel.build(changed(SMP="y"), given=given, trees=trees)
        kernel.build(variants.named("stock"), given=given, trees=trees)
        assert len(list(folder.iterdir())) == 3
    assert list(tmp_path.glob("trees-*")) == []
    assert b"CONFIG_MORE=y" in built.bzimage.read_bytes()
    assert b"CONFIG_MORE=y" not in again.bzimage.read_bytes()


def test_tree_that_was_not_laid_out_is_not_used(given: list[str], tmp_path: Path) -> None:
    broken = paths.PATCHES / kernel.SOURCE / "toolchain" / "0002-broken.patch"
    broken.write_text(PATCH.format("net/ipv4/core.c", "no such line", "int none;"))
    with kerneltrees.trees(tmp_path) as trees:
        with pytest.raises(InfrastructureError, match="0002-broken"):
            kernel.build(variants.named("base"), given=given, trees=trees)
        (folder,) = tmp_path.glob("trees-*")
        assert list(folder.iterdir()) == []


def test_built_apart_is_no_part_of_the_cache(given: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "apart"
    folder.mkdir()
    made = kernel.build_apart(variants.named("base"), folder, given=given)
    assert made.read_text() == "vmlinux\n"
    assert not (paths.cache_dir() / "kernel").exists()


def test_modules_are_compiled_and_checked(
    given: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def check(tree: Path, _log: Path, what: str) -> None:
        seen.append(f"{what}: {[path.name for path in kernelmodules.of(tree)]}")

    monkeypatch.setattr(kernelmodules, "check", check)
    base = variants.named("base")
    kernel.build(base, given=given)
    assert seen == []
    changes = (kernelconfig.Option("CONFIG_MODULES", "y", ""),)
    kernel.build(replace(base, changes=changes), given=given)
    assert seen == ["kernel base: ['toy.o']"]


def test_from_the_cache(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    first = kernel.build(variants.named("base"), given=given)
    assert re.search(r"kernel base: built in [\d.]+ s", capsys.readouterr().err)
    again = kernel.build(variants.named("base"), given=given)
    assert again.cached
    assert again.seconds == 0.0
    assert again.folder == first.folder
    assert capsys.readouterr().err == ""


def test_all_that_goes_in_counts(
    given: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def folder(name: str = "base") -> Path:
        return kernel.build(variants.named(name), given=given).folder

    folders = [folder("stock"), folder("off"), folder("base")]
    (tmp_path / "linux" / "README").write_text("Another toy.\n")
    folders.append(folder())
    series = paths.PATCHES / kernel.SOURCE
    (series / "toolchain" / "0002-new.patch").write_text(
        PATCH.format("net/ipv4/core.c", "long core;", "char core;")
    )
    folders.append(folder())
    (series / "divert/overlay/net/ipv4/divert.c").write_text("long divert;\n")
    folders.append(folder())
    (paths.KERNEL_CONFIG / "base.config").write_text("CONFIG_NET=y\nCONFIG_MORE=y\n")
    folders.append(folder())
    monkeypatch.setattr(kernel, "RECIPE", "another")
    folders.append(folder())
    monkeypatch.setenv(compiler.VARIABLE, "cc")
    folders.append(folder())
    assert len(set(folders)) == len(folders)


def test_two_builds_are_the_same(given: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    one = kernel.build(variants.named("base"), given=given)
    monkeypatch.setenv("DIVERT_CACHE", str(paths.cache_dir()) + "-other")
    other = kernel.build(variants.named("base"), given=given)
    assert not other.cached
    assert other.bzimage.read_bytes() == one.bzimage.read_bytes()


def _failing(given: list[str]) -> HarnessError:
    with pytest.raises(InfrastructureError) as caught:
        kernel.build(variants.named("base"), given=given)
    assert not list((paths.cache_dir() / "kernel").glob("*/"))
    return caught.value


def test_a_compile_error_is_shown(given: list[str]) -> None:
    broken = PATCH.format("net/ipv4/core.c", "long core;", "long core = nonsense;")
    (paths.PATCHES / kernel.SOURCE / "toolchain" / "0002-broken.patch").write_text(broken)
    error = _failing(given)
    assert error.message.startswith("kernel base does not compile:\n")
    assert re.search(r"net/ipv4/core\.c:1:13: error: .nonsense. undeclared", error.message)
    log = paths.BUILD / "logs" / "kernel-base.log"
    assert str(log) in error.hint
    assert "nonsense" in log.read_text()


def test_a_full_disk_is_named(given: list[str], tmp_path: Path) -> None:
    makefile = MAKEFILE.replace("cc -c -o", "cat Makefile >/dev/full; cc -c -o").replace(
        "net/ipv4/core.c\n", "net/nowhere.c\n", 1
    )
    (tmp_path / "linux" / "Makefile").write_text(makefile)
    error = _failing(given)
    assert "kernel base: no room on the disk of" in error.message
    assert "DIVERT_CACHE" in error.hint


def test_an_option_that_did_not_take_effect(given: list[str]) -> None:
    (paths.KERNEL_CONFIG / "divert.config").write_text("CONFIG_BAD=y\n")
    assert "CONFIG_BAD=y (divert.config) came out as n" in _failing(given).message


def test_a_patch_that_does_not_apply(given: list[str]) -> None:
    wrong = PATCH.format("net/ipv4/core.c", "int nothing;", "int core;")
    (paths.PATCHES / kernel.SOURCE / "divert" / "0002-wrong.patch").write_text(wrong)
    message = _failing(given).message
    assert "0002-wrong.patch does not apply: net/ipv4/core.c line 1 (hunk 1)" in message


def test_no_source(given: list[str]) -> None:
    with pytest.raises(MissingSourceError, match=r"Linux 2\.2\.12 is not on this machine"):
        kernel.build(variants.named("stock"))
    with pytest.raises(UserError):
        kernel.build(variants.named("stock"), given=["linux=/tmp"])


def test_jobs(given: list[str]) -> None:
    with pytest.raises(UserError, match="-1 jobs"):
        kernel.build(variants.named("base"), jobs=-1, given=given)


def test_headers(given: list[str]) -> None:
    include = kernel.headers(given)
    assert (include / "asm").readlink() == Path("asm-i386")
    assert (include / "asm/types.h").is_file()
    assert "divert" in (include / "linux/ip_fw.h").read_text()
    assert (include / "linux/version.h").is_file()
    assert "#define" not in (include / "linux/autoconf.h").read_text()
    assert kernel.headers(given) == include


def test_a_build_that_writes_into_the_source(given: list[str], tmp_path: Path) -> None:
    makefile = MAKEFILE.replace("\techo vmlinux", "\techo more >>README\n\techo vmlinux")
    (tmp_path / "linux" / "Makefile").write_text(makefile)
    assert "README of the unpacked Linux 2.2.12 was written to" in _failing(given).message
    assert not list((paths.cache_dir() / "source").glob("*/"))


def test_printed(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        bootable.build_and_print(variant="stock,base", matrix=None, jobs=1, given=given)
    out = capsys.readouterr().out
    assert out.count("bzImage") == 8
    assert "System.map" in out
    assert out.count("(before)") == 2


def test_the_pristine_tree_is_left_alone(given: list[str]) -> None:
    overlay = paths.PATCHES / kernel.SOURCE / "divert" / "overlay"
    write_tree(overlay, {"README": "Ours.\n"})
    kernel.build(variants.named("base"), given=given)
    verified = sources.obtain(kernel.SOURCE, given)
    for name, text in FILES.items():
        assert (verified.tree / name).read_text() == text
    assert not (verified.tree / "vmlinux").exists()
    worktree.check_pristine(verified)
    assert patches.touched(kernel.SOURCE) >= {"net/ipv4/core.c", "net/ipv4/divert.c"}
