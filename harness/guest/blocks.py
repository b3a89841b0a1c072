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
from pathlib import Path
from typing import TYPE_CHECKING

from harness.base.background import Background
from harness.base.errors import GuestError

if TYPE_CHECKING:
    from harness.guest.position import Monitor

# Words of `log`, and of -d.
WORDS = "exec,nochain"

# So many are looked at of one log: a test that sends a million packets runs the same ones.
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
        if self._left <= 0:
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
    def steps(self) -> Steps:
        """All of it so far."""
        return frozenset((int(one, 16), int(other, 16)) for one, other in self._steps)


class Log:
    """A pipe with a name, into which QEMU logs, and which is read meanwhile: nothing is stored.

    `path` may have no character that QEMU's monitor takes for a word's end.
    """

    def __init__(self, path: Path) -> None:
        os.mkfifo(path, 0o600)
        self.path = path
        # For writing too: there is no end of it while QEMU has not opened it, or has closed it.
        self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self._over, self._end = os.pipe()
        self._parser = Parser()
        self._thread = Background(self._read, name="blocks")

    def close(self) -> Steps:
        """What has come until now, when QEMU has been told to log no more."""
        os.close(self._end)
        self._thread.join()
        for descriptor in (self._pipe, self._over):
            os.close(descriptor)
        self.path.unlink()
        return self._parser.steps

    def _read(self) -> None:
        with selectors.DefaultSelector() as selector:
            for descriptor in (self._pipe, self._over):
                selector.register(descriptor, selectors.EVENT_READ)
            while True:
                ready = {key.fd for key, _ in selector.select()}
                if self._pipe in ready:
                    self._parser.feed(os.read(self._pipe, _CHUNK))
                elif self._over in ready:
                    return


def begin(monitor: Monitor, log: Log) -> None:
    """Have QEMU write to `log` from now on. Raises GuestError if it is gone."""
    monitor.monitor(f"logfile {log.path}")
    monitor.monitor(f"log {WORDS}")


def end(monitor: Monitor) -> None:
    """Log no more; a guest that is lost does not anyhow."""
    with contextlib.suppress(GuestError):
        monitor.monitor("log none")
