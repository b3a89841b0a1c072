# SPDX-License-Identifier: GPL-2.0-only
"""The faults that take more than a test or some lines of Python: a function each.

Each makes its fault on the stage, and its docstring says what is wrong afterwards.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.base.errors import UserError
from harness.canaries.stage import Stage

Fault = Callable[[Stage], None]


def qemu_that_is_killed(stage: Stage) -> None:
    """QEMU is killed, as by the kernel for want of memory, a second after its launch."""
    stage.program("qemu-system-i386", '"$REAL" "$@" & sleep 1; kill -9 $!; wait $!; kill -9 $$')


def named(name: str) -> Fault:
    """The function of this name. Raises UserError if there is none."""
    found = globals().get(name)
    if name.startswith("_") or not callable(found) or found.__module__ != __name__:
        raise UserError(f"there is no fault {name}", "see harness/canaries/faults.py")
    fault: Fault = found
    return fault
