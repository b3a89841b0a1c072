# SPDX-License-Identifier: GPL-2.0-only
"""What the tests of a step of `invoke check` come to, that are no tests of pytest's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from harness.base.errors import (
    GuestError,
    GuestLostError,
    HarnessError,
    InfrastructureError,
    TestsFailedError,
    UnavailableError,
)
from harness.check.steps import Counts, Step, StepResult
from harness.report import exitstatus
from harness.report.exitstatus import Family


class Tally:
    """Counts the tests of a step from its creation on: as passed, failed, skipped or not built."""

    def __init__(self, name: str) -> None:
        self.counts = Counts()
        self.output: list[str] = []
        self.note = ""
        self._name = name
        self._families: list[Family] = []
        self._begin = time.monotonic()

    @contextmanager
    def test(self, what: str, count: int = 1) -> Iterator[None]:
        """One test, or `count`, told as `what` if it is not passed; 0: they are counted inside.

        It is skipped if it needs what cannot be had here, and not built, or not run, for another
        fault of the host's. A guest that is lost is the guest's fault; any other, the test's.
        """
        try:
            yield
        except UnavailableError:
            self.counts += Counts(skipped=max(count, 1))
        except InfrastructureError as error:
            self.counts += Counts(unbuilt=1)
            self.output.append(f"{what}: {error}")
        except HarnessError as error:
            self.failed(what, error)
        else:
            self.counts += Counts(passed=count)

    def failed(self, what: str, error: HarnessError | str) -> None:
        """A test that failed."""
        self.counts += Counts(failed=1)
        self.output.append(f"{what}: {error}")
        self._families.append(GuestError if isinstance(error, GuestLostError) else TestsFailedError)

    def result(self) -> StepResult:
        """What the step has come to."""
        seconds = time.monotonic() - self._begin
        output = "\n".join(self.output)
        family = exitstatus.first(self._families)
        step = Step(self._name, ())
        return StepResult(step, self.counts, seconds, output, self.note, error=family)
