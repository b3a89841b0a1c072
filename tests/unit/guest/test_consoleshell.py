# SPDX-License-Identifier: GPL-2.0-only
"""The shell on the console has answered only if it says so itself, to what it was asked last."""

from __future__ import annotations

import os
import re
from unittest.mock import MagicMock

import pytest

from harness.base.deadline import Deadline
from harness.base.errors import DeadlineError
from harness.guest.consoleshell import ConsoleShell


@pytest.mark.parametrize(
    ("line", "answers"),
    [
        ("divert-guest-42-{}", [True, True]),
        ("divert-guest-42-1", [True, False]),
        ("divert# sleep 0.01; echo divert-guest-$((40+2))-{}", [False, False]),
    ],
    ids=["answer", "old-answer", "echo"],
)
def test_answers(line: str, answers: list[bool]) -> None:
    """Asked twice, of a console that has `line`, where `{}` is the number of the question."""
    asked = 0

    def wait_for(pattern: str, _deadline: Deadline) -> bool:
        if re.search(pattern, line.format(asked)):
            return True
        raise DeadlineError("no answer of the shell on the console within 3 s")

    console = MagicMock(wait_for=wait_for)
    reader, writer = os.pipe()
    shell = ConsoleShell(console, writer)
    seen = []
    try:
        for _ in answers:
            asked += 1
            seen.append(shell.answers())
            typed = os.read(reader, 200).decode()
            assert not re.search(r"divert-guest-42", typed), "the echo would do for an answer"
    finally:
        os.close(reader)
        os.close(writer)
    assert seen == answers
