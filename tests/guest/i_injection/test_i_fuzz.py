# SPDX-License-Identifier: GPL-2.0-only
"""I6, M12. Random calls to divert sockets and to the firewall: `./inv fuzz` in short."""

from __future__ import annotations

import pytest

from divert_reference.guest import Guest
from harness.fuzz import fuzz
from harness.guest.shell import Shell
from harness.run.worker import WorkerSpec

statement = pytest.mark.statement
needs = pytest.mark.needs

SECONDS = 10


@statement("I6/fuzz", "S6/invalid", "S10/under-way")
@needs("no firewall-checks")
def test_random_calls_do_no_harm(guest: Guest, shell: Shell, worker_spec: WorkerSpec) -> None:
    a_round = fuzz.Round(worker_spec.variant, worker_spec.seed, calls=1_000_000, seconds=SECONDS)
    outcome = fuzz.run(shell, guest.console, a_round)
    # It has come to what it is for.
    for answer in ("sendto done", "sendto EINVAL", "recvfrom done", "firewall done"):
        assert outcome.answers.get(answer, 0) > outcome.calls // 500, outcome


@statement("M12/fuzz")
def test_random_calls_of_a_user_do_no_harm(
    guest: Guest, shell: Shell, worker_spec: WorkerSpec
) -> None:
    a_round = fuzz.Round(
        worker_spec.variant, worker_spec.seed, calls=1_000_000, seconds=SECONDS, as_user=True
    )
    outcome = fuzz.run(shell, guest.console, a_round)
    for answer in ("sendto done", "recvfrom done", "firewall done", "train done"):
        assert outcome.answers.get(answer, 0) > 0, outcome
