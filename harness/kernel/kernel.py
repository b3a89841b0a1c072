# SPDX-License-Identifier: GPL-2.0-only
"""A built kernel: from the verified source, the series and the configuration to a bzImage."""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.base import command, compiler, complaints, fingerprint, store, terminal
from harness.base.errors import InfrastructureError, UserError
from harness.kernel import kernelmodules
from harness.kernel.kerneltrees import Trees
from harness.matrix import kernelconfig
from harness.matrix.variants import Variant
from harness.upstream import patches, sources, worktree

SOURCE = "linux-2.2.12"

# Counts up when the same inputs give another result because this module builds differently.
RECIPE = "1"

DEP_SECONDS = 300.0
# Half a minute on two idle cores; a machine that does much else takes many times that.
BUILD_SECONDS = 900.0

VMLINUX = "vmlinux"
# The folder in which it is compiled.
TREE = "tree"
# Kept of a build, beside net/ipv4's objects: name there, name in the tree.
_KEPT = {
    "bzImage": "arch/i386/boot/bzImage",
    "System.map": "System.map",
    "config": ".config",
    VMLINUX: VMLINUX,
}
_OBJECTS = "net/ipv4"

_TOOLS = (
    ("as", "--version"),
    ("ld", "--version"),
    ("as86", "-v"),
    ("make", "--version"),
)


@dataclass(frozen=True)
class Kernel:
    """One built kernel. `objects` holds net/ipv4/*.o; `seconds` is 0.0 when it was built before."""

    variant: Variant
    folder: Path
    bzimage: Path
    system_map: Path
    config: Path
    objects: Path
    seconds: float
    cached: bool


def build(
    variant: Variant,
    *,
    jobs: int = 0,
    given: Sequence[str] = (),
    trees: Trees | None = None,
) -> Kernel:
    """The kernel `variant`, from the cache or built with `jobs` compilers (0: one a processor).

    `given` is the NAME=PATH strings of --source. Says in one line what was built in how long.
    `trees` are compiled before, for other kernels of the same source.

    Raises MissingSourceError without the source, InfrastructureError if a patch does not apply, an
    option does not take effect, or the compiler fails: with its first errors and the whole log;
    UserError for a negative number of compilers.
    """
    key, recipe = _recipe(variant, jobs, given, trees)
    entry = store.obtain("kernel", key, recipe.make, f"kernel {variant.name}")
    if not entry.cached:
        terminal.say(f"kernel {variant.name}: built in {entry.seconds:.1f} s")
    return Kernel(
        variant=variant,
        folder=entry.path,
        bzimage=entry.path / "bzImage",
        system_map=entry.path / "System.map",
        config=entry.path / "config",
        objects=entry.path / "objects",
        seconds=entry.seconds,
        cached=entry.cached,
    )


def build_apart(variant: Variant, folder: Path, *, given: Sequence[str] = ()) -> Path:
    """The same from nothing, in `folder` instead of the cache; its vmlinux. Raises the same."""
    _, recipe = _recipe(variant, 0, given, None)
    recipe.make(folder)
    return folder / VMLINUX


def _recipe(
    variant: Variant, jobs: int, given: Sequence[str], trees: Trees | None
) -> tuple[str, _Recipe]:
    """How a kernel is built, and its fingerprint."""
    if jobs < 0:
        raise UserError(f"{jobs} jobs cannot be", "give the number of compilers to run at once")
    source = sources.obtain(SOURCE, given)
    series = patches.load_parts(SOURCE, variant.series)
    options = kernelconfig.overlaid(kernelconfig.compose(variant.fragments), variant.changes)
    key = fingerprint.of_bytes(
        RECIPE,
        source.content,
        *(part.fingerprint for part in series),
        kernelconfig.dump(options),
        tool_versions(),
        *variant.make,
    )
    jobs = jobs or len(os.sched_getaffinity(0))
    return key, _Recipe(variant, source, series, options, jobs, trees)


@dataclass(frozen=True)
class _Recipe:
    """All that one build needs; `make` is what the store calls."""

    variant: Variant
    source: sources.Verified
    series: tuple[patches.Series, ...]
    options: tuple[kernelconfig.Option, ...]
    jobs: int
    trees: Trees | None

    def make(self, folder: Path) -> None:
        # In the checkout while the build runs, so that it is still there after one that failed.
        log = command.new_log(f"kernel-{self.variant.name}")
        terminal.say(f"kernel {self.variant.name}: building")
        what = f"kernel {self.variant.name}"
        tree = folder / TREE
        if self.trees:
            tree = self.trees.of(self.source, self.series, self.options)
        fresh = not tree.exists()
        if fresh:
            laid = folder / "laid"
            prepare(self.source, self.series, laid, log)
            shutil.move(laid, tree)
        configure(self.options, tree, log, what=what)
        if fresh and self.trees:
            worktree.even(tree)
        compile_image(tree, log, what=what, jobs=self.jobs, more=self.variant.make)
        if any((row.symbol, row.value) == ("CONFIG_MODULES", "y") for row in self.options):
            _compile_modules(tree, log, what=what, jobs=self.jobs, more=self.variant.make)
        worktree.check_pristine(self.source)
        keep(tree, folder)
        shutil.copyfile(log, folder / "build.log")
        if not self.trees:
            shutil.rmtree(tree)


def prepare(
    source: sources.Verified, series: Sequence[patches.Series], tree: Path, log: Path
) -> None:
    """Make `tree` the source with the series applied."""
    worktree.lay_out(source, tree)
    patches.apply(series, tree, log)


def configure(options: Sequence[kernelconfig.Option], tree: Path, log: Path, *, what: str) -> None:
    """Resolve the options in a patched tree, and note what depends on which headers.

    Raises InfrastructureError, as kernelconfig.resolve does.
    """
    with _explained(what, log):
        kernelconfig.resolve(options, tree, make_command("oldconfig"), log)
        _run(make_command("dep"), DEP_SECONDS, tree, log)


def compile_image(tree: Path, log: Path, *, what: str, jobs: int, more: Sequence[str] = ()) -> None:
    """Compile a configured tree as far as it has changed since it was compiled last.

    `more` is what make is told besides. Raises InfrastructureError with the first errors of the
    compiler or the linker.
    """
    compile_target("bzImage", tree, log, what=what, jobs=jobs, more=more)


def compile_target(
    target: str, tree: Path, log: Path, *, what: str, jobs: int = 1, more: Sequence[str] = ()
) -> None:
    """The same for another target of the tree's Makefile."""
    with _explained(what, log):
        _run(make_command(*more, target, jobs=jobs), BUILD_SECONDS, tree, log)


def _compile_modules(tree: Path, log: Path, *, what: str, jobs: int, more: Sequence[str]) -> None:
    kernelmodules.forget(tree)
    compile_target("modules", tree, log, what=what, jobs=jobs, more=more)
    kernelmodules.check(tree, log, what)


def keep(tree: Path, folder: Path) -> None:
    """Copy from a compiled tree to `folder` what a Kernel has."""
    for name, path in _KEPT.items():
        shutil.copyfile(tree / path, folder / name)
    objects = folder / "objects" / _OBJECTS
    objects.mkdir(parents=True)
    for built in sorted((tree / _OBJECTS).glob("*.o")):
        shutil.copyfile(built, objects / built.name)


def make_command(*targets: str, jobs: int = 1) -> list[str]:
    """The command that makes `targets` in a patched tree, for the environment command.clean().

    docs/toolchain.md explains the variables.
    """
    chosen = [f"GCC={compiler.name()}", f"HOSTCC={shlex.join(compiler.for_32_bit())}"]
    return ["make", "ARCH=i386", *chosen, f"-j{jobs}", *targets]


def _run(argv: Sequence[str], seconds: float, tree: Path, log: Path) -> None:
    command.run(argv, what=argv[-1], log=log, seconds=seconds, cwd=tree)


@contextmanager
def _explained(what: str, log: Path) -> Iterator[None]:
    """Put the compiler's first complaints in the place of the log's end in an error's message."""
    begin = log.stat().st_size if log.exists() else 0
    try:
        yield
    except InfrastructureError as error:
        raise complaints.explained(what, error, log, begin) from error


def headers(given: Sequence[str] = ()) -> Path:
    """A folder `include` of the kernel with divert sockets, for programs; nothing is compiled.

    It has asm (a link to asm-i386), linux/version.h, and an empty linux/autoconf.h.
    """
    source = sources.obtain(SOURCE, given)
    series = patches.load_parts(SOURCE, ("toolchain", "divert"))
    key = fingerprint.of_bytes(RECIPE, source.content, *(part.fingerprint for part in series))

    def make(folder: Path) -> None:
        log = command.new_log("headers")
        tree = folder / "tree"
        prepare(source, series, tree, log)
        # The Makefile wants a .config before it makes anything.
        (tree / ".config").touch()
        _run(make_command("symlinks", "include/linux/version.h"), DEP_SECONDS, tree, log)
        (tree / "include/linux/autoconf.h").write_text("/* No option is set for programs. */\n")
        (tree / "include").rename(folder / "include")
        worktree.check_pristine(source)
        shutil.rmtree(tree)

    return store.obtain("headers", key, make, "the kernel's headers").path / "include"


def tool_versions() -> str:
    """The first lines in which the compiler, assemblers, linker and make say their versions."""
    return f"{compiler.identity()}\n{_other_versions()}"


@functools.cache
def _other_versions() -> str:
    lines: list[str] = []
    for argv in _TOOLS:
        try:
            done = subprocess.run(
                argv,
                env=command.clean(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=10,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InfrastructureError(f"cannot run {argv[0]}", "run: ./inv setup") from error
        lines += done.stdout.decode(errors="replace").splitlines()[:1]
    return "\n".join(lines)
