# SPDX-License-Identifier: GPL-2.0-only
"""The typed events of a run: all that any report shows comes from them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Literal, get_args

Outcome = Literal["passed", "failed", "skipped"]
OUTCOMES: tuple[str, ...] = get_args(Outcome)


@dataclass(frozen=True, kw_only=True)
class Event:
    """Base of all events; `at` is the time of writing, in seconds of the epoch."""

    at: float = field(default_factory=time.time)


@dataclass(frozen=True, kw_only=True)
class RunStarted(Event):
    """A run of the guest tests began; `variants` are those whose verdict it owes.

    `machine` is the host's kind of processor, as x86_64; "" in the events of older versions.
    `require` are kernels and upstream sources without which it is a failure.
    """

    command: str
    variants: tuple[str, ...]
    expression: str
    seed: int
    jobs: int
    host: str
    qemu: str
    machine: str = ""
    require: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ShardStarted(Event):
    """The run is shard `number` of so many of a run of `variants`, which several machines share.

    `checkout` is the fingerprint of what is tested and of what tests it, `division` that of all
    shares (harness/record/shares.py), and `share` has its own: the tests that it runs, by variant.
    `require` is what the whole run requires.
    """

    number: int
    of: int
    checkout: str
    division: str
    variants: tuple[str, ...]
    share: dict[str, tuple[str, ...]]
    require: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ShardMerged(Event):
    """Shard `number` of so many became part of this run; `run` is the name of its folder, `verdict`
    the word that it ended with, and it took so many `seconds`.
    """

    number: int
    of: int
    run: str
    host: str
    verdict: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class MergeFault(Event):
    """Why what was merged is not one whole run, as `message` says."""

    message: str


@dataclass(frozen=True, kw_only=True)
class KernelBuilt(Event):
    """A variant's kernel is there; `seconds` is 0 when it was `cached`."""

    variant: str
    seconds: float
    cached: bool


@dataclass(frozen=True, kw_only=True)
class ImageBuilt(Event):
    """The guest's RAM disk is there; `seconds` is 0 when it was `cached`."""

    seconds: float
    cached: bool


@dataclass(frozen=True, kw_only=True)
class NotRun(Event):
    """Guest tests of `kernel` could not run, and `reason` says which file is missing."""

    kernel: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class SourceMissing(Event):
    """The upstream source `name` is not at hand: `instead` is what guests have where it would be,
    and `hint` says where to put it. VariantSelected tells who lacks something for it.
    """

    name: str
    title: str
    instead: str
    hint: str


@dataclass(frozen=True, kw_only=True)
class NotBuilt(Event):
    """`name`, a kernel or a variant, could not be built, so no test of `variants` could run."""

    name: str
    variants: tuple[str, ...]
    reason: str


@dataclass(frozen=True, kw_only=True)
class StatementKnown(Event):
    """A statement of SPEC.md as it was when the run began: where it comes from, and its parts.

    `parts` has, by the name that tests use (`S1` or `S1/case`), what a kernel needs for it, and its
    words in short.
    """

    name: str
    origin: tuple[str, ...]
    text: str
    parts: dict[str, tuple[tuple[str, ...], str]]


@dataclass(frozen=True, kw_only=True)
class CanariesEnded(Event):
    """The canaries of `harness`, a fingerprint, were run: docs/canaries.md.

    Each of `rows` has a name, what is wrong, what it must end in, what it ended in, and whether
    that is right: `right`, `WRONG` or `not run`.
    """

    harness: str
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class VariantSelected(Event):
    """A variant of the kernel `kernel` is to be tested; `has` in the words of features.toml.

    `lacks` is what it would have, in the same words, with the upstream source that is missing.
    """

    variant: str
    kernel: str
    has: tuple[str, ...]
    lacks: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TestsOwed(Event):
    """The tests that have to run on a variant, and not to be skipped: of those that were asked for,
    what the inventory says (harness/run/inventory.py).
    """

    __test__ = False  # not a test class, whatever its name begins with
    variant: str
    tests: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TestsCollected(Event):
    """The tests that a variant's session is going to run, in this order."""

    __test__ = False  # not a test class, whatever its name begins with
    variant: str
    tests: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class GuestBooted(Event):
    """A guest went from launch to a logged-in SSH session in `seconds`."""

    variant: str
    seconds: float
    accelerator: str


@dataclass(frozen=True, kw_only=True)
class GuestLost(Event):
    """The guest crashed, hung, or did not boot, while `test` was running; see `message`."""

    variant: str
    test: str
    message: str


@dataclass(frozen=True, kw_only=True)
class GuestKept(Event):
    """The guest was left running; `login` is the command line that logs in to it."""

    variant: str
    login: str


@dataclass(frozen=True, kw_only=True)
class TestStarted(Event):
    """A test begins; without its TestFinished, it is the one during which the session ended."""

    __test__ = False  # not a test class, whatever its name begins with
    variant: str
    test: str


@dataclass(frozen=True, kw_only=True)
class TestFinished(Event):
    """One test ended. `message` says why it failed or was skipped; `artifacts` is its folder.

    `measures` are figures that it recorded by pytest's `record_property`, as text with their unit.
    `own` is the file of a test of somebody's own. `line` is where it stands in its file, from 1 on;
    0 in the events of older versions.
    """

    __test__ = False  # not a test class, whatever its name begins with
    variant: str
    test: str
    outcome: Outcome
    statements: tuple[str, ...]
    seconds: float
    message: str = ""
    artifacts: str = ""
    measures: dict[str, str] = field(default_factory=dict)
    own: str = ""
    line: int = 0


@dataclass(frozen=True, kw_only=True)
class NoRoom(Event):
    """What a run leaves behind could not be written, as `message` says, and so it ends here.

    It was in a session while `test` was running, of which nothing is known, or in the run itself.
    """

    message: str
    variant: str = ""
    test: str = ""


@dataclass(frozen=True, kw_only=True)
class HarnessBroken(Event):
    """A part of the harness itself broke, or of what it has from this host, as `message` says: what
    it has seen since is not known.

    It was in a session while `test` was running, of which nothing is known, and which ends; or in
    the run itself.
    """

    message: str
    variant: str = ""
    test: str = ""


@dataclass(frozen=True, kw_only=True)
class EventsLost(Event):
    """A line of the stream is no event: it was cut off, or another version of this wrote it."""

    line: int
    why: str


@dataclass(frozen=True, kw_only=True)
class SessionTrouble(Event):
    """A variant's session did not end as it should: killed, silent, not understood. `message` says
    what it did, as in `the session ...`; seen by the run, since the session itself cannot tell.
    """

    variant: str
    message: str


@dataclass(frozen=True, kw_only=True)
class SessionFinished(Event):
    """A variant's session came to its own end, with pytest's exit `status` after `seconds`."""

    variant: str
    status: int
    seconds: float
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class RunFinished(Event):
    """The run came to its end, or the user ended it, by the signal of this number."""

    interrupted: bool = False
    signal: int = 0


TYPES: dict[str, type[Event]] = {
    kind.__name__: kind
    for kind in (
        RunStarted,
        ShardStarted,
        ShardMerged,
        MergeFault,
        KernelBuilt,
        ImageBuilt,
        NotRun,
        SourceMissing,
        NotBuilt,
        StatementKnown,
        CanariesEnded,
        VariantSelected,
        TestsOwed,
        TestsCollected,
        GuestBooted,
        GuestLost,
        GuestKept,
        TestStarted,
        TestFinished,
        NoRoom,
        HarnessBroken,
        EventsLost,
        SessionTrouble,
        SessionFinished,
        RunFinished,
    )
}
