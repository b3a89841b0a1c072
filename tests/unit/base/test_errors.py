# SPDX-License-Identifier: GPL-2.0-only
"""Each family of errors has an exit status of its own, and its hint is shown."""

from __future__ import annotations

import pytest

from harness.base import errors


def test_families_have_exit_statuses_of_their_own() -> None:
    families = (
        errors.TestsFailedError,
        errors.UserError,
        errors.InfrastructureError,
        errors.GuestError,
    )
    assert [family.exit_status for family in families] == [1, 2, 3, 4]


@pytest.mark.parametrize("narrow", [errors.DeadlineError, errors.MissingSourceError])
def test_narrow_errors_belong_to_the_infrastructure(narrow: type[errors.HarnessError]) -> None:
    assert issubclass(narrow, errors.InfrastructureError)


def test_hint_follows_the_message() -> None:
    assert str(errors.UserError("no variant 'x'", "known: base")) == "no variant 'x'\nknown: base"
    assert str(errors.UserError("no variant 'x'")) == "no variant 'x'"
