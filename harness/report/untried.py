# SPDX-License-Identifier: GPL-2.0-only
"""What of the host of a run nobody has tried the whole suite on: see tried.toml."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.base.datafile import Schema, Table
from harness.record.events import Event, GuestBooted, RunStarted

_SERIES = re.compile(r"version (\d+\.\d+)")


class Tried(Table, frozen=True, kw_only=True):
    """What has been tried, by kind."""

    machines: tuple[str, ...]
    accelerators: tuple[str, ...]
    qemu: tuple[str, ...]


DATA = Schema(Tried, "harness/report/tried.toml")


def load() -> Tried:
    """What has been tried, by kind. Raises UserError if the file is not as it says."""
    return DATA.read()


def line(events: Sequence[Event], tried: Tried | None = None) -> str:
    """A line for the report of a run of guests; "" if such hosts are known, or no guest booted."""
    tried = load() if tried is None else tried
    accelerators = [event.accelerator for event in events if isinstance(event, GuestBooted)]
    started = next((event for event in events if isinstance(event, RunStarted)), None)
    if started is None or not accelerators:
        return ""
    found = [
        f"under {name}" for name in dict.fromkeys(accelerators) if name not in tried.accelerators
    ]
    # Of a run that several machines shared, each has its own.
    series = _SERIES.findall(started.qemu)
    found += [f"with QEMU {each}" for each in series if each not in tried.qemu]
    if not series:
        found.append("with a QEMU of unknown version")
    machines = started.machine.split("; ")
    found += [f"on {name}" for name in machines if name not in ("", *tried.machines)]
    if not found:
        return ""
    return (
        f"never tried before: the whole suite {', '.join(found)}; what fails may be for that, and "
        "what passes was never seen to fail there: see docs/kvm.md"
    )
