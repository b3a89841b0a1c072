# SPDX-License-Identifier: GPL-2.0-only
"""Which error a verdict amounts to, and with it which exit status: the table of docs/design.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.base.errors import (
    GuestError,
    HarnessError,
    InfrastructureError,
    MissingSourceError,
    RunInterruptedError,
    TestsFailedError,
    UserError,
)
from harness.matrix import kernels
from harness.report.verdict import Verdict

Family = type[HarnessError]

# Where several apply, the first. A test that failed beside a guest that crashed may have failed for
# that; one that failed is known, and what a session that broke off would have found is not. Before
# all but the first goes a part of the harness that broke (`Verdict.untrusted`): nothing is known.
ORDER: tuple[Family, ...] = (
    RunInterruptedError,
    GuestError,
    TestsFailedError,
    UserError,
    InfrastructureError,
)


def family(verdict: Verdict) -> Family | None:
    """The family of errors that the verdict on what ran is of; None if it passed, or none ran."""
    if verdict.word != "FAIL":
        return InfrastructureError if verdict.not_built else None
    if verdict.interrupted:
        return RunInterruptedError
    if verdict.untrusted:
        return InfrastructureError
    if any(row.lost for row in verdict.variants):
        return GuestError
    # Without a test that failed, that none passed says nothing of why the session broke.
    if verdict.broken and not any(row.blamed for row in verdict.variants):
        return InfrastructureError
    return TestsFailedError


def of(error: HarnessError) -> Family:
    """The family of an error that ended something else."""
    return next((each for each in ORDER if isinstance(error, each)), InfrastructureError)


def first(families: Iterable[Family | None]) -> Family | None:
    """The one that decides, of several; None if all are."""
    found = [each for each in families if each is not None]
    return min(found, key=ORDER.index, default=None)


def raise_for(verdict: Verdict, require: Sequence[str] = ()) -> None:
    """Raise the error that a verdict amounts to, without words where the report has them.

    What cannot be had is an error where it is required, or where nothing else was tested.
    """
    if verdict.word == "NOT RUN":
        raise MissingSourceError("")
    error = family(verdict)
    if error is RunInterruptedError and verdict.signal:
        raise RunInterruptedError("", number=verdict.signal)
    if error is not None:
        raise error("")
    if lacking := unmet(verdict, require):
        raise MissingSourceError("; ".join(lacking))


def unmet(verdict: Verdict, require: Sequence[str]) -> list[str]:
    """What is required and was not there, in words: kernels that did not run, missing sources."""
    missing = {row.name for row, _ in verdict.missing}
    absent = [name for name in require if name in kernels.load() and name not in verdict.ran]
    lacking = [f"{name} is required (--require), and no test of it ran" for name in absent]
    return lacking + [
        f"{name} is required (--require), and missing"
        for name in require
        if name in missing and name not in absent
    ]
