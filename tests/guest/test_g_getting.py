# SPDX-License-Identifier: GPL-2.0-only
"""G: what `invoke export` writes, used as INSTALL says: by patch, tar, make, outside the harness.

The kernel that make builds from it is byte for byte the one that this guest runs, so the whole
suite is run on it.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import pytest

from harness import (
    command,
    export,
    exported,
    kernel,
    kernelconfig,
    patches,
    paths,
    sources,
    sysroot,
    variants,
    worktree,
)
from harness.export import Exported
from harness.shell import Shell
from harness.sources import Verified
from harness.worker import WorkerSpec

statement = pytest.mark.statement

# The only variant that these are asked of, whatever a session calls it.
BASE = "base"

# The words of Config.in.
_WORDS = re.compile(r"'[^']*'|\S+")
# With these, a compiler of today says what one of the time would not have known: what came into C
# after 1990. What gcc itself has added since, as attributes or names of operands, it does not say.
OF_THE_TIME = (
    "-std=gnu89",
    "-Wpedantic",
    "-Wdeclaration-after-statement",
    "-Wvla",
    "-Werror=implicit-function-declaration",
)
_WARNING = re.compile(r"^([\w./-]+):\d+:\d+: (warning: .*)$", re.MULTILINE)


@pytest.fixture(scope="module")
def source(worker_spec: WorkerSpec) -> Verified:
    """A fresh 2.2.12."""
    return sources.obtain(kernel.SOURCE, worker_spec.given)


@pytest.fixture(scope="module")
def made(worker_spec: WorkerSpec, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """What was exported."""
    return export.write(tmp_path_factory.mktemp("export"), worker_spec.given)


def content(tree: Path) -> dict[str, str]:
    """Each file of a tree, by its path."""
    return {
        path.relative_to(tree).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in tree.rglob("*")
        if path.is_file()
    }


@statement("G1/time")
def test_patch_for_a_compiler_of_the_time_is_the_series(
    made: Exported, source: Verified, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    exported.step("of-the-time", made, tmp_path / "work", log, (source.tree,))
    expected = tmp_path / "expected"
    worktree.lay_out(source, expected)
    patches.apply(patches.load_parts(kernel.SOURCE, ("divert",)), expected, log)
    assert content(tmp_path / "work" / "linux") == content(expected)


def warnings(
    name: str, source: Verified, files: Collection[str], folder: Path
) -> Counter[tuple[str, str]]:
    """What is said of these files of a variant's tree, of those that it has; without the lines."""
    tree, log = folder / "linux", folder / "log"
    variant = variants.load()[name]
    folder.mkdir()
    kernel.prepare(source, patches.load_parts(kernel.SOURCE, variant.series), tree, log)
    kernel.configure(kernelconfig.compose(variant.fragments), tree, log, what=name)
    flags = f"KCFLAGS={' '.join(OF_THE_TIME)}"
    said = log.stat().st_size
    for file in files:
        if (tree / file).exists():
            target = file.removesuffix("c") + "o"
            kernel.compile_target(target, tree, log, what=file, more=[flags])
    return Counter(_WARNING.findall(log.read_bytes()[said:].decode(errors="replace")))


@statement("G1/language")
def test_it_is_in_the_language_of_the_time(source: Verified, tmp_path: Path) -> None:
    """No compiler of the time is at hand; one of today has no more to say of it than of 2.2.12."""
    (series,) = patches.load_parts(kernel.SOURCE, ("divert",))
    files = sorted(name for name in series.touched() if name.endswith(".c"))
    before = warnings("stock", source, files, tmp_path / "stock")
    assert warnings(BASE, source, files, tmp_path / BASE) - before == Counter()


@statement("G1/today")
def test_make_alone_builds_the_kernel_under_test(
    made: Exported, source: Verified, worker_spec: WorkerSpec, shell: Shell
) -> None:
    built = exported.kernel_of_today(made, source, variants.load()[BASE])
    assert built.read_bytes() == Path(worker_spec.bzimage).read_bytes()
    assert shell.check("uname -r") == "2.2.12\n"


@statement("G2/tree")
def test_tar_file_is_the_tree_that_the_patch_makes(
    made: Exported, source: Verified, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    exported.step("tree", made, tmp_path / "work", log)
    expected = tmp_path / "expected"
    worktree.lay_out(source, expected)
    patches.apply(patches.load_parts(kernel.SOURCE, ("toolchain", "divert")), expected, log)
    assert content(tmp_path / "work" / export.KERNEL_TREE) == content(expected)


@statement("G2/same")
def test_it_is_the_same_each_time(made: Exported, worker_spec: WorkerSpec, tmp_path: Path) -> None:
    again = export.write(tmp_path / "again", worker_spec.given)
    assert content(again.folder) == content(made.folder)
    exported.step("digests", made, tmp_path / "work", tmp_path / "log")


@statement("G3/make")
def test_make_is_enough_for_ipchains(made: Exported, tmp_path: Path) -> None:
    exported.step("ipchains", made, tmp_path, tmp_path / "log")
    program = tmp_path / export.IPCHAINS_TREE / "ipchains"
    words = [str(program), "-A", "input", "-j", "DIVERT"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "DIVERT requires a port" in done.stderr


@statement("G3/works")
def test_what_it_builds_sets_rules(
    made: Exported, worker_spec: WorkerSpec, shell: Shell, tmp_path: Path
) -> None:
    """For the guest it is built by the guest's compiler: make CC=..."""
    root = sysroot.build(given=worker_spec.given)
    log = tmp_path / "log"
    exported.step("ipchains", made, tmp_path, log)
    tree = tmp_path / export.IPCHAINS_TREE
    # As images/ipchains/build.sh has it: such headers are those of a libc of the time.
    flags = "-w -std=gnu89 -fcommon -D__GLIBC__=2 -D_GNU_SOURCE"
    settings = (f"CC={root.compiler}", f"CFLAGS={flags}")
    for words in (("clean",), (*settings, "ipchains")):
        command.run(("make", *words), what="ipchains", log=log, seconds=60, cwd=tree)
    shell.put(tree / "ipchains", "/root/ipchains", mode=0o755)
    shell.check("/root/ipchains -A input -p ICMP -j DIVERT 1234")
    assert "DIVERT" in shell.check("ipchains -L input -n")


def menus(tree: Path, file: str, menu: str = "") -> dict[str, tuple[str, str]]:
    """The options that a file of the configuration offers: symbol -> its menu and its title."""
    found: dict[str, tuple[str, str]] = {}
    begins = False
    for line in (tree / file).read_text(encoding="latin-1").splitlines():
        words = _WORDS.findall(line)
        match words:
            case ["mainmenu_option", "next_comment", *_]:
                begins = True
            case ["comment", title, *_] if begins:
                menu, begins = title.strip("'"), False
            case ["source", other, *_]:
                found |= menus(tree, other, menu)
            case ["bool" | "tristate", title, symbol, *_]:
                found.setdefault(symbol, (menu, title.strip("'")))
    return found


@statement("G1/install")
def test_options_are_in_the_menus_that_install_names(source: Verified, tmp_path: Path) -> None:
    tree = tmp_path / "linux"
    series = patches.load_parts(kernel.SOURCE, ("toolchain", "divert"))
    kernel.prepare(source, series, tree, tmp_path / "log")
    offered = menus(tree, "arch/i386/config.in")
    text = (paths.DATA / export.INSTALL).read_text()
    menu, named = "", {}
    for line in text.partition("2. THE OPTIONS")[2].partition("3. THE KERNEL")[0].splitlines():
        if match := re.fullmatch(r"    (\S.*?)  +[y?]   (CONFIG_\w+)", line):
            named[match[2]] = (menu, match[1])
        elif re.fullmatch(r"  \S.*", line):
            menu = line.strip()
    assert {"CONFIG_IP_DIVERT", "CONFIG_IP_DIVERT_PASSTHROUGH"} < named.keys()
    assert named == {symbol: offered[symbol] for symbol in named}
