# SPDX-License-Identifier: GPL-2.0-only
"""The parts of the guest image: each built by its recipe, and kept by its fingerprint."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base import (
    command,
    compiler,
    complaints,
    datafile,
    fingerprint,
    paths,
    store,
    terminal,
)
from harness.base.datafile import Fault, Schema, Table
from harness.base.errors import InfrastructureError
from harness.debian import packagefolder, packages
from harness.upstream import patches, releases, sources


class _Part(Table, frozen=True, kw_only=True):
    """What the file says of a part."""

    seconds: float
    package: str | None = None
    upstream: str | None = None
    tried: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    binary: tuple[str, ...] = ()


class Layout(Table, frozen=True, kw_only=True):
    """Size of the file system in KiB, and its number of inodes."""

    size: int
    inodes: int


class _Image(Table, frozen=True, kw_only=True):
    image: Layout
    parts: dict[str, _Part]


DATA = Schema(_Image, "images/image.toml")

# Counts up when what this module adds to a recipe changes.
RECIPE = "1"

# The recipes run with this before them: a command that fails ends them.
SHELL = ("sh", "-eu")


@dataclass(frozen=True)
class Part:
    """One part, as images/image.toml describes it, with its recipe in images/<name>/."""

    name: str
    seconds: float
    package: str | None = None
    upstream: str | None = None
    tried: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    binary: tuple[str, ...] = ()

    @property
    def recipe(self) -> Path:
        """The folder of build.sh and what it uses."""
        return paths.IMAGES / self.name


@dataclass(frozen=True)
class Built:
    """A built part: its files as they will be in the guest, below `folder`; their fingerprint."""

    name: str
    folder: Path
    fingerprint: str
    seconds: float
    cached: bool


def load() -> dict[str, Part]:
    """Every part by its name; one comes after those that it needs. Raises UserError if the file is
    not as it says.
    """
    said = DATA.read().parts
    DATA.refuse(_wrong(said))
    return {
        name: Part(name, row.seconds, row.package, row.upstream, row.tried, row.needs, row.binary)
        for name, row in said.items()
    }


def _wrong(said: Mapping[str, _Part]) -> Iterator[Fault]:
    above: list[str] = []
    for name, row in said.items():
        yield from datafile.each_among(("parts", name, "needs"), row.needs, above)
        if row.upstream is not None:
            keys = ("parts", name, "upstream")
            yield from datafile.among(keys, row.upstream, releases.load())
        if not (paths.IMAGES / name / "build.sh").is_file():
            yield Fault(("parts", name), f"there is no images/{name}/build.sh")
        above.append(name)


def processors() -> int:
    """How many compilers to run at once where nobody says."""
    return len(os.sched_getaffinity(0))


def write_compiler(target: Path, *, flags: str, after: str) -> None:
    """Write `target`, a compiler for the guest: images/libc/cc for the headers and libraries beside
    it, with more `flags` and, `after` the libc's, more folders of headers.
    """
    values = {
        "GCC": compiler.name(),
        "GCC_INCLUDE": compiler.ask("-print-file-name=include"),
        "FLAGS": flags,
        "AFTER": after,
    }
    text = (paths.IMAGES / "libc" / "cc").read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    target.write_text(text)
    target.chmod(0o755)


def fetch(part: Part) -> None:
    """Download the packages that `part` is made from, if they are not here yet.

    Raises InfrastructureError without a network, or if the release has no such package.
    """
    if part.package:
        packages.source(part.package)
    if part.binary:
        packages.binary(*part.binary, elsewhere=True)


def build(part: Part, needs: Sequence[Built], *, jobs: int, given: Sequence[str] = ()) -> Built:
    """Build `part`, if it is not in the cache, from its source and what it needs.

    Raises MissingSourceError without its upstream archive; InfrastructureError if it cannot be
    downloaded or does not build.
    """
    origin = _origin(part, given)
    print_ = fingerprint.of_bytes(
        RECIPE,
        part.name,
        compiler.identity(),
        origin.fingerprint,
        *(series.fingerprint for series in origin.series),
        fingerprint.of_tree(part.recipe),
        *(need.fingerprint for need in needs),
    )

    def make(folder: Path) -> None:
        terminal.say(f"building {part.name} for the guest ({origin.title})")
        # Beside the checkout's other logs: after a failure, `folder` is gone.
        log = command.new_log(part.name)
        tree = folder / "tree"
        origin.unpack(tree, log)
        patches.apply(origin.series, tree, log)
        binary = folder / "binary"
        if origin.binary:
            packages.unpack(origin.binary, binary, log)
        # In the cache, since make takes no path with a space, and the checkout may have one.
        recipe = folder / "recipe"
        shutil.copytree(part.recipe, recipe)
        out = folder / "out"
        out.mkdir()
        environment = {need.name.upper(): str(need.folder) for need in needs}
        environment |= {
            "HOST_CC": compiler.name(),
            "HOST_CC32": shlex.join(compiler.for_32_bit()),
            "CC": environment.get("LIBC", "") + "/bin/cc",
            "JOBS": str(jobs),
            "OUT": str(out),
            "RECIPE": str(recipe),
            "BINARY": str(binary),
        }
        try:
            command.run(
                [*SHELL, str(recipe / "build.sh")],
                what=f"building {part.name} for the guest",
                log=log,
                seconds=part.seconds,
                cwd=tree,
                env=environment,
            )
        except InfrastructureError as error:
            raise complaints.explained(f"{part.name} for the guest", error, log) from error
        for leftover in (tree, binary, recipe):
            shutil.rmtree(leftover, ignore_errors=True)

    entry = store.obtain("part", print_, make, f"{part.name} for the guest")
    return Built(part.name, entry.path / "out", print_, entry.seconds, entry.cached)


@dataclass(frozen=True)
class _Origin:
    """Where a part's source comes from: a package, an upstream release, or the recipe alone."""

    title: str
    fingerprint: str
    series: tuple[patches.Series, ...] = ()
    package: packagefolder.Package | None = None
    tree: Path | None = None
    binary: packagefolder.Package | None = None

    def unpack(self, folder: Path, log: Path) -> None:
        if self.package:
            packages.unpack(self.package, folder, log)
        elif self.tree:
            shutil.copytree(self.tree, folder)
        else:
            folder.mkdir()


def _origin(part: Part, given: Sequence[str]) -> _Origin:
    if part.package:
        package = packages.source(part.package)
        binary = packages.binary(*part.binary, elsewhere=True) if part.binary else None
        digests = package.digest + (binary.digest if binary else "")
        title = f"{part.package} {package.version}"
        if package.upstream not in part.tried:
            title += f", not tried before: the recipe is known to work with {', '.join(part.tried)}"
        series = patches.load_for(part.package, package.upstream)
        return _Origin(title, digests, series, package=package, binary=binary)
    if part.upstream:
        verified = sources.obtain(part.upstream, given)
        series = patches.load_all(part.upstream)
        return _Origin(part.upstream, verified.content, series, tree=verified.tree)
    return _Origin("its source is images/" + part.name, "")
