# SPDX-License-Identifier: GPL-2.0-only
"""M9. A kernel that looks for its own faults: what it says by itself ends any test, as a crash.

What it has to be asked for is here: memory that nobody can reach any more (kmemleak).
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from divert_reference.guest import Guest
from divert_reference.traffic import UDP_PORT
from harness.fuzz import fuzz
from harness.guest import leaks
from harness.guest.shell import Shell
from harness.run.worker import WorkerSpec
from tests.guest.support.kept import Keeper
from tests.guest.support.sockets import bound
from tests.guest.support.stack import Namespace, unload

statement = pytest.mark.statement

WAITS, KEEPS = 1001, 1002
FUZZ_SECONDS = 20


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
    guest: Guest,
    shell: Shell,
    worker_spec: WorkerSpec,
    namespaces: Callable[[], Namespace],
) -> None:
    """By random calls, by packets that still wait when all ends, and by the module's end."""
    leaks.begin(shell)
    a_round = fuzz.Round(worker_spec.variant, worker_spec.seed, 1_000_000, FUZZ_SECONDS)
    fuzz.run(shell, guest.console, a_round)
    end_with_all_in_use(shell, namespaces())
    unload(shell)
    assert leaks.found(shell) == []
