# SPDX-License-Identifier: GPL-2.0-only
"""Which blocks of code a guest has run, and in what order, told by QEMU (TCG alone).

`-d exec,nochain` logs each block as it begins, of the addresses in `-dfilter` (qemu-options.hx);
the monitor's `logfile` and `log` turn it on and off in a QEMU that runs. What was translated
before, without it, is translated anew. A block ends with the first instruction that may go
elsewhere, or before.
"""

from __future__ import annotations

import contextlib
import os
import selectors
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from harness.base.background import Background
from harness.base.errors import GuestError

if TYPE_CHECKING:
    from harness.guest.position import Monitor

# Words of `log`, and of -d.
WORDS = "exec,nochain"

# So many are looked at of one log: a test that sends a million packets runs the same ones. Then it
# ends, for a test that is logged takes some hundred times as long.
MOST_LINES = 1_000_000

_CHUNK = 1 << 20


# Where two blocks began of which one ran after the other on one processor; the first, after itself.
Steps = frozenset[tuple[int, int]]


class Parser:
    """Takes QEMU's lines as they come, and keeps what is new in them."""

    def __init__(self, most: int = MOST_LINES) -> None:
        self._left = most
        self._partial = b""
        self._last: dict[bytes, bytes] = {}
        self._steps: set[tuple[bytes, bytes]] = set()

    def feed(self, data: bytes) -> None:
        """What QEMU has logged next."""
        if self.full:
            return
        *lines, self._partial = (self._partial + data).split(b"\n")
        self._left -= len(lines)
        last, steps = self._last, self._steps
        for line in lines:
            # Trace PROCESSOR: HOST-ADDRESS [CS-BASE/ADDRESS/FLAGS/CFLAGS] SYMBOL
            if line.startswith(b"Trace ") and len(parts := line.split(b"/", 2)) == 3:
                processor, at = parts[0].partition(b":")[0], parts[1]
                steps.add((last.get(processor, at), at))
                last[processor] = at

    @property
    def full(self) -> bool:
        """Whether it has looked at as many as it will."""
        return self._left <= 0

    @property
    def steps(self) -> Steps:
        """All of it so far."""
        return frozenset((int(one, 16), int(other, 16)) for one, other in self._steps)


class Log:
    """A pipe with a name, into which QEMU logs, and which is read meanwhile: nothing is stored.

    `path` may have no character that QEMU's monitor takes for a word's end. When as much has come
    as is looked at, `on_full` is called, once, by a thread of its own: QEMU may not answer before
    all that it writes meanwhile is read.
    """

    def __init__(self, path: Path, on_full: Callable[[], object] = lambda: None) -> None:
        os.mkfifo(path, 0o600)
        self.path = path
        # For writing too: there is no end of it while QEMU has not opened it, or has closed it.
        self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self._over, self._end = os.pipe()
        self._ended, self._ends = os.pipe()
        self._parser = Parser()
        self._on_full = on_full
        self._ending: Background | None = None
        self._thread = Background(self._read, name="blocks")

    @property
    def cut(self) -> bool:
        """Whether more was logged than was looked at."""
        return self._parser.full

    def close(self) -> Steps:
        """What has come until now, when QEMU has been told to log no more."""
        os.close(self._end)
        self._thread.join()
        if self._ending is not None:
            self._ending.join()
        for descriptor in (self._pipe, self._over, self._ended, self._ends):
            os.close(descriptor)
        self.path.unlink()
        return self._parser.steps

    def _read(self) -> None:
        # What has to be over, and then the pipe empty. As long as QEMU has not heard that it is to
        # end, it writes, and waits for whoever reads.
        awaited = {self._over}
        with selectors.DefaultSelector() as selector:
            for descriptor in (self._pipe, self._over):
                selector.register(descriptor, selectors.EVENT_READ)
            while awaited:
                ready = {key.fd for key, _ in selector.select()}
                if self._pipe not in ready:
                    for descriptor in ready & awaited:
                        selector.unregister(descriptor)
                    awaited -= ready
                    continue
                self._parser.feed(os.read(self._pipe, _CHUNK))
                if self._parser.full and self._ending is None:
                    awaited.add(self._ended)
                    selector.register(self._ended, selectors.EVENT_READ)
                    self._ending = Background(self._end_it, name="blocks' end")

    def _end_it(self) -> None:
        try:
            self._on_full()
        finally:
            os.write(self._ends, b"1")


def begin(monitor: Monitor, log: Log) -> None:
    """Have QEMU write to `log` from now on. Raises GuestError if it is gone."""
    monitor.monitor(f"logfile {log.path}")
    monitor.monitor(f"log {WORDS}")


def end(monitor: Monitor) -> None:
    """Log no more; a guest that is lost does not anyhow."""
    with contextlib.suppress(GuestError):
        monitor.monitor("log none")
