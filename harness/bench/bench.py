# SPDX-License-Identifier: GPL-2.0-only
"""How fast packets go through the guest: `invoke bench`, see docs/bench.md."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.base import options, terminal
from harness.base.errors import InfrastructureError, MissingSourceError, UnavailableError, UserError
from harness.bench import chart, load, measurement, report, result, wires
from harness.bench import plan as bench_plan
from harness.bench.measurement import Sample
from harness.bench.plan import Measurement, Plan
from harness.boot import bootable
from harness.boot.bootable import Bootable
from harness.guest.machine import Machine
from harness.interactive import session
from harness.matrix import availability, kernels, variants
from harness.matrix.variants import Variant

JSON = "bench.json"
SUMMARY = "summary.txt"


@dataclass(frozen=True)
class Request:
    """Rows to measure in so many rounds, for so many seconds each."""

    rows: tuple[Measurement, ...]
    rounds: int
    seconds: float
    given: tuple[str, ...] = ()


@dataclass
class Run:
    """What has been measured, on which guests; what could not be had, or built, and why."""

    request: Request
    samples: dict[Measurement, list[Sample]]
    not_run: dict[str, str]
    not_built: dict[str, str]
    accelerators: dict[str, str]


def bench(
    *,
    variant: str | None,
    kernel: str | None,
    rounds: int,
    seconds: str | None,
    only: str | None,
    given: Sequence[str],
) -> None:
    """Measure, print the table, and leave table, JSON and chart in the run's folder.

    Raises UserError for options that make no sense, MissingSourceError if no kernel could be had,
    GuestError if a guest is lost or a packet is; InfrastructureError, at the end, if a kernel could
    not be built.
    """
    plan = bench_plan.load()
    rows = bench_plan.measurements(plan, variants.select(variant, None, kernel))
    if rounds < 1:
        raise UserError(f"--rounds {rounds}: at least one is needed")
    if not rows:
        raise UserError("nothing can be measured on these variants", "as in: --variant base")
    request = Request(
        bench_plan.only(rows, only), rounds, options.seconds("--seconds", seconds), tuple(given)
    )
    folder = session.new_folder("bench")
    done = run(request, plan, folder)
    write(folder, plan, done)
    terminal.show(f"run: {folder}")
    if done.not_built:
        raise InfrastructureError(f"not built: {', '.join(done.not_built)}")


def run(request: Request, plan: Plan, folder: Path) -> Run:
    """Boot a guest for each variant, and measure all rows in each round."""
    program = load.build()
    done = Run(request, {row: [] for row in request.rows}, {}, {}, {})
    with ExitStack() as stack:
        guests = _boot(request, plan, folder, done, stack)
        rows = [row for row in request.rows if row.variant.name in guests]
        for number in range(request.rounds):
            for row in bench_plan.in_turn(rows, number):
                machine = guests[row.variant.name]
                sample = measurement.measure(machine, row, program, request.seconds)
                done.samples[row].append(sample)
            terminal.say(f"bench: round {number + 1} of {request.rounds}, {len(rows)} rows")
    return done


def _boot(
    request: Request, plan: Plan, folder: Path, done: Run, stack: ExitStack
) -> dict[str, Machine]:
    guests: dict[str, Machine] = {}
    for variant, built in _build(request, done):
        name = variant.name
        machine = stack.enter_context(Machine(session.machine_spec(built, folder / name)))
        measurement.prepare(machine, bench_plan.modules(plan, variant))
        if any(row.variant == variant and row.datagram.wires == "memory" for row in request.rows):
            wires.prepare(machine)
        terminal.say(f"guest {name}: logged in after {machine.boot_seconds:.2f} s")
        done.accelerators[name] = machine.accelerator
        guests[name] = machine
    if not guests:
        if done.not_built:
            raise InfrastructureError("\n".join(done.not_built.values()))
        raise MissingSourceError("\n".join(done.not_run.values()))
    done.samples = {row: [] for row in request.rows if row.variant.name in guests}
    return guests


def _build(request: Request, done: Run) -> list[tuple[Variant, Bootable]]:
    """What the variants boot that could be had and built; of the others, why not goes to `done`."""
    wanted = {row.variant.name: row.variant for row in request.rows}
    found = availability.look(request.given)
    availability.tell(found.missing)
    userlands: dict[str, bootable.Userland] = {}
    built = []
    for name, variant in wanted.items():
        row = kernels.named(variant.kernel)
        if row.name in done.not_run or row.name in done.not_built:
            continue
        what = row.name
        try:
            found.require(row)
            if row.name not in userlands:
                userlands[row.name] = bootable.userland(row, request.given, found.missing)
            what = name
            built.append((variant, userlands[row.name].boot(variant)))
        except UnavailableError as error:
            done.not_run[row.name] = str(error)
        except InfrastructureError as error:
            done.not_built[what] = str(error)
    return [row for row in built if row[0].kernel not in done.not_run]


def write(folder: Path, plan: Plan, done: Run) -> None:
    """Print the table, and write the run's files."""
    data = {**_circumstances(done), **result.as_data(done.samples, plan.comparisons)}
    (folder / JSON).write_text(json.dumps(data, indent=1) + "\n")
    chart.write(folder, data)
    shown = report.render(
        result.rows(done.samples),
        result.compare(done.samples, plan.comparisons),
        done.not_run,
        done.not_built,
    )
    with (folder / SUMMARY).open("w", encoding="utf-8") as stream:
        for part in shown:
            terminal.write(stream, part)
            terminal.show(part)


def _circumstances(done: Run) -> dict[str, Any]:
    return {
        "host": f"{platform.platform()}, {os.cpu_count()} processors",
        "accelerator": done.accelerators,
        "rounds": done.request.rounds,
        "seconds": done.request.seconds,
        "not_run": done.not_run,
        "not_built": done.not_built,
    }
