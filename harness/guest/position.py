# SPDX-License-Identifier: GPL-2.0-only
"""Where the processor is of a guest that does not answer: in a loop, or waiting."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from typing import Protocol

from harness.base.deadline import Deadline
from harness.base.errors import DeadlineError, GuestError
from harness.guest import trace
from harness.guest.console import Console

# The panic's first line is there within milliseconds, if the kernel does panic.
_PANIC_SECONDS = 5.0


class Monitor(Protocol):
    """What is asked of QEMU (harness.guest.qmp.Qmp)."""

    def monitor(self, line: str) -> str: ...


def find(qmp: Monitor, console: Console, named: Callable[[str], str]) -> str:
    """In words; what cannot be had is said to be unknown.

    2.2.12's address gets its name by `named`. An x86-64 kernel names the function itself, and the
    module: a non-maskable interrupt reaches it wherever it is, and with unknown_nmi_panic on its
    command line it panics then (arch/x86/kernel/nmi.c). The guest is of no further use.
    """
    try:
        registers = qmp.monitor("info registers")
        if found := re.search(r"\bEIP=([0-9a-f]{8})\b", registers):
            return named(f"EIP [<{found[1]}>]")
        found = re.search(r"\bRIP=([0-9a-f]{16})\b", registers)
        if not found:
            return "position unknown"
        mark = console.mark()
        qmp.monitor("nmi")
    except GuestError as error:
        return str(error)
    with contextlib.suppress(DeadlineError):
        console.wait_for("Kernel panic - not syncing", Deadline(_PANIC_SECONDS, "panic"))
    console.report()
    where = trace.place(line.text for line in console.since(mark))
    return where or f"RIP {found[1]}"
