# SPDX-License-Identifier: GPL-2.0-only
"""A number that was given is used, or refused: none stands for its having been left out."""

from __future__ import annotations

import pytest

from harness.base import options
from harness.base.errors import UserError


def test_what_was_given_and_what_was_not() -> None:
    assert options.count("--jobs", "3") == 3
    assert options.count("--jobs", None) is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("0", "--jobs 0: it has to be 1 or more"),
        ("-1", "--jobs -1: it has to be 1 or more"),
        ("many", "--jobs many: it has to be a number"),
        ("", "--jobs : it has to be a number"),
        ("1.5", "--jobs 1.5: it has to be a number"),
    ],
)
def test_what_cannot_be(text: str, complaint: str) -> None:
    with pytest.raises(UserError) as caught:
        options.count("--jobs", text)
    assert caught.value.message == complaint


def test_two_that_do_not_go_together() -> None:
    options.not_both(("--kvm", False), ("--json", True))
    with pytest.raises(UserError, match="--kvm and --json do not go together"):
        options.not_both(("--kvm", True), ("--run", None), ("--json", True))
