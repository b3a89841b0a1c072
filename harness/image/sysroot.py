# SPDX-License-Identifier: GPL-2.0-only
"""The headers and the libc that C programs for the guest are compiled with.

The headers of the libc and the patched kernel's linux/*.h can be included together, in any order:
where both define the same thing, a header of ours in images/sysroot/include comes before either and
gives the libc's definition.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base import command, compiler, fingerprint, paths, store, terminal
from harness.base.errors import InfrastructureError, UserError
from harness.image import includes, sysroot_library
from harness.kernel import kernel, parts

# Counts up when what this module makes of its inputs changes.
RECIPE = "5"

MODULE_HEADERS = paths.ROOT / "module" / "include"
COMPATIBLE = paths.IMAGES / "sysroot" / "include"
CHECK = paths.IMAGES / "sysroot" / "check.c"

# What of the kernel's headers is for programs.
KERNEL_FOLDERS = ("linux", "asm")

# The libc's own copies of such headers are of later kernels.
LIBC_LEFT_OUT = ("linux", "asm")

COMPILE_SECONDS = 120.0

# What a program of the year 2000 takes for granted: its language; a pointer passed for another,
# which compilers have come to refuse; one definition of a variable in every file that includes it.
PERMISSIVE = (
    "-std=gnu89",
    "-fcommon",
    "-Wno-error=incompatible-pointer-types",
    "-Wno-error=int-conversion",
    "-O2",
)

# C++ is what the compiler has of it: there is no library for exceptions, types at run time, locks.
PLUS_PLUS = (
    "-std=gnu++98",
    "-O2",
    "-nostdinc++",
    "-fno-exceptions",
    "-fno-rtti",
    "-fno-threadsafe-statics",
    "-fno-use-cxa-atexit",
)
PLUS_PLUS_ENDINGS = (".cc", ".cpp", ".cxx", ".C")


@dataclass(frozen=True)
class Sysroot:
    """The folder with bin/cc and all that it uses, and the fingerprint of what is in it."""

    folder: Path
    fingerprint: str
    seconds: float
    cached: bool

    @property
    def compiler(self) -> Path:
        """A compiler as good as gcc, for static programs of the guest."""
        return self.folder / "bin" / "cc"

    def compile(
        self, sources: Sequence[Path], output: Path, flags: Sequence[str] = ()
    ) -> Compilation:
        """Compile C files into the guest program `output`, which is there whole or not at all.

        Raises InfrastructureError if the compiler cannot be run; what it refuses is in the result.
        """
        partial = output.with_name(f".{output.name}.{os.getpid()}")
        argv: list[str | Path] = [self.compiler, *flags, *sources, "-o", partial]
        try:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=COMPILE_SECONDS,
                check=False,
                env=command.clean(),
            )
            if done.returncode == 0:
                partial.replace(output)
        except subprocess.TimeoutExpired as error:
            raise InfrastructureError(
                f"compiling {output.name} took more than {COMPILE_SECONDS:g} s, and was ended"
            ) from error
        finally:
            partial.unlink(missing_ok=True)
        return Compilation(done.returncode == 0, done.stdout.decode(errors="replace"))


@dataclass(frozen=True)
class Compilation:
    """Whether the compiler made the program, and all that it said."""

    succeeded: bool
    messages: str


def build(*, jobs: int = 0, given: Sequence[str] = ()) -> Sysroot:
    """The sysroot, from the cache or made; builds the libc if it is not there.

    Raises MissingSourceError without the kernel's archive.
    """
    headers = kernel.headers(given)
    libc = parts.build(parts.load()["libc"], (), jobs=jobs or parts.processors(), given=given)
    return combine(libc, headers)


def combine(libc: parts.Built, headers: Path) -> Sysroot:
    """The sysroot of a built libc and the kernel's `include` folder."""
    print_ = fingerprint.of_bytes(
        RECIPE,
        libc.fingerprint,
        # A folder of the store is named by the fingerprint of what is in it.
        headers.parent.name,
        fingerprint.of_tree(COMPATIBLE.parent),
        fingerprint.of_file(paths.IMAGES / "libc" / "cc"),
    )

    def make(folder: Path) -> None:
        for name in KERNEL_FOLDERS:
            shutil.copytree(headers / name, folder / "kernel" / name)
        _put_libc(libc, folder)
        _check(Sysroot(folder, print_, 0.0, cached=False))

    entry = store.obtain("sysroot", print_, make, "the sysroot")
    return Sysroot(entry.path, print_, entry.seconds, entry.cached)


def of_today(libc: parts.Built) -> Sysroot:
    """The sysroot without 2.2.12's headers: the libc's copies of later ones, and the module's.

    They agree where the tests' programs need both; it is not for the programs of users.
    """
    print_ = fingerprint.of_bytes(
        RECIPE,
        libc.fingerprint,
        fingerprint.of_tree(MODULE_HEADERS),
        fingerprint.of_tree(COMPATIBLE.parent),
        fingerprint.of_file(paths.IMAGES / "libc" / "cc"),
    )

    def make(folder: Path) -> None:
        later = libc.folder / "later"
        kernel_headers = folder / "kernel"
        shutil.copytree(later / "linux", kernel_headers / "linux")
        shutil.copytree(later / "asm-generic", kernel_headers / "asm-generic")
        shutil.copytree(later / "i386-linux-gnu" / "asm", kernel_headers / "asm")
        shutil.copytree(MODULE_HEADERS, kernel_headers, dirs_exist_ok=True)
        _put_libc(libc, folder)

    entry = store.obtain("sysroot", print_, make, "the sysroot without 2.2.12's headers")
    return Sysroot(entry.path, print_, entry.seconds, entry.cached)


def _put_libc(libc: parts.Built, folder: Path) -> None:
    libc_headers = libc.folder / "include"
    shutil.copytree(
        libc_headers,
        folder / "include",
        ignore=lambda path, _: LIBC_LEFT_OUT if Path(path) == libc_headers else (),
    )
    shutil.copytree(COMPATIBLE, folder / "compatible")
    includes.write(folder / "compatible")
    shutil.copytree(libc.folder / "lib", folder / "lib")
    (folder / "bin").mkdir()
    parts.write_compiler(
        folder / "bin" / "cc",
        flags='-D__KERNEL_STRICT_NAMES -isystem "$here/compatible"',
        after='-isystem "$here/kernel"',
    )
    sysroot_library.add(folder)


def reordered(text: str) -> str:
    """A C source with its lines that include headers in the opposite order."""
    lines = text.splitlines(keepends=True)
    places = [number for number, line in enumerate(lines) if line.startswith("#include")]
    for place, line in zip(places, [lines[number] for number in reversed(places)], strict=True):
        lines[place] = line
    return "".join(lines)


def _check(root: Sysroot) -> None:
    """Compile CHECK with `root`, whichever way round; raise InfrastructureError if it warns."""
    text = CHECK.read_text()
    with tempfile.TemporaryDirectory() as work:
        for order, source in (("", text), (" (includes reversed)", reordered(text))):
            path = Path(work) / "check.c"
            path.write_text(source)
            for dialect in ("gnu89", "gnu17"):
                flags = [f"-std={dialect}", "-Wall", "-Wextra", "-Wno-unused-local-typedefs"]
                done = root.compile([path], Path(work) / "check", flags)
                if not done.succeeded or done.messages:
                    raise InfrastructureError(
                        f"the headers of libc and kernel do not agree{order}, {dialect}:\n"
                        f"{done.messages.rstrip()}",
                        f"the headers that settle it are in {COMPATIBLE.relative_to(paths.ROOT)}",
                    )


def compile_for_user(
    program: str, *, flags: Sequence[str], output: str | None, given: Sequence[str] = ()
) -> None:
    """`invoke cc`: compile one file of C for the guest, or of C++ by its ending; show what the
    compiler says, and where it is.

    `given` is the NAME=PATH strings of --source.

    Raises UserError if the file is not there or does not compile, InfrastructureError if this host
    has no C++.
    """
    source = Path(program)
    if not source.is_file():
        raise UserError(f"there is no file {program}", "name a C source file")
    target = Path(output) if output else source.with_suffix("")
    if target.resolve() == source.resolve():
        raise UserError(f"{target} is the source itself", "name the executable: --output FILE")
    if target.is_dir():
        raise UserError(f"{target} is a folder", "name the executable: --output FILE")
    if not target.parent.is_dir():
        raise UserError(f"there is no folder {target.parent}", "make it, or name another --output")
    if not os.access(target.parent, os.W_OK):
        raise UserError(f"{target.parent} is not writable for you", "name another --output")
    try:
        words = [word for flag in flags for word in shlex.split(flag)]
    except ValueError as error:
        raise UserError(f"--flags {' '.join(flags)}: {error}", "write it as for a shell") from error
    plus_plus = source.suffix in PLUS_PLUS_ENDINGS
    dialect = PLUS_PLUS if plus_plus else PERMISSIVE
    done = build(given=given).compile([source], target, [*dialect, *words])
    if done.messages:
        terminal.say(done.messages.rstrip())
    if not done.succeeded and plus_plus and compiler.lacks_plus_plus():
        raise InfrastructureError(
            f"{compiler.name()} is here without C++, of which {program} is",
            f"as root, run: apt-get install {compiler.plus_plus_package()}",
        )
    if not done.succeeded and plus_plus:
        raise UserError(
            f"{program} does not compile for the guest (the compiler's messages are above)",
            "it is compiled as C++ of the year 2000, without a library: see docs/guest-image.md",
        )
    if not done.succeeded:
        raise UserError(
            f"{program} does not compile for the guest (the compiler's messages are above)",
            "it is compiled as C of the year 2000; for today's: --flags=-std=gnu17",
        )
    terminal.say(f"{target}: a static program for the guest; run it there with:")
    words = ["--variant", "base", "--put", str(target), "--", f"./{shlex.quote(target.name)}"]
    terminal.say(f"  ./inv run {shlex.join(words)}")
