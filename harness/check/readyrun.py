# SPDX-License-Identifier: GPL-2.0-only
"""That guests from one snapshot are well, have the time, and nothing secret in common."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from harness.base.errors import GuestError
from harness.boot import bootable
from harness.boot.bootable import Bootable
from harness.check.steps import Counts, StepResult
from harness.check.tally import Tally
from harness.interactive import session
from harness.matrix import variants

NAME = "snapshots"
# A busy host may take so long to go from one clock to the other.
_CLOCK_SECONDS = 10
_NUMBERS = "dd if=/dev/urandom bs=32 count=1 2>/dev/null | cmp -l - /dev/zero | cat"
_BOOT = "/proc/sys/kernel/random/boot_id"


@dataclass(frozen=True)
class _Seen:
    """What a guest drew by chance, and the name that this boot has, if the kernel gives it one."""

    numbers: str
    boot: str


def snapshot_steps(given: Sequence[str], _require: Sequence[str]) -> StepResult:
    """Two guests from one snapshot, of the base variant of each kernel that can be had; each pair
    counts as a test.

    Skipped under KVM, where guests boot, and for a kernel that cannot be had, which `guest_tests`
    tells.
    """
    tally = Tally(NAME)
    for row in variants.select():
        if row.short == "base":
            with tally.test(row.name, count=0):
                tally.counts += _pair(bootable.build(row, given))
    return tally.result()


def _pair(built: Bootable) -> Counts:
    first, second = _seen(built), _seen(built)
    if first is None or second is None:
        return Counts(skipped=1)
    if first.numbers == second.numbers:
        raise GuestError("two guests from one snapshot draw the same random numbers", first.numbers)
    if first.boot and first.boot == second.boot:
        raise GuestError(f"two guests from one snapshot have the same {_BOOT}", first.boot)
    return Counts(passed=1)


def _seen(built: Bootable) -> _Seen | None:
    """What one guest shows; None if it was booted after all, as under KVM."""
    with session.boot(NAME, built, cold=False) as machine:
        if machine.spec.begin_from is None:
            if machine.accelerator == "tcg":
                raise GuestError("it did not begin from its snapshot")
            return None
        numbers = machine.ssh.check(_NUMBERS)
        if not numbers.strip():
            raise GuestError("it shows no random numbers")
        boot = machine.ssh.check(f"[ ! -e {_BOOT} ] || cat {_BOOT}")
        said = int(machine.ssh.check("date +%s"))
        if abs(said - time.time()) > _CLOCK_SECONDS:
            raise GuestError(f"it has {said} for the time, and it is {time.time():.0f}")
        # Wires, programs and timers, all of which the snapshot has brought along.
        machine.barrier()
        machine.check()
        return _Seen(numbers, boot)
