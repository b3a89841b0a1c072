# SPDX-License-Identifier: GPL-2.0-only
"""What became of a canary: what was seen, and in what it differs from what has to be."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.canaries.canary import Canary
from harness.canaries.stage import Ran

# How a report ends.
_VERDICT = re.compile(r"^(PASS|FAIL|NOT BUILT|NOT RUN): ", re.MULTILINE)
# A traceback is a fault of ours, whatever else is said.
_NEVER = ("Traceback (most recent call last)",)


@dataclass(frozen=True)
class Outcome:
    """A canary and what was seen of it. `not_run` says why it was not run, if it was not."""

    canary: Canary
    verdict: str = ""
    status: int | None = None
    seconds: float = 0.0
    differs: tuple[str, ...] = ()
    not_run: str = ""

    @property
    def right(self) -> bool:
        """Whether it ended as it must."""
        return not self.differs and not self.not_run

    @property
    def word(self) -> str:
        """That in one word, or two."""
        if self.not_run:
            return "not run"
        return "WRONG" if self.differs else "right"

    @property
    def expected(self) -> str:
        """Verdict and status that it must end in."""
        return told(self.canary.verdict, self.canary.status)

    @property
    def seen(self) -> str:
        """Verdict and status that it ended in."""
        if self.not_run:
            return "not run"
        return told(self.verdict, self.status)


def told(verdict: str, status: int | None) -> str:
    """A verdict and an exit status, for a table."""
    return f"{verdict or '-'} {'killed' if status is None else status}"


def judge(canary: Canary, ran: Ran) -> Outcome:
    """Hold what was seen against what the row says."""
    verdict = (_VERDICT.findall(ran.output) or [""])[-1]
    differs = []
    if ran.status is None:
        differs.append(f"still ran after {canary.seconds} s")
    elif ran.status != canary.status:
        differs.append(f"exit status {ran.status}, not {canary.status}")
    if verdict != canary.verdict:
        differs.append(f"verdict {verdict or 'none'}, not {canary.verdict or 'none'}")
    differs += [f"nothing says: {words}" for words in canary.cause if words not in ran.output]
    never = (*canary.absent, *(words for words in _NEVER if words not in canary.cause))
    differs += [f"it says: {words}" for words in never if words in ran.output]
    return Outcome(canary, verdict, ran.status, ran.seconds, tuple(differs))
