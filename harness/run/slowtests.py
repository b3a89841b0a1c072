# SPDX-License-Identifier: GPL-2.0-only
"""Which tests take long, as all machines have it: slow.toml, by which shards are divided."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from harness.base import datafile, paths
from harness.base.datafile import Schema, Table
from harness.base.errors import UserError
from harness.matrix import kernels
from harness.record import runfolders
from harness.record.events import Event, TestFinished, VariantSelected

# Who takes so many times what is usual has a line.
_SLOW = 2.0
_HEAD = """\
# SPDX-License-Identifier: GPL-2.0-only
#
# What a test takes, in seconds, by kernel: the usual one, and each function whose cases take more
# than twice as long. Machines that share a run divide it by this (docs/ci.md): it need not be
# right, but the same on all of them. A kernel that is not here takes what that takes which it is
# like. Written by ./inv inventory --durations RUN.
"""


class Seconds(Table, frozen=True, kw_only=True):
    """What tests take on a kernel: the usual one, and the slow ones by function."""

    usual: float
    slow: dict[str, float]


DATA = Schema(dict[str, Seconds], "harness/run/slow.toml")


def function(test: str) -> str:
    """The function of a test's case."""
    return test.partition("[")[0]


def load(file: Path | None = None) -> dict[str, Seconds]:
    """What is written down, by kernel. Raises UserError if the file is not as it says."""
    said, known = DATA.read(file), kernels.load()
    wrong = (fault for name in said for fault in datafile.among((name,), name, known))
    DATA.refuse(wrong, file)
    return said


def learned(events: Iterable[Event]) -> dict[str, Seconds]:
    """What a run tells, by kernel; of a function its cases' mean (pure)."""
    kernel_of: dict[str, str] = {}
    took: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for event in events:
        if isinstance(event, VariantSelected):
            kernel_of[event.variant] = event.kernel
        elif isinstance(event, TestFinished) and event.outcome == "passed":
            took[kernel_of[event.variant]][function(event.test)].append(event.seconds)
    return {kernel: _seconds(rows) for kernel, rows in sorted(took.items())}


def remember(run: str) -> None:
    """Write down what the tests took in the run in that folder; other kernels' rows stay.

    Raises UserError if it is no run's folder.
    """
    folder = Path(run)
    if not (folder / runfolders.EVENTS).is_file():
        raise UserError(f"{folder} is no run's folder", f"runs are kept in {paths.RUNS}")
    write(load() | learned(runfolders.events(folder)))


def _seconds(rows: Mapping[str, list[float]]) -> Seconds:
    usual = statistics.median(each for cases in rows.values() for each in cases)
    means = {name: statistics.fmean(cases) for name, cases in rows.items()}
    slow = {name: mean for name, mean in sorted(means.items()) if mean > _SLOW * usual}
    return Seconds(
        usual=round(usual, 2), slow={name: round(mean, 1) for name, mean in slow.items()}
    )


def write(known: Mapping[str, Seconds], file: Path | None = None) -> None:
    """Write them down."""
    lines = [_HEAD]
    for kernel, row in known.items():
        lines += [f"[{json.dumps(kernel)}]", f"usual = {row.usual}", ""]
        lines += [f"[{json.dumps(kernel)}.slow]"]
        lines += [f"{json.dumps(name)} = {seconds}" for name, seconds in row.slow.items()]
        lines.append("")
    file = file or DATA.path
    file.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
