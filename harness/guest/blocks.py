# SPDX-License-Identifier: GPL-2.0-only
"""Which blocks of code a guest has run, and in what order, told by QEMU (TCG alone).

`-d exec,nochain` logs each block as it begins, of the addresses in `-dfilter` (qemu-options.hx);
the monitor's `logfile` and `log` turn it on and off in a QEMU that runs. What was translated
before, without it, is translated anew. A block ends with the first instruction that may go
elsewhere, or before.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.base.errors import GuestError

if TYPE_CHECKING:
    from harness.guest.position import Monitor

# Words of `log`, and of -d.
WORDS = "exec,nochain"

_BLOCK = re.compile(rb"^Trace (\d+): \S+ \[[0-9a-f]+/([0-9a-f]+)/")


@dataclass(frozen=True)
class Ran:
    """Where blocks began, and pairs of those that began one after the other on one processor."""

    blocks: frozenset[int] = frozenset()
    steps: frozenset[tuple[int, int]] = frozenset()


def parse(lines: Iterable[bytes]) -> Ran:
    """What QEMU has logged (pure)."""
    blocks: set[int] = set()
    steps: set[tuple[bytes, bytes]] = set()
    last: dict[bytes, bytes] = {}
    for line in lines:
        if match := _BLOCK.match(line):
            processor, at = match.groups()
            steps.add((last.get(processor, at), at))
            last[processor] = at
    steps_of = frozenset((int(one, 16), int(other, 16)) for one, other in steps)
    blocks = {at for step in steps_of for at in step}
    return Ran(frozenset(blocks), steps_of)


def read(file: Path) -> Ran:
    """The same of a file, which is gone afterwards; nothing if there is none."""
    try:
        with file.open("rb") as stream:
            return parse(stream)
    except FileNotFoundError:
        return Ran()
    finally:
        file.unlink(missing_ok=True)


def begin(monitor: Monitor, file: Path) -> None:
    """Log to `file` from now on. It may have no character in its path that QEMU's monitor knows.

    Raises GuestError if QEMU is gone.
    """
    file.unlink(missing_ok=True)
    monitor.monitor(f"logfile {file}")
    monitor.monitor(f"log {WORDS}")


def end(monitor: Monitor) -> None:
    """Log no more; a guest that is lost does not anyhow."""
    with contextlib.suppress(GuestError):
        monitor.monitor("log none")
