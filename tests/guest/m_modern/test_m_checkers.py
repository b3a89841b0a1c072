# SPDX-License-Identifier: GPL-2.0-only
"""M9. A kernel that looks for its own faults: what it says by itself ends any test, as a crash.

What it has to be asked for is here: memory that nobody can reach any more (kmemleak).
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from harness.base.deadline import Deadline
from harness.fuzz import fuzz
from harness.guest.shell import Shell
from harness.run.worker import WorkerSpec
from tests.guest.conftest import Bench
from tests.guest.support.kept import Keeper
from tests.guest.support.sockets import bound
from tests.guest.support.stack import Namespace, unload
from tests.guest.support.traffic import UDP_PORT

statement = pytest.mark.statement

WAITS, KEEPS = 1001, 1002
FUZZ_SECONDS = 20
# An object is told of when it is five seconds old, and a scan takes seconds here.
SCAN_SECONDS = 240
LEAKS = "/sys/kernel/debug/kmemleak"
# The kernel's own example of a module that leaks, when it is loaded.
CANARY = "kmemleak-test"

_OBJECT = re.compile(r"^unreferenced object .*(?:\n  .*)*", re.MULTILINE)


def leaks(shell: Shell) -> list[str]:
    """What nobody can reach, an entry an object, with the calls that made it."""
    shell.check(f"echo scan >{LEAKS}", seconds=60)
    return _OBJECT.findall(shell.check(f"cat {LEAKS}", seconds=60))


def let_leak(shell: Shell) -> str:
    """Load the canary; what tells its objects from others."""
    words = f"echo $$ && exec insmod /lib/modules/{CANARY}.ko"
    return f'comm "insmod", pid {shell.check(words).strip()},'


def end_with_all_in_use(shell: Shell, ends: Namespace) -> None:
    """A namespace ends with chains, packets in a queue, and kept ones."""
    ends.chains("-N mine")
    ends.chains.append(f"mine -p UDP -j DIVERT {WAITS}", "input -p UDP -j mine")
    ends.chains.append(f"output -p UDP -j DIVERT {KEEPS}")
    bound(ends.calls, "waits", WAITS)
    keeper = Keeper(ends.calls, KEEPS)
    ends.calls.ok("socket", "sender", "inet", "dgram", 0)
    for _ in range(8):
        ends.calls.ok("sendto", "sender", "text:lost", f"in:127.0.0.1:{UDP_PORT}")
    taken = [keeper.take() for _ in range(6)]
    for packet in taken[:3]:
        keeper.go_on(packet)
    assert ends.calls.ok("poll", "waits", "in", 3000)["result"] == 1
    shell.check(f"kill -KILL {ends.calls.pid}")


@statement("M9/leaks")
def test_no_memory_is_lost(
    guest: Bench,
    shell: Shell,
    worker_spec: WorkerSpec,
    namespaces: Callable[[], Namespace],
) -> None:
    """By random calls, by packets that still wait when all ends, and by the module's end.

    The canary leaks last, so when it is told of all else is old enough, and kmemleak works.
    """
    shell.check(f"mount -t debugfs none {LEAKS.rpartition('/')[0]}")
    leaks(shell)
    shell.check(f"echo clear >{LEAKS}")
    a_round = fuzz.Round(worker_spec.variant, worker_spec.seed, 1_000_000, FUZZ_SECONDS)
    fuzz.run(shell, guest.console, a_round)
    end_with_all_in_use(shell, namespaces())
    unload(shell)
    canary = let_leak(shell)
    deadline = Deadline(SCAN_SECONDS, "kmemleak, to tell of what has leaked")
    while canary not in "".join(found := leaks(shell)):
        deadline.check()
    assert [leak for leak in found if canary not in leak] == []
