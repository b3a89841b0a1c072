# SPDX-License-Identifier: GPL-2.0-only
"""Threads of the harness, all made here, so that none can end by an exception unnoticed.

What such a thread was to see is not seen any more: a console without its watcher shows no crash. So
it is a failure of the whole process, raised wherever `check` is called, and said at its end.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable

from harness.base.errors import InfrastructureError

# How many of the calls that led to it a message shows.
_CALLS = 4


class BrokenThreadError(InfrastructureError):
    """A thread of the harness ended by an exception: a fault of the harness, or of this host."""


_lock = threading.Lock()
_failures: list[BrokenThreadError] = []


class Background(threading.Thread):
    """A thread, begun at once, that does `work` and ends with this process if not before.

    An exception that ends it is kept for `check`; then `on_failure` is called, from that thread.
    """

    def __init__(
        self,
        work: Callable[[], object],
        *,
        name: str,
        on_failure: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self._on_failure = on_failure
        self.start()

    def run(self) -> None:
        """What the thread does."""
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 (whatever it is, somebody has to be told)
            _keep(self.name, error)
            self._on_failure()


class Later:
    """Does `work` in a thread after so many seconds, unless it is cancelled before."""

    def __init__(self, seconds: float, work: Callable[[], object], *, name: str) -> None:
        self._cancelled = threading.Event()
        Background(lambda: self._cancelled.wait(seconds) or work(), name=name)

    def cancel(self) -> None:
        """Let it not be done, if it has not begun."""
        self._cancelled.set()


def failure() -> BrokenThreadError | None:
    """The first failure of a thread in this process, if there was one."""
    with _lock:
        return _failures[0] if _failures else None


def check() -> None:
    """Raise BrokenThreadError if a thread of this process has ended by an exception."""
    if (error := failure()) is not None:
        raise error


def watch_others() -> None:
    """Keep, from now on, also what ends the threads that libraries make."""

    def hook(unhandled: threading.ExceptHookArgs) -> None:
        name = unhandled.thread.name if unhandled.thread else "unknown"
        _keep(name, unhandled.exc_value or unhandled.exc_type())

    threading.excepthook = hook


def forget() -> None:
    """Forget all failures: for tests that make them."""
    with _lock:
        _failures.clear()


def _keep(name: str, error: BaseException) -> None:
    calls = "".join(traceback.format_tb(error.__traceback__)[-_CALLS:]).rstrip()
    what = "".join(traceback.format_exception_only(error)).strip()
    broken = BrokenThreadError(
        f"a part of the harness broke, its thread {name}: {what}",
        f"what it has seen since is not known; report this, with\n{calls}",
    )
    with _lock:
        _failures.append(broken)
