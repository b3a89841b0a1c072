# SPDX-License-Identifier: GPL-2.0-only
"""The cases that the judge of two kernels has kept, as a step of `invoke check`."""

from __future__ import annotations

import time
from collections.abc import Sequence

from harness.base.errors import HarnessError, InfrastructureError, UnavailableError
from harness.check.steps import Counts, Step, StepResult
from harness.debian import packages
from harness.judge import judge
from harness.matrix import kernels, variants
from harness.report import exitstatus


def both_kernels(given: Sequence[str], _require: Sequence[str]) -> StepResult:
    """The reference beside the module on the host's kernel: docs/judges.md.

    Nothing is drawn here: two guests of which one is slower for a moment have differed in a
    sequence that, done again, made no difference.

    Skipped if one of the two cannot be had here, which `guest_tests` tells.
    """
    begin = time.monotonic()
    counts, output, note, family = Counts(skipped=1), "", "", None
    try:
        # Of a host that has no kernel of its own there is nothing to set beside the reference.
        for kernel in kernels.of_host(packages.host_release().codename)[:1]:
            rows = variants.select(f"base,{kernel.name}:base")
            judge.judge_both(rows, judge.Request("kernels", 0, 0), given)
            counts = Counts(passed=1)
            note = "judge: the cases that are kept, on both kernels"
    except UnavailableError:
        pass
    except InfrastructureError as error:
        counts, output = Counts(unbuilt=1), f"the kernels cannot be judged: {error}"
    except HarnessError as error:
        counts, output, family = Counts(failed=1), str(error), exitstatus.of(error)
    seconds = time.monotonic() - begin
    return StepResult(Step("both kernels", ()), counts, seconds, output, note, error=family)
