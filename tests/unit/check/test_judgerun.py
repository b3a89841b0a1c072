# SPDX-License-Identifier: GPL-2.0-only
"""The step of check that sets the reference and the module beside each other."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from harness.base import checkout
from harness.base.errors import (
    GuestLostError,
    HarnessError,
    InfrastructureError,
    TestsFailedError,
    UnavailableError,
)
from harness.check import judgerun
from harness.check.steps import Counts
from harness.debian import packages
from harness.debian.hostrelease import Release
from harness.judge import judge
from harness.matrix.variants import Variant


@pytest.mark.parametrize(
    ("error", "counts", "family"),
    [
        (None, Counts(passed=1), None),
        (UnavailableError("no archive"), Counts(skipped=1), None),
        (InfrastructureError("no compiler"), Counts(unbuilt=1), None),
        (TestsFailedError("a find"), Counts(failed=1), None),
        (GuestLostError("panic", "an oops", ""), Counts(failed=1), "GuestError"),
    ],
)
def test_what_comes_of_it(
    monkeypatch: pytest.MonkeyPatch, error: HarnessError | None, counts: Counts, family: str | None
) -> None:
    asked: list[tuple[list[str], judge.Request]] = []

    def judge_both(rows: Sequence[Variant], request: judge.Request, given: object) -> None:
        asked.append(([row.name for row in rows], request))
        if error is not None:
            raise error

    monkeypatch.setattr(packages, "host_release", lambda: Release("debian", "12", "bookworm"))
    monkeypatch.setattr(judge, "judge_both", judge_both)
    result = judgerun.both_kernels([], [])
    ((names, request),) = asked
    assert names == ["base", "linux-6.1:base"]
    # A number of sequences, by a seed of the checkout's own: no verdict of it depends on time.
    assert request == judge.Request("kernels", 0, checkout.seed(), (), judgerun.SEQUENCES)
    assert result.counts == counts
    if family:
        assert result.error is not None and result.error.__name__ == family
    if error is None:
        assert f"drawn by {checkout.seed()}" in result.note
    elif counts.failed or counts.unbuilt:
        assert error.message in result.output


def test_a_host_without_a_kernel_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "host_release", lambda: Release("other", "1", ""))
    assert judgerun.both_kernels([], []).counts == Counts(skipped=1)
