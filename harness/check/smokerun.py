# SPDX-License-Identifier: GPL-2.0-only
"""The steps of `doctor --kvm` under TCG: what fails under KVM is then no fault of the steps."""

from __future__ import annotations

import time
from collections.abc import Sequence

from harness.base.errors import HarnessError, InfrastructureError, UnavailableError
from harness.boot import bootable
from harness.check.steps import Counts, Step, StepResult
from harness.host import smoke
from harness.interactive import session
from harness.matrix import variants


def smoke_steps(given: Sequence[str], _require: Sequence[str]) -> StepResult:
    """Take them with the base variant of each kernel that can be had; each counts as a test.

    One of a kernel that cannot be had is skipped, which `guest_tests` tells.
    """
    begin = time.monotonic()
    counts, output = Counts(), []
    for row in variants.select():
        if row.short != "base":
            continue
        try:
            folder = session.new_folder("smoke")
            for taken in smoke.take(bootable.build(row, given), "tcg", folder):
                counts += Counts(failed=1) if taken.failed else Counts(passed=1)
                if taken.failed:
                    output.append(f"{taken.kernel}, {taken.step}: {taken.failed}")
        except UnavailableError:
            counts += Counts(skipped=1)
        except InfrastructureError as error:
            counts += Counts(unbuilt=1)
            output.append(f"{row.kernel}: {error}")
        except HarnessError as error:
            counts += Counts(failed=1)
            output.append(f"{row.kernel}: {error}")
    seconds = time.monotonic() - begin
    return StepResult(Step("smoke steps", ()), counts, seconds, "\n".join(output))
