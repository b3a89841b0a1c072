# SPDX-License-Identifier: GPL-2.0-only
"""What a run of the guest tests is asked to do."""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.base import checkout, paths, terminal
from harness.base.errors import UserError
from harness.boot import bootable
from harness.debian import packages
from harness.matrix import kernels, variants
from harness.matrix.variants import Variant
from harness.run import inventory, inventoryfiles, selection, shards, worker
from harness.run.inventoryfiles import Inventory
from harness.run.selection import Selection
from harness.run.shards import Shard
from harness.run.worker import Test
from harness.upstream import releases

# A session waits a third of its time, for its guest or for its tests.
_SESSIONS_PER_PROCESSOR = 2

# As --require's value: whatever kernel is the host's own, as continuous integration has it.
HOST_KERNEL = "host-kernel"

# The variant for somebody's own tests, where none is named.
_OWN = "base"

# From so many tests on, what each restore of the guest costs matters more than its boot.
_LONG = 60


def default_jobs() -> int:
    """How many guests to run at once where nobody says."""
    return _SESSIONS_PER_PROCESSOR * len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Request:
    """What a run is to do. `jobs` guests run at once; `seed` shuffles the tests.

    `modules` are the files that hold what is `selected`; none: all are read for it.
    `tests` are those that are selected, with what each proves, if that is known already. `traced`
    has for variants the addresses whose blocks are to be told. `owed` are those of the tests that
    have to run, by the variant, with what each needs of it; `require` are the kernels and upstream
    sources without which the run is a failure. `shard` has the tests of each variant that are to
    run, where others run the rest; `variants` are then those that it has any of. `tools`: in
    guests with Python, tcpdump and strace.
    """

    variants: tuple[Variant, ...]
    selected: Selection = field(default_factory=Selection)
    jobs: int = 1
    seed: int = 0
    keep: bool = False
    given: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    tests: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    traced: Mapping[str, str] = field(default_factory=dict)
    owed: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    require: tuple[str, ...] = ()
    shard: Shard | None = None
    tools: bool = False

    def long_on(self, variant: str) -> bool:
        """Whether a variant's guest serves so many tests that a slower boot pays."""
        return not 0 < len(self.tests_on(variant)) < _LONG

    def tests_on(self, variant: str) -> Mapping[str, tuple[str, ...]]:
        """Those of the tests that are to run on a variant, with what each proves."""
        if self.shard is None:
            return self.tests
        return {name: self.tests[name] for name in self.shard.share.get(variant, ())}

    @property
    def requires(self) -> tuple[str, ...]:
        """What it is a failure without: of a shard, no kernel that others have to test."""
        if self.shard is None:
            return self.require
        tested = {row.kernel for row in self.variants}
        return tuple(name for name in self.require if name in tested or name not in kernels.load())

    def traced_as(self, addresses: Mapping[str, str]) -> Request:
        """The same request, with these addresses traced on each variant."""
        return replace(self, traced=addresses)

    @property
    def command(self) -> str:
        """The command line that does the same run again."""
        names = self.shard.variants if self.shard else [row.name for row in self.variants]
        words = ["./inv", "test", *self.selected.files, "--variant", ",".join(names)]
        words += self.selected.words[len(self.selected.files) :]
        words += ["--shard", str(self.shard)] if self.shard else []
        words += [word for row in self.given for word in ("--source", row)]
        return shlex.join([*words, "--seed", str(self.seed), "--jobs", str(self.jobs)])


def required(require: Sequence[str], chosen: Sequence[Variant]) -> tuple[str, ...]:
    """What a command line requires, by names of kernels and upstream sources; HOST_KERNEL stands
    for the distribution's kernel of this host's release.

    Raises UserError for what is neither, and for a kernel of which no variant is `chosen`: what is
    required has to run.
    """
    if HOST_KERNEL in require:
        host = packages.host_release()
        own = [row.name for row in kernels.of_host(host.codename)]
        if not own:
            raise UserError(
                f"--require {HOST_KERNEL}: there is no kernel for this host, which is {host.name}",
                f"known: {', '.join(kernels.load())}",
            )
        require = [*(name for name in require if name != HOST_KERNEL), *own]
    known = [*kernels.load(), *releases.load()]
    if wrong := [name for name in require if name not in known]:
        raise UserError(
            f"--require {wrong[0]}: there is no such kernel",
            f"known: {', '.join(dict.fromkeys([*known, HOST_KERNEL]))}",
        )
    for name in require:
        if name in kernels.load() and name not in {row.kernel for row in chosen}:
            raise UserError(
                f"--require {name}: none of its variants is among those to be tested",
                f"those are: {', '.join(row.name for row in chosen)}",
            )
    return tuple(require)


def requested(
    chosen: Sequence[Variant],
    selected: Selection | str = "",
    *,
    jobs: int | None = None,
    keep: bool = False,
    given: Sequence[str] = (),
    seed: int | None = None,
    shard: Shard | None = None,
) -> Request:
    """The request for the tests that are `selected`, a string as -k does, on the variants `chosen`;
    as many guests at once as are usual here, in a new order, where nobody says. That of a `shard`
    is for its share, in the order which the checkout has on all machines.

    Raises UserError for an expression that cannot be, for shards of somebody's own tests, or for
    more of them than tests;
    TestsFailedError if the tests cannot be collected, or if all are to run and one of the inventory
    is missing.
    """
    if isinstance(selected, str):
        selected = Selection(selected, root=paths.GUEST_TESTS)
    if shard is not None and selected.own:
        raise UserError(
            f"--shard {shard}: tests of one's own are in no inventory, which shards are made of",
            "run them on one machine, or with a command of its own on each",
        )
    with terminal.activity("looking at the tests", said=False):
        tests = worker.survey(selected)
        due: dict[str, Mapping[str, tuple[str, ...]]] = dict(_owed(selected, tests, chosen))
    if shard is not None:
        shard = shards.assigned(shard, chosen, list(tests), due)
        chosen = [row for row in chosen if row.name in shard.share]
        due = {name: _only(due[name], own) for name, own in shard.share.items()}
        seed = checkout.seed() if seed is None else seed
    modules = tuple(sorted({test.partition("::")[0] for test in tests}))
    return Request(
        variants=tuple(chosen),
        selected=selected,
        jobs=default_jobs() if jobs is None else jobs,
        seed=secrets.randbelow(10**6) if seed is None else seed,
        keep=keep,
        given=tuple(given),
        modules=() if selected.whole else modules,
        tests={name: test.proves for name, test in tests.items()},
        owed=due,
        shard=shard,
    )


def _owed(
    selected: Selection, tests: Mapping[str, Test], chosen: Sequence[Variant]
) -> dict[str, dict[str, tuple[str, ...]]]:
    """What of the tests has to run, by the variant: nothing of somebody's own."""
    if selected.own:
        return {row.name: {} for row in chosen}
    if selected.whole:
        stored = inventory.require(paths.GUEST_TESTS, tests, chosen)
    else:
        # Who asks for some does not ask for all.
        stored = inventoryfiles.read(paths.GUEST_TESTS)
    due = {row.name: inventory.owed(stored, tests, row.name) for row in chosen}
    if not selected.whole and not any(due.values()):
        _applies_elsewhere(selected, stored, tests, chosen)
    return due


def _only(
    owed: Mapping[str, tuple[str, ...]], names: Sequence[str]
) -> Mapping[str, tuple[str, ...]]:
    return {name: owed[name] for name in names if name in owed}


def _applies_elsewhere(
    selected: Selection, stored: Inventory, tests: Mapping[str, Test], chosen: Sequence[Variant]
) -> None:
    """Raise UserError if the inventory knows variants on which some of the tests run."""
    elsewhere = [name for name in variants.load() if inventory.owed(stored, tests, name)]
    if not elsewhere:
        return
    wanted = sorted(set(inventory.needs(tests).values()))
    names = ", ".join(row.name for row in chosen)
    others = f"; they run on {', '.join(elsewhere[1:6])}, too" if elsewhere[1:] else ""
    raise UserError(
        f"{selected}: none of the tests that it selects ({len(tests)}) applies to {names}: "
        f"they need {'; or '.join(wanted[:3])}",
        f"try: ./inv test --variant {elsewhere[0]} {selected}{others}",
    )


def asked(
    require: Sequence[str] = (),
    *,
    variant: str | None = None,
    matrix: str | None = None,
    kernel: str | None = None,
    expression: str = "",
    statement: str = "",
    files: Sequence[str] = (),
    jobs: int | None = None,
    keep: bool = False,
    given: Sequence[str] = (),
    seed: str | None = None,
    shard: str | None = None,
    tools: bool = False,
) -> Request:
    """What a command line asks for. Raises UserError if that is not there, and as `selection.of`,
    `required` and `requested`.
    """
    selected = selection.of(expression, statement, files)
    if selected.own and not (variant or matrix or kernel):
        # Some kernels of the matrix cannot divert at all; and who tries a test means one.
        variant = _OWN
        terminal.say(f"your own tests, on {_OWN}; on others: --variant base,linux-6.1:base")
    rows = variants.select(variant, matrix, kernel)
    names = required(require, rows)
    if seed is not None and not seed.isdecimal():
        raise UserError(f"--seed {seed}: it has to be a number")
    if tools:
        _require_tools(rows, selected, keep=keep)
    request = requested(
        rows,
        selected,
        jobs=jobs,
        keep=keep,
        given=given,
        seed=None if seed is None else int(seed),
        shard=None if shard is None else shards.parse(shard),
    )
    return replace(request, require=names, tools=tools)


def _require_tools(rows: Sequence[Variant], selected: Selection, *, keep: bool) -> None:
    """Raise UserError for the suite's own tests alone, whose verdict is of the image that they are
    for, and for a kernel that is too old.
    """
    for row in rows:
        bootable.require_tools(row)
    if not keep and not selected.own:
        raise UserError(
            "--tools is for tests of your own, and for guests that are kept to look into",
            "add --keep, or the file of a test of your own",
        )
