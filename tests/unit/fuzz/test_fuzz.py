# SPDX-License-Identifier: GPL-2.0-only
"""What a fuzz makes of the program's words and of the guest's memory."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.base.errors import (
    GuestError,
    GuestLostError,
    InfrastructureError,
    TestsFailedError,
    UnavailableError,
    UserError,
)
from harness.boot import bootable
from harness.fuzz import fuzz
from harness.guest import leaks, memory
from harness.guest.console import Console
from harness.guest.shell import Shell
from harness.interactive import session
from harness.matrix.variants import Variant

SLABS = """\
slabinfo - version: 1.0
skbuff_head_cache     96    500
sock                   {sock}     44
size-128             {size}   1375
size-32               92    315
slab_cache            33     63
sockets: used 4
TCP: inuse 2 highest 2
"""
END = {"event": "end", "calls": 500, "finds": 0, "answers": {"sendto done": 7}}
ROUND = fuzz.Round("base", 17, 500)


class Guest:
    """A shell whose program says these rows, and a guest that then has so many sockets."""

    def __init__(self, rows: list[Any], sock: int = 6, size: int = 300) -> None:
        self.rows, self.sock, self.size = rows, sock, size
        self.ran: list[str] = []
        self.log = "Linux version 2.2.12\n"

    def check(self, command: str) -> str:
        self.ran.append(command)
        if command == "dmesg":
            return self.log
        if command.startswith("cat /root"):
            return "\n".join(map(json.dumps, self.rows))
        after = any("fuzz.log" in each for each in self.ran)
        return SLABS.format(sock=self.sock if after else 6, size=self.size if after else 300)

    def run(self, command: str, *, seconds: float) -> SimpleNamespace:
        self.ran.append(command)
        return SimpleNamespace(status=0, how="ended with status 0")


def outcome_of(guest: Any, *lines: str, trace: bool = False) -> fuzz.Outcome:
    """What comes of ROUND in this guest, whose console has said these lines."""
    console = cast("Console", SimpleNamespace(lines=lines))
    return fuzz.run(cast("Shell", guest), console, ROUND, trace=trace)


def test_a_round_without_a_find() -> None:
    guest = Guest([END])
    assert outcome_of(guest) == fuzz.Outcome(500, {"sendto done": 7})
    assert "fuzz 17 500 0 >/root/fuzz.log 2>&1" in guest.ran


def test_a_round_of_a_user() -> None:
    guest = Guest([END])
    a_round = fuzz.Round("linux-6.1:base", 17, 500, as_user=True)
    fuzz.run(cast("Shell", guest), cast("Console", SimpleNamespace(lines=())), a_round)
    (command,) = (each for each in guest.ran if "fuzz.log 2>&1" in each)
    assert command.startswith(
        "echo $$ >/root/cgroup/user/cgroup.procs && exec fuzz as-user 17 500 "
    )
    assert a_round.again(9).endswith("--seed 17 --calls 9 --as-user --trace")


def test_a_trace_begins_with_the_last_calls() -> None:
    guest = Guest([END])
    outcome_of(guest, trace=True)
    assert "fuzz 17 500 0 0 >/root/fuzz.log 2>&1" in guest.ran


def test_a_wrong_answer_is_had_again_by_its_number() -> None:
    find = {"event": "find", "call": 41, "what": "an error", "error": "EBADRQC"}
    with pytest.raises(TestsFailedError) as caught:
        outcome_of(Guest([find, END]))
    assert caught.value.message == "fuzz seed 17, call 41: an error EBADRQC"
    assert caught.value.hint == "again: ./inv fuzz --variant base --seed 17 --calls 42 --trace"


def test_a_program_that_says_nothing_is_no_success() -> None:
    with pytest.raises(GuestError, match="the program fuzz ended with status 0"):
        outcome_of(Guest([]))


def test_a_fault_that_the_kernel_told_its_log_alone() -> None:
    """2.2.12 has some of no more than KERN_DEBUG, and the console is told less here."""
    guest = Guest([END])
    guest.log += "sk_free: optmem leakage (12 bytes) detected.\nPacket log: input - eth1\n"
    with pytest.raises(TestsFailedError, match="500 calls: the kernel's log has: sk_free: optmem"):
        outcome_of(guest)


def test_memory_that_is_not_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "_SETTLE_SECONDS", 0.0)
    with pytest.raises(TestsFailedError, match="memory is lost: 9 of sock"):
        outcome_of(Guest([END], sock=6 + memory.SLACK + 1))


@pytest.mark.parametrize("lost", [[], ["unreferenced object 0xffff (size 192):\n  comm fuzz"]])
def test_a_kernel_that_can_is_asked_what_was_lost(
    monkeypatch: pytest.MonkeyPatch, lost: list[str]
) -> None:
    """Then caches that all of the kernel shares tell nothing."""
    monkeypatch.setattr(fuzz, "_SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(leaks, "found", lambda _shell: lost)
    a_round = fuzz.Round("linux-6.1-debug:base", 17, 500, leaks=True)
    console = cast("Console", SimpleNamespace(lines=()))
    guest = Guest([END], size=300 + 9 * memory.SLACK)
    if not lost:
        fuzz.run(cast("Shell", guest), console, a_round)
        return
    with pytest.raises(TestsFailedError, match="1 objects, the first of them:\nunreferenced"):
        fuzz.run(cast("Shell", guest), console, a_round)


@pytest.mark.parametrize("kind", [GuestError, lambda text: GuestLostError("oops", text)])
def test_a_guest_that_does_not_survive(kind: Callable[[str], GuestError]) -> None:
    class Lost(Guest):
        def run(self, command: str, *, seconds: float) -> SimpleNamespace:
            raise kind("Oops: 0000")

    with pytest.raises(GuestError) as caught:
        outcome_of(Lost([]), "fuzz: seed 17, call 0", "fuzz: seed 17, call 128", "Oops: 0000")
    assert "Oops: 0000\nfuzz seed 17, one of the calls 128 to 384" in caught.value.message
    assert "--seed 17 --calls 384 --trace" in caught.value.hint


@pytest.mark.parametrize(
    "changes",
    [
        {"variant": "stock"},
        {"variant": "nonsense"},
        {"seconds": 0},
        {"seconds": -1},
        {"calls": 5},
        {"seed": "many"},
        {"seed": "4294967296"},
        {"as_user": True},
    ],
    ids=lambda changes: " ".join(f"{name}={value}" for name, value in changes.items()),
)
def test_what_cannot_be_asked(changes: dict[str, Any]) -> None:
    asked: dict[str, Any] = {"variant": "base", "seconds": 1, "calls": 0, "seed": None} | changes
    with pytest.raises(UserError):
        fuzz.fuzz(trace=False, given=(), **asked)


def test_variant_that_does_not_build_takes_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fuzzed: list[str] = []
    errors = {
        "base": InfrastructureError("x.c:1: error", "its log: there"),
        "defrag": UnavailableError("no network"),
    }

    def build(variant: Variant, _given: object) -> str:
        if variant.name in errors:
            raise errors[variant.name]
        return variant.name

    monkeypatch.setattr(bootable, "build", build)
    monkeypatch.setattr(session, "boot", lambda _kind, built: contextlib.nullcontext(built))
    monkeypatch.setattr(fuzz, "_fuzz_guest", lambda machine, *_: fuzzed.append(machine))
    with pytest.raises(InfrastructureError) as caught:
        fuzz.fuzz(
            variant="base,passthrough,defrag",
            seconds=1,
            calls=0,
            seed="1",
            trace=False,
            given=(),
        )
    assert fuzzed == ["passthrough"]
    assert caught.value.message == "base: NOT BUILT, defrag: NOT RUN"
    assert "fuzz base: NOT BUILT\nx.c:1: error\nits log: there\n" in capsys.readouterr().err
