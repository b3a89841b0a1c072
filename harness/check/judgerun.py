# SPDX-License-Identifier: GPL-2.0-only
"""Some sequences of the judge of two kernels, as a step of `invoke check`."""

from __future__ import annotations

import time
from collections.abc import Sequence

from harness.base import checkout
from harness.base.errors import HarnessError, InfrastructureError, UnavailableError
from harness.check.steps import Counts, Step, StepResult
from harness.debian import packages
from harness.judge import judge
from harness.matrix import kernels, variants
from harness.report import exitstatus

# Of forty steps or more each, of which both guests do some 30 a second. A number, and no time: what
# is asked must not depend on how busy the machine is.
SEQUENCES = 12


def both_kernels(given: Sequence[str], _require: Sequence[str]) -> StepResult:
    """The reference beside the module on the host's kernel: docs/judges.md.

    The cases that are kept, and sequences drawn by `checkout.seed`.

    Skipped if one of the two cannot be had here, which `guest_tests` tells.
    """
    begin = time.monotonic()
    counts, output, note, family = Counts(skipped=1), "", "", None
    request = judge.Request("kernels", 0, checkout.seed(), sequences=SEQUENCES)
    try:
        # Of a host that has no kernel of its own there is nothing to set beside the reference.
        for kernel in kernels.of_host(packages.host_release().codename)[:1]:
            rows = variants.select(f"base,{kernel.name}:base")
            judge.judge_both(rows, request, given)
            counts = Counts(passed=1)
            note = f"judge: {SEQUENCES} sequences on both kernels, drawn by {request.seed}"
    except UnavailableError:
        pass
    except InfrastructureError as error:
        counts, output = Counts(unbuilt=1), f"the kernels cannot be judged: {error}"
    except HarnessError as error:
        counts, output, family = Counts(failed=1), str(error), exitstatus.of(error)
    seconds = time.monotonic() - begin
    return StepResult(Step("both kernels", ()), counts, seconds, output, note, error=family)
