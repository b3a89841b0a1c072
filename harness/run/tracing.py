# SPDX-License-Identifier: GPL-2.0-only
"""Which blocks of the code under test each test of a session has run, a line of JSON a test.

The file is `blocks.jsonl` in the session's folder: {"test", "steps", "sections", "cut"}.
Addresses are the guest's; `sections` says where the module's are, and is empty for what is the
kernel's own. `cut`: more has run than is told (`blocks.MOST_LINES`).
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.guest import blocks
from harness.guest.blocks import Log, Steps
from harness.guest.machine import Machine
from harness.record import linecoverage

FILE = "blocks.jsonl"

# Freed when the module has been loaded; another module may be there later.
_OF_BOOT = ".init.text"
_SECTIONS = "/sys/module/divert/sections"
_LOOK = f"""\
cd {_SECTIONS} 2>/dev/null || exit 0
for each in .*text*; do echo $each $(cat $each); done"""


class Tracing:
    """The blocks of one session; of no use without QEMU's log, which is on from its start."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the session's."""
        self._file = folder / FILE
        # QEMU's monitor takes some characters apart that the run's own path may have.
        self._scratch = Path(tempfile.mkdtemp(prefix="divert-blocks-", dir="/tmp"))
        self._sections: dict[str, int] = {}
        self._boot: Log | None = None

    def boot_file(self) -> Path:
        """Where QEMU is to log the boot of the next guest."""
        self._end_boot()
        self._boot = Log(self._scratch / "boot")
        return self._boot.path

    def _end_boot(self) -> Steps:
        log, self._boot = self._boot, None
        return log.close() if log is not None else frozenset()

    def booted(self, guest: Machine) -> None:
        """A guest is there, and nothing has been tested on it."""
        blocks.end(guest.qmp)
        words = guest.ssh.check(_LOOK).split()
        self._sections = {
            name: int(address, 16) for name, address in zip(words[::2], words[1::2], strict=True)
        }
        self._write(linecoverage.BOOT, self._end_boot())
        self._sections.pop(_OF_BOOT, None)

    @contextmanager
    def test(self, guest: Machine, name: str) -> Iterator[None]:
        """While a test runs on `guest`."""
        log = Log(self._scratch / "test", lambda: blocks.end(guest.qmp))
        try:
            blocks.begin(guest.qmp, log)
            yield
        finally:
            blocks.end(guest.qmp)
            self._write(name, log.close(), cut=log.cut)

    def close(self) -> None:
        """The session is over."""
        self._end_boot()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _write(self, name: str, steps: Steps, *, cut: bool = False) -> None:
        row = {"test": name, "steps": sorted(steps), "sections": self._sections, "cut": cut}
        with self._file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row, separators=(",", ":")) + "\n")
