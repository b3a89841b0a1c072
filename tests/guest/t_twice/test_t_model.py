# SPDX-License-Identifier: GPL-2.0-only
"""T. The model of SPEC.md against this guest: random sequences of calls, rules and packets.

`./inv judge model` in short: which port sees what, what leaves, what each call is told and what is
counted, step by step as harness/model foretells it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import configuration

from divert_reference.guest import Guest
from harness.guest.shell import Shell
from harness.judge import judge
from harness.judge.examine import Examination
from harness.judge.stage import Stage
from harness.matrix import variants
from harness.run.worker import WorkerSpec

statement = pytest.mark.statement
needs = pytest.mark.needs

# Of 40 steps each: ten seconds on a kernel of today.
SEQUENCES = 15
ROUNDS = 5
# Of a run there are fewer.
SEEDS = 10**6
# What sequences have to come to.
PURPOSE = ("read success", "back success", "inject success", "wire success")


@pytest.fixture
def examination(guest: Guest, shell: Shell, worker_spec: WorkerSpec) -> Examination:
    """Sequences on this guest, against the model."""
    row = variants.named(worker_spec.row)
    return judge.against_the_model(Stage(row.name, shell, guest), row)


@statement("S8/shut", "T3/jump")
def test_what_was_once_found(examination: Examination, expected: Callable[[str], str]) -> None:
    expected("shut-for-writing")
    examination.try_kept()


# With several processors what is sent to this host itself may be dealt with behind the barrier; and
# the firewall's own checks refuse rules that match nothing.
@statement(
    *("S9/counted", "P3/comes", "P3/goes", "T1/wins", "T1/last", "T2"),
    *("T3/in-order", "T3/held", "T3/hooks", "T3/user-chain", "T3/rule-gone"),
)
@needs("no smp", "no firewall-checks")
def test_random_sequences_go_as_the_model_foretells(
    examination: Examination, worker_spec: WorkerSpec, artifacts: Path
) -> None:
    configuration.set_hypothesis_home_dir(artifacts)
    # Chance may leave out what it is for, as with one seed in a hundred that no packet is read.
    for number in range(ROUNDS):
        examination.round(worker_spec.seed + number * SEEDS, SEQUENCES)
        if all(examination.answers[answer] for answer in PURPOSE):
            return
    pytest.fail(f"{ROUNDS} rounds have not come to what they are for: {examination.answers}")
