# SPDX-License-Identifier: GPL-2.0-only
"""Random calls to divert sockets and to the firewall, by tests/programs/fuzz in a guest.

A find is a guest that crashes or hangs, an answer that no call may give, or memory that is not
given back. The program's calls depend on the seed alone, so a find is had again by the command line
that is printed with it.
"""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.base import options, terminal
from harness.base.deadline import Deadline
from harness.base.errors import (
    GuestError,
    GuestLostError,
    InfrastructureError,
    TestsFailedError,
    UnavailableError,
    UserError,
)
from harness.boot import bootable, initramfs
from harness.guest import leaks, memory
from harness.guest.console import Console
from harness.guest.crash import classify
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.interactive import session
from harness.matrix import statements, variants

# A round begins in a guest as it was after its boot, so that a find needs no long history.
ROUND_CALLS = 20_000
# A user's rules are made to be expensive.
USER_ROUND_CALLS = 2_000
# How often the program tells the console how far it is (CONSOLE_EVERY in fuzz.c).
PROGRESS_CALLS = 256
SEEDS = 2**32

_SNAPSHOT = "fuzz"
# A round takes some seconds; on a busy host many times that.
_ROUND_SECONDS = 120.0
# What still waits for a timer: fragments (1 s, as set below), packets without a neighbour (3 s),
# and sockets that were closed while a packet was on its way, looked at again after 10 s.
_SETTLE_SECONDS = 30.0
# Fragments time out soon, and rules that log write to the kernel's log but not to the console.
_PREPARE = "echo 1 >/proc/sys/net/ipv4/ipfrag_time && dmesg -n 6"
# What an ordinary user has of memory here. It has to do for the program itself.
_GROUPS = "/root/cgroup"
_GROUP = f"{_GROUPS}/user"
_PREPARE_USER = f"""\
{initramfs.loading("veth")}
mkdir {_GROUPS} && mount -t cgroup2 none {_GROUPS}
echo +memory >{_GROUPS}/cgroup.subtree_control
mkdir {_GROUP} && echo {24 << 20} >{_GROUP}/memory.max"""
# Neighbours and routes are no loss: they are kept for a minute and more, and go with the interface.
_LOOK = f"""\
echo 0 >/proc/sys/net/ipv4/route/flush
for name in lo eth1 eth2; do ifconfig $name down && ifconfig $name up; done
{memory.LOOK}"""
_LOOK_AGAIN = f"sleep 0.3\n{_LOOK}"
_LOG = "/root/fuzz.log"

_PROGRESS = re.compile(r"fuzz: seed \d+, call (\d+)")


@dataclass(frozen=True)
class Round:
    """So many calls of a seed, or as many as can be made in `seconds` if that is not 0.

    `as_user`: made by an ordinary user, in namespaces of his own. `leaks`: the kernel itself is
    asked what was lost, as counts of objects cannot tell there; `leaks.begin` was called before.
    """

    variant: str
    seed: int
    calls: int = ROUND_CALLS
    seconds: int = 0
    as_user: bool = False
    leaks: bool = False

    def again(self, calls: int) -> str:
        """The command line that makes the first `calls` calls again, and shows the last of them."""
        words = ("--variant", self.variant, "--seed", str(self.seed), "--calls", str(calls))
        user = ["--as-user"] if self.as_user else []
        return shlex.join(["./inv", "fuzz", *words, *user, "--trace"])


@dataclass(frozen=True)
class Outcome:
    """What came of a round: how many calls were made, and how many had each kind of answer."""

    calls: int
    answers: Mapping[str, int]


def run(shell: Shell, console: Console, a_round: Round, *, trace: bool = False) -> Outcome:
    """Make the calls in a guest; with `trace` it writes the last of them to the console.

    Raises TestsFailedError for an answer that may not be, and for memory that is not given back;
    GuestError if the guest does not survive. Each says how to have it again.
    """
    try:
        return _run(shell, a_round, trace)
    except GuestError as error:
        found = [match for line in console.lines if (match := _PROGRESS.search(str(line)))]
        last = int(found[-1][1]) if found else 0
        end = min(a_round.calls, last + PROGRESS_CALLS)
        message = f"{error.message}\nfuzz seed {a_round.seed}, one of the calls {last} to {end}"
        hint = f"{error.hint}\nagain: {a_round.again(end)}".strip()
        if isinstance(error, GuestLostError):
            raise GuestLostError(error.kind, message, hint) from error
        raise GuestError(message, hint) from error


def _run(shell: Shell, a_round: Round, trace: bool) -> Outcome:
    shell.check(_PREPARE)
    before = _use(shell, a_round, _LOOK)
    words = [a_round.seed, a_round.calls, a_round.seconds]
    if trace:
        words.append(max(0, a_round.calls - 2 * PROGRESS_CALLS))
    # The rules may stop every packet, those of this connection too: nothing is said meanwhile.
    user = "as-user " if a_round.as_user else ""
    command = f"fuzz {user}{' '.join(map(str, words))} >{_LOG} 2>&1"
    if a_round.as_user:
        shell.check(_PREPARE_USER)
        command = f"echo $$ >{_GROUP}/cgroup.procs && exec {command}"
    result = shell.run(command, seconds=_ROUND_SECONDS + a_round.seconds)
    rows = [json.loads(line) for line in shell.check(f"cat {_LOG}").splitlines()]
    outcome = _judged(a_round, rows)
    if outcome is None:
        raise GuestError(f"the program fuzz {result.how}")
    _look_into_log(shell, a_round, outcome.calls)
    deadline = Deadline(_SETTLE_SECONDS, "memory given back")
    while more := memory.lost(before, _use(shell, a_round, _LOOK_AGAIN)):
        if deadline.expired:
            what = ", ".join(f"{number} of {name}" for name, number in more.items())
            raise TestsFailedError(
                f"fuzz seed {a_round.seed}, {outcome.calls} calls: memory is lost: {what}",
                f"again: {a_round.again(outcome.calls)}",
            )
    if a_round.leaks and (lost := leaks.found(shell)):
        raise TestsFailedError(
            f"fuzz seed {a_round.seed}, {outcome.calls} calls: nobody can reach any more "
            f"{len(lost)} objects, the first of them:\n{lost[0]}",
            f"again: {a_round.again(outcome.calls)}",
        )
    return outcome


def _use(shell: Shell, a_round: Round, look: str) -> memory.Use:
    use = memory.parse(shell.check(look))
    return memory.own(use) if a_round.leaks else use


def _look_into_log(shell: Shell, a_round: Round, calls: int) -> None:
    """Raise TestsFailedError for a fault that the kernel's log has, as far as that goes back.

    2.2.12 tells of some no louder than of what the rules log, which the console is not told here.
    """
    for line in shell.check("dmesg").splitlines():
        if (crash := classify(line)) is not None:
            raise TestsFailedError(
                f"fuzz seed {a_round.seed}, {calls} calls: the kernel's log has: {crash.words}",
                f"again: {a_round.again(calls)}",
            )


def _judged(a_round: Round, rows: Sequence[Mapping[str, Any]]) -> Outcome | None:
    """What the program said; None if it did not come to its end."""
    for row in rows:
        if row["event"] in ("find", "failed"):
            said = f"{row['what']} {row['error']}".strip()
            raise TestsFailedError(
                f"fuzz seed {a_round.seed}, call {row['call']}: {said}",
                f"again: {a_round.again(row['call'] + 1)}",
            )
    for row in rows:
        if row["event"] == "end":
            return Outcome(row["calls"], row["answers"])
    return None


def fuzz(
    *,
    variant: str | None,
    seconds: int,
    calls: int,
    seed: str | None,
    trace: bool,
    given: Sequence[str],
    as_user: bool = False,
) -> None:
    """Fuzz each variant that has divert sockets, or the named ones, for so many seconds.

    Rounds of ROUND_CALLS have the seeds `seed`, `seed` + 1, ...; with `calls` there is one round of
    so many calls. Raises UserError for numbers that cannot be, TestsFailedError and GuestError for
    what is found; InfrastructureError, when all others were fuzzed, for what could not be had or
    built.
    """
    if variant is None:
        chosen = tuple(row for row in variants.select() if row.diverts)
    else:
        chosen = variants.select(variant)
    if not all(row.diverts for row in chosen):
        raise UserError("only a kernel with divert sockets can be fuzzed", "as in: --variant base")
    if as_user and not all(row.module for row in chosen):
        raise UserError(
            "--as-user: 2.2.12 has no user namespaces", "as in: --variant linux-6.1:base --as-user"
        )
    if (seconds > 0) == (calls > 0):
        raise UserError("give either --seconds or --calls", "as in: ./inv fuzz --seconds 60")
    each = USER_ROUND_CALLS if as_user else ROUND_CALLS
    plan = _Plan(options.seed(seed, SEEDS), seconds, calls or each, trace, as_user)
    absent = []
    for row in chosen:
        try:
            built = bootable.build(row, given)
        except InfrastructureError as error:
            what = "NOT RUN" if isinstance(error, UnavailableError) else "NOT BUILT"
            absent.append(f"{row.name}: {what}")
            terminal.say(f"fuzz {absent[-1]}\n{error}")
            continue
        with session.boot("fuzz", built) as machine:
            _fuzz_guest(machine, row.name, plan, leaks.FEATURE in statements.features(row))
    if absent:
        raise InfrastructureError(", ".join(absent))


@dataclass(frozen=True)
class _Plan:
    """Rounds of so many calls, from this seed on, for so many seconds; 0 seconds: one round."""

    first: int
    seconds: int
    calls: int
    trace: bool
    as_user: bool


def _fuzz_guest(machine: Machine, name: str, plan: _Plan, asked: bool) -> None:
    if asked:
        leaks.begin(machine.ssh)
    machine.snapshot(_SNAPSHOT)
    if plan.trace:
        machine.console.tee = session.ConsoleLines()
    begin = time.monotonic()
    outcomes: list[Outcome] = []
    while not outcomes or time.monotonic() - begin < plan.seconds:
        machine.restore(_SNAPSHOT)
        seed = (plan.first + len(outcomes)) % SEEDS
        a_round = Round(name, seed, plan.calls, as_user=plan.as_user, leaks=asked)
        outcomes.append(run(machine.ssh, machine.console, a_round, trace=plan.trace))
        machine.check()
    terminal.say(
        f"fuzz {name}: {sum(outcome.calls for outcome in outcomes)} calls in "
        f"{len(outcomes)} rounds, {time.monotonic() - begin:.0f} s, no find; "
        f"seeds {plan.first} to {a_round.seed}"
    )
    terminal.say(f"answers of the last round: {_shown(outcomes[-1].answers)}")


def _shown(answers: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(answers.items()))
