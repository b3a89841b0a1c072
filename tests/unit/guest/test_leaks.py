# SPDX-License-Identifier: GPL-2.0-only
"""A kernel is asked what it has lost until it tells of a leak that was made for that."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from harness.base.errors import DeadlineError
from harness.guest import leaks

if TYPE_CHECKING:
    from harness.guest.shell import Shell

OURS = 'unreferenced object 0xff01 (size 64):\n  comm "insmod", pid 77, jiffies 1\n  backtrace:\n'
THEIRS = 'unreferenced object 0xff02 (size 192):\n  comm "fuzz", pid 76, jiffies 1\n  backtrace:\n'


class Guest:
    """A shell of a guest whose kernel tells these, one look after the other, the last for ever."""

    def __init__(self, *told: str) -> None:
        self.told = list(told)
        self.ran: list[str] = []

    def check(self, command: str, *, seconds: float = 0) -> str:
        del seconds
        self.ran.append(command)
        if "insmod" in command:
            return "77\n"
        if command.startswith("cat "):
            return self.told.pop(0) if len(self.told) > 1 else self.told[0]
        return ""


def found(*told: str) -> list[str]:
    return leaks.found(cast("Shell", Guest(*told)))


def test_waits_for_the_leak_that_it_makes() -> None:
    assert found("", "", OURS) == []


def test_tells_of_all_others() -> None:
    assert found(THEIRS, THEIRS + OURS) == [THEIRS.rstrip("\n")]


def test_another_insmod_is_not_ours() -> None:
    assert len(found(OURS.replace("pid 77", "pid 7") + OURS)) == 1


def test_one_that_does_not_work_is_no_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "SCAN_SECONDS", 0.0)
    with pytest.raises(DeadlineError, match="kmemleak"):
        found(THEIRS)
