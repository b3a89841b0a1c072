# SPDX-License-Identifier: GPL-2.0-only
"""One deadline for a chain of waits, on the monotonic clock."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from harness.base.errors import DeadlineError


@dataclass(frozen=True)
class Deadline:
    """A moment `seconds` after its creation, for a wait described by `what`."""

    seconds: float
    what: str
    _end: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_end", time.monotonic() + self.seconds)

    @property
    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._end - time.monotonic())

    @property
    def expired(self) -> bool:
        """True once no time is left."""
        return self.remaining == 0.0

    def check(self) -> None:
        """Raise DeadlineError when no time is left."""
        if self.expired:
            raise DeadlineError(f"no {self.what} within {self.seconds:g} s")

    def wait(self, event: threading.Event) -> None:
        """Wait for `event`; raise DeadlineError if it is not set in time."""
        if not event.wait(self.remaining):
            raise DeadlineError(f"no {self.what} within {self.seconds:g} s")
