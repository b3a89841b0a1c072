# SPDX-License-Identifier: GPL-2.0-only
"""One deadline for a chain of waits, on the monotonic clock.

On a host that has much else to do, what is waited for may get a tenth of a processor, and would be
said to hang. So while `standing_still` is told of programs that are waited for, the time in which
they waited for a processor does not count.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from harness.base.errors import DeadlineError

# Shorter than this nothing is waited for.
_LEAST_SECONDS = 0.001

# Each tells how long, in all, a program could not run that others wait for.
_stalls: list[Callable[[], float]] = []


@contextmanager
def standing_still(stalled: Callable[[], float]) -> Iterator[None]:
    """Meanwhile all deadlines of this process are later by what `stalled` tells: seconds, in all.

    It is asked when a deadline begins and when it would be over, from any thread.
    """
    _stalls.append(stalled)
    try:
        yield
    finally:
        _stalls.remove(stalled)


def _stalled() -> dict[Callable[[], float], float]:
    return {each: each() for each in tuple(_stalls)}


@dataclass(frozen=True)
class Deadline:
    """A moment `seconds` after its creation, for a wait described by `what`."""

    seconds: float
    what: str
    _end: float = field(init=False)
    _before: dict[Callable[[], float], float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_end", time.monotonic() + self.seconds)
        object.__setattr__(self, "_before", _stalled())

    @property
    def remaining(self) -> float:
        """Seconds until it is over, or to be asked again, if that is not 0; never negative."""
        left = self._end - time.monotonic()
        if left < _LEAST_SECONDS and _stalls:
            before, now = self._before, _stalled()
            left += max((now[each] - before[each] for each in now if each in before), default=0.0)
        return left if left >= _LEAST_SECONDS else 0.0

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
        while not event.wait(self.remaining):
            self.check()
