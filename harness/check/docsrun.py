# SPDX-License-Identifier: GPL-2.0-only
"""The documents as a site: a link that leads nowhere is a failure."""

from __future__ import annotations

import time
from collections.abc import Sequence

from harness.base.errors import InfrastructureError, UnavailableError
from harness.check.steps import Counts, Step, StepResult
from harness.docs import site


def documents(_given: Sequence[str], _require: Sequence[str]) -> StepResult:
    """Make it, as `invoke docs` does. Skipped where its tools are not here and cannot be had."""
    begin = time.monotonic()
    counts, output, note = Counts(passed=1), "", ""
    try:
        faults = site.build(site.FOLDER)
        if faults:
            counts, output = Counts(failed=1), "\n".join(faults)
    except UnavailableError as error:
        counts, note = Counts(skipped=1), f"The site of the documents: NOT RUN.\n{error}"
    except InfrastructureError as error:
        counts, output = Counts(unbuilt=1), f"the site of the documents cannot be made: {error}"
    return StepResult(Step("documents", ()), counts, time.monotonic() - begin, output, note)
