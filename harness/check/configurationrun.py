# SPDX-License-Identifier: GPL-2.0-only
"""The configurations of SPEC.md O4, compiled and linked one after another; some of them booted."""

from __future__ import annotations

import difflib
import filecmp
import random
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.base import paths, terminal
from harness.base.errors import HarnessError, InfrastructureError, UnavailableError, UserError
from harness.kernel import kernel, kerneltrees
from harness.kernel.kernel import Kernel
from harness.matrix import configurations, variants
from harness.matrix.configurations import Configuration
from harness.matrix.variants import Variant
from harness.run import runner
from harness.run.request import asked


@dataclass(frozen=True)
class Result:
    """What came of one: its kernel, or why there is none.

    `stock`: what came of it without the divert series, where it failed with it; empty if it built.
    """

    row: Configuration
    built: Kernel | None = None
    error: HarnessError | None = None
    stock: str | None = None

    @property
    def words(self) -> str:
        """All that there is to be said of one that failed."""
        whose = ""
        if self.stock == "":
            whose = "\nwithout the divert series it builds"
        elif self.stock is not None:
            whose = f"\nwithout the divert series:\n{self.stock}"
        return f"{self.row.name} ({self.row.what}):\n{self.error}{whose}"


def build(
    rows: Iterable[Configuration], *, given: Sequence[str] = (), jobs: int = 0
) -> Iterator[Result]:
    """Build each that is not in the cache, in the tree of the one before; one that fails stops
    no other. In an order in which from one to the next as little is compiled as can be.

    Raises UnavailableError if the source cannot be had.
    """
    wide = configurations.load().wide
    order = sorted(rows, key=lambda row: [row.values[name] for name in wide])
    with kerneltrees.trees(paths.BUILD) as trees:
        for row in order:
            variant = variants.of_configuration(row)
            try:
                made = kernel.build(variant, jobs=jobs, given=given, trees=trees)
            except UnavailableError:
                raise
            except InfrastructureError as error:
                try:
                    kernel.build(stock(row), jobs=jobs, given=given, trees=trees)
                except InfrastructureError as without:
                    yield Result(row, error=error, stock=str(without))
                else:
                    yield Result(row, error=error, stock="")
            else:
                yield Result(row, made)


def stock(row: Configuration) -> Variant:
    """The same without the divert series: what fails there too is 2.2.12's own."""
    variant = variants.of_configuration(row)
    ours = {f"CONFIG_{name}" for name, choice in row.choices.items() if choice.ours}
    return replace(
        variant,
        name=f"{row.name} of stock",
        series=variant.series[:1],
        fragments=(configurations.FRAGMENT,),
        changes=tuple(option for option in variant.changes if option.symbol not in ours),
    )


def draw(seed: int) -> list[Configuration]:
    """Those that `invoke check` builds; the first of them boots."""
    every = list(configurations.rows().values())
    choice = random.Random(seed)  # noqa: S311
    first = choice.choice([row for row in every if row.boots])
    rest = choice.sample([row for row in every if row != first], len(every) - 1)
    return [first, *rest][: configurations.load().check_builds]


def named(only: str | None) -> list[Configuration]:
    """Those that a command line names, without the names' common beginning or with it; or all.

    Raises UserError for an unknown name.
    """
    every = configurations.rows()
    if only is None:
        return list(every.values())
    names = []
    for word in filter(None, (part.strip() for part in only.split(","))):
        name = configurations.PREFIX + word.removeprefix(configurations.PREFIX)
        if name not in every:
            near = difflib.get_close_matches(name, every, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UserError(
                f"there is no configuration {word}", f"{hint}see: ./inv configurations --list"
            )
        names.append(name)
    if not names:
        raise UserError("--only names no configuration", "see: ./inv configurations --list")
    return [row for name, row in every.items() if name in names]


def show_list() -> None:
    """Name all of them, and what each has."""
    table = terminal.Grid("configuration", "boots", "what")
    for row in configurations.rows().values():
        table.row(row.name, "yes" if row.boots else "", row.what)
    terminal.show(table)


def run(
    *, only: str | None = None, boot: int = 0, jobs: int = 0, given: Sequence[str] = ()
) -> None:
    """Build those that a command line names, or all, and print a table; with `boot`, run the guest
    tests on the first so many that a guest can have.

    Raises UserError for what cannot be; TestsFailedError or GuestError if a test failed; else
    InfrastructureError if one did not build, or not as it does from nothing.
    """
    if boot < 0:
        raise UserError(f"--boot {boot}: it has to be 0 or more")
    chosen = named(only)
    boots = [row for row in chosen if row.boots][:boot]
    if boot > len(boots):
        raise UserError(
            f"--boot {boot}: of those that are named {len(boots)} can be booted",
            "see: ./inv configurations --list",
        )
    table = terminal.Grid("configuration", "boots", "built in", right=("built in",))
    failed: list[str] = []
    last: Result | None = None
    for result in build(chosen, given=given, jobs=jobs):
        took = "NOT BUILT"
        if result.built is None:
            failed.append(result.words)
            terminal.say(result.words)
        else:
            took = "(before)" if result.built.cached else f"{result.built.seconds:.1f} s"
            last = last if result.built.cached else result
        table.row(result.row.name, "yes" if result.row.boots else "", took)
    if last is not None and (difference := control(last, given)):
        failed.append(difference)
    terminal.show(table)
    terminal.show(f"{len(chosen) - len(failed)} of {len(chosen)} configurations compile and link")
    if boots:
        names = ",".join(row.name for row in boots)
        runner.test(asked(variant=names, given=given))
    if failed:
        raise InfrastructureError("\n".join(failed))


def control(result: Result, given: Sequence[str] = ()) -> str:
    """Build one from nothing, and say so if that is another kernel: then no tree is to be trusted.

    Raises InfrastructureError if it does not build.
    """
    assert result.built is not None
    with tempfile.TemporaryDirectory(prefix="control-", dir=paths.BUILD) as folder:
        variant = variants.of_configuration(result.row)
        apart = kernel.build_apart(variant, Path(folder), given=given)
        same = filecmp.cmp(apart, result.built.folder / apart.name, shallow=False)
    if same:
        return ""
    shutil.rmtree(result.built.folder)
    return (
        f"{result.row.name}: the kernel from nothing is another than the one that was made in the "
        "tree of those before\ndo not trust the others: ./inv clean --everything"
    )
