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

from harness.guest.shell import Shell
from harness.judge import judge
from harness.judge.stage import Stage
from harness.matrix import variants
from harness.run.worker import WorkerSpec
from tests.guest.conftest import Bench

statement = pytest.mark.statement

# Of 40 steps each: ten seconds on a kernel of today.
SEQUENCES = 15


@statement(
    *("S8/shut", "S9/counted", "P3/comes", "P3/goes", "T1/wins", "T1/last", "T2"),
    *("T3/in-order", "T3/held", "T3/hooks", "T3/user-chain", "T3/jump", "T3/rule-gone"),
)
def test_random_sequences_go_as_the_model_foretells(
    guest: Bench,
    shell: Shell,
    worker_spec: WorkerSpec,
    artifacts: Path,
    expected: Callable[[str], str],
) -> None:
    configuration.set_hypothesis_home_dir(artifacts)
    expected("shut-for-writing")
    row = variants.named(worker_spec.variant)
    examination = judge.against_the_model(Stage(row.name, shell, guest), row)
    examination.try_kept()
    examination.answers.clear()
    examination.round(worker_spec.seed, SEQUENCES)
    # It has come to what it is for.
    answers = examination.answers
    for answer in ("read success", "back success", "inject success", "wire success"):
        assert answers[answer] > 0, answers
