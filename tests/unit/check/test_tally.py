# SPDX-License-Identifier: GPL-2.0-only
"""What a test of a step counts as, by how it ends, and which family of errors that is."""

from __future__ import annotations

import pytest

from harness.base.errors import (
    GuestError,
    GuestLostError,
    HarnessError,
    InfrastructureError,
    TestsFailedError,
    UnavailableError,
)
from harness.check.steps import Counts
from harness.check.tally import Tally


@pytest.mark.parametrize(
    ("error", "counts", "family"),
    [
        (None, Counts(passed=2), None),
        (UnavailableError("no archive"), Counts(skipped=2), None),
        (InfrastructureError("no compiler"), Counts(unbuilt=1), InfrastructureError),
        (GuestError("no packet"), Counts(failed=1), TestsFailedError),
        (GuestLostError("panic", "panic"), Counts(failed=1), GuestError),
    ],
)
def test_how_a_test_ends(
    error: HarnessError | None, counts: Counts, family: type[HarnessError] | None
) -> None:
    tally = Tally("step")
    with tally.test("it", count=2):
        if error is not None:
            raise error
    result = tally.result()
    assert (result.counts, result.family) == (counts, family)
    said = error is not None and not counts.skipped
    assert result.output == (f"it: {error}" if said else "")


def test_a_lost_guest_decides_over_a_test_that_failed() -> None:
    tally = Tally("step")
    tally.failed("one", "it is so")
    with tally.test("two"):
        raise GuestLostError("hang", "it hangs")
    with tally.test("three"):
        pass
    result = tally.result()
    assert (result.counts, result.family) == (Counts(passed=1, failed=2), GuestError)
    assert result.output == "one: it is so\ntwo: it hangs"


def test_a_fault_of_ours_is_none_of_a_test() -> None:
    tally = Tally("step")
    with pytest.raises(ZeroDivisionError), tally.test("it"):
        raise ZeroDivisionError
