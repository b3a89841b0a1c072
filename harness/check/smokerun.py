# SPDX-License-Identifier: GPL-2.0-only
"""The steps of `doctor --kvm` under TCG: what fails under KVM is then no fault of the steps."""

from __future__ import annotations

from collections.abc import Sequence

from harness.boot import bootable
from harness.check.steps import Counts, StepResult
from harness.check.tally import Tally
from harness.host import smoke
from harness.interactive import session
from harness.matrix import variants


def smoke_steps(given: Sequence[str], _require: Sequence[str]) -> StepResult:
    """Take them with the base variant of each kernel that can be had; each counts as a test.

    One of a kernel that cannot be had is skipped, which `guest_tests` tells.
    """
    tally = Tally("smoke steps")
    for row in variants.select():
        if row.short != "base":
            continue
        with tally.test(row.kernel, count=0):
            folder = session.new_folder("smoke")
            for taken in smoke.take(bootable.build(row, given), "tcg", folder):
                if taken.failed:
                    tally.failed(f"{taken.kernel}, {taken.step}", taken.failed)
                else:
                    tally.counts += Counts(passed=1)
    return tally.result()
