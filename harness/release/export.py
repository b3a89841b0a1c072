# SPDX-License-Identifier: GPL-2.0-only
"""What a user of 2.2.12 takes home: the patch, the patched sources, how to install them (G1 to G3).

All of it comes from the archives at hand. One checkout and one archive give the same bytes each
time; nothing of it is committed.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base import command, difference, diskroom, fingerprint, paths, store, terminal
from harness.base.errors import InfrastructureError, MissingSourceError, UserError
from harness.kernel import kernel
from harness.upstream import archive, patches, sources, worktree
from harness.upstream.patches import Series
from harness.upstream.sources import Verified

FOLDER = paths.BUILD / "export"

IPCHAINS = "ipchains-1.3.9"

# For a compiler of the time; for one of today, named for what it was tried with first.
PATCH = "divert-2.2.12.patch"
PATCH_OF_TODAY = "divert-2.2.12-gcc12.patch"
KERNEL_TREE = "linux-2.2.12-divert"
IPCHAINS_TREE = "ipchains-1.3.9-divert"
PACKED = ".tar.gz"
INSTALL = "INSTALL"
DIGESTS = "SHA256SUMS"

# The folder at the top of each tar file is named as the file, so that none unpacks over another.
_PARTS = {PATCH: ("divert",), PATCH_OF_TODAY: ("toolchain", "divert")}
_HEADS = {
    PATCH: """\
SPDX-License-Identifier: GPL-2.0-only

Linux 2.2.12: divert sockets

For a fresh tree of 2.2.12, and a compiler of its time (egcs, gcc 2.7 or 2.95):
    cd linux; patch -p1 <../{name}
INSTALL says which options to turn on, and how to go on.

""",
    PATCH_OF_TODAY: """\
SPDX-License-Identifier: GPL-2.0-only

Linux 2.2.12: divert sockets, and what a compiler of today needs

For a fresh tree of 2.2.12, and gcc 12 or a later one:
    cd linux; patch -p1 <../{name}
INSTALL says which options to turn on, and how to go on.

""",
}


@dataclass(frozen=True)
class Exported:
    """A folder with what could be made; `lacking` says why the rest could not."""

    folder: Path
    files: tuple[Path, ...]
    lacking: tuple[MissingSourceError, ...]


def export(output: str | None = None, given: Sequence[str] = ()) -> None:
    """`invoke export`: write all of it to `output`, and print what is where.

    Raises UserError if `output` is no folder; MissingSourceError, after all else is made, for what
    an archive is missing for; InfrastructureError if something cannot be written.
    """
    folder = Path(output) if output else FOLDER
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is no folder", "name one: --output DIR")
    made = write(folder, given)
    grid = terminal.Grid("file", "bytes", "what", right=("bytes",))
    for path in made.files:
        grid.row(path.name, f"{path.stat().st_size:,}", WHAT[path.name])
    terminal.show(grid)
    terminal.show(f"\nin {made.folder}")
    if made.lacking:
        for error in made.lacking[1:]:
            terminal.say(str(error))
        raise made.lacking[0]


def write(folder: Path, given: Sequence[str] = ()) -> Exported:
    """The same without a word; nothing is raised for an archive that is missing beside another.

    Raises MissingSourceError if there is none at all, InfrastructureError as `export` does.
    """
    made: list[Path] = []
    lacking: list[MissingSourceError] = []
    for name, make in ((kernel.SOURCE, _write_kernel), (IPCHAINS, _write_ipchains)):
        try:
            source = sources.obtain(name, given)
            made += _placed(folder, functools.partial(make, source))
        except MissingSourceError as error:
            lacking.append(error)
    if not made:
        raise lacking[0]
    made += _placed(folder, functools.partial(_write_words, tuple(made)))
    return Exported(folder, tuple(made), tuple(lacking))


def _placed(folder: Path, make: Callable[[Path], None]) -> list[Path]:
    """What `make` writes to the folder it is given; each file is in `folder` only as a whole."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".partial-") as work:
            out = Path(work) / "out"
            out.mkdir()
            make(out)
            return [path.replace(folder / path.name) for path in sorted(out.iterdir())]
    except OSError as error:
        if error.errno in diskroom.ERRNOS:
            raise store.unwritten(error, folder) from error
        raise InfrastructureError(
            f"cannot write {error.filename or folder}: {error.strerror or error}",
            "name another folder: --output DIR",
        ) from error


def _write_kernel(source: Verified, out: Path) -> None:
    for name, parts in _PARTS.items():
        series = patches.load_parts(kernel.SOURCE, parts)
        tree = _patched(source, series, out.parent / name)
        touched = sorted(frozenset[str]().union(*(each.touched() for each in series)))
        body = difference.of_files(source.tree, tree, touched)
        (out / name).write_bytes(_HEADS[name].format(name=name).encode() + body)
    archive.pack(tree, KERNEL_TREE, out / f"{KERNEL_TREE}{PACKED}")


def _write_ipchains(source: Verified, out: Path) -> None:
    tree = _patched(source, patches.load_all(IPCHAINS), out.parent / IPCHAINS)
    archive.pack(tree, IPCHAINS_TREE, out / f"{IPCHAINS_TREE}{PACKED}")


def _patched(source: Verified, series: Sequence[Series], tree: Path) -> Path:
    worktree.lay_out(source, tree)
    patches.apply(series, tree, command.new_log(f"export-{tree.name}"))
    return tree


def _write_words(made: Sequence[Path], out: Path) -> None:
    (out / INSTALL).write_bytes((paths.HARNESS / "release" / INSTALL).read_bytes())
    lines = [f"{fingerprint.of_file(path)}  {path.name}\n" for path in [*made, out / INSTALL]]
    (out / DIGESTS).write_text("".join(lines))


WHAT = {
    PATCH: "the kernel's patch, for a compiler of the time",
    PATCH_OF_TODAY: "the kernel's patch, for a compiler of today",
    f"{KERNEL_TREE}{PACKED}": "the kernel with the second of these applied",
    f"{IPCHAINS_TREE}{PACKED}": "ipchains that knows the target DIVERT",
    INSTALL: "how to install them, and which options to turn on",
    DIGESTS: "for sha256sum --check",
}
