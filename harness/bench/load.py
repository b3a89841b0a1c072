# SPDX-License-Identifier: GPL-2.0-only
"""The load of a benchmark: tests/programs/bench/bench-load.c, a program of the host's."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.base import command, compiler, fingerprint, paths, store
from harness.base.errors import GuestError, InfrastructureError
from harness.network.addresses import LINKS, Link

SOURCE = paths.TESTS / "programs" / "bench" / "bench-load.c"
# What it shares with the guest's bench-wires.c.
_SHARED = tuple(SOURCE.with_name(name) for name in ("load.c", "load.h"))
FLAGS = ("-std=gnu99", "-O2", "-Wall", "-Wextra", "-Werror")

COMPILE_SECONDS = 60.0
# Beyond the measured time: the first datagram, what is under way at the end, or is lost.
_GRACE_SECONDS = 30.0


@dataclass(frozen=True)
class Load:
    """What is sent: datagrams of `bytes`, `window` of them under way, for so many seconds.

    The measured time begins after `warm_up`. When none has come back for `patience`, those that are
    under way are lost.
    """

    bytes: int
    window: int
    seconds: float
    warm_up: float = 0.0
    patience: float = 5.0


@dataclass(frozen=True)
class Outcome:
    """What came of it: datagrams and frames sent, and packets a second.

    `trip` is the quartiles of their round trips, and `cost` what each took of the emulator's
    processors, both in microseconds. All of these are 0.0 if none came in the measured time, as
    when the host was busy with something else.
    """

    sent: int
    frames: int
    rate: float
    trip: tuple[float, float, float]
    cost: float


def build() -> Path:
    """The program, from the cache or compiled. Raises InfrastructureError."""
    sources = fingerprint.of_files(paths.TESTS, [SOURCE, *_SHARED])
    print_ = fingerprint.of_bytes(compiler.identity(), *FLAGS, sources)

    def make(folder: Path) -> None:
        compiled = [str(SOURCE), str(_SHARED[0])]
        argv = [compiler.name(), *FLAGS, *compiled, "-o", str(folder / SOURCE.stem)]
        log = command.new_log(SOURCE.stem)
        command.run(argv, what="the load of benchmarks", log=log, seconds=COMPILE_SECONDS)

    return store.obtain("bench", print_, make, "the load of benchmarks").path / SOURCE.stem


def arguments(
    program: Path,
    load: Load,
    descriptors: Sequence[int],
    process: int,
    links: Sequence[Link] = LINKS,
) -> list[str]:
    """The command line for two wires whose ends are the descriptors; sent to the first (pure).

    `process` is the emulator's.
    """
    near, far = (
        f"{descriptor},{link.guest_mac},{link.host_mac},{link.host_ip}"
        for descriptor, link in zip(descriptors, links, strict=True)
    )
    return [
        str(program),
        *("--near", near, "--far", far),
        *options(load),
        *("--process", str(process)),
    ]


def options(load: Load) -> list[str]:
    """The options that both loads have, this and that of bench_wires (pure)."""
    return [
        *("--bytes", str(load.bytes), "--window", str(load.window)),
        *("--milliseconds", str(round(load.seconds * 1000))),
        *("--warm-up", str(round(load.warm_up * 1000))),
        *("--patience", str(round(load.patience * 1000))),
    ]


def outcome(said: Mapping[str, Any]) -> Outcome:
    """What a program says, where all came back, and once (pure).

    Raises GuestError otherwise.
    """
    lost = said["sent"] - said["received"]
    if lost or said["doubled"]:
        raise GuestError(
            f"of {said['sent']} datagrams {lost} were lost, and {said['doubled']} frames came twice"
        )
    return Outcome(
        said["sent"],
        said["frames"],
        said["packets"] / said["seconds"],
        tuple(said["trip"]),
        said["processor"] / said["packets"] * 1e6 if said["packets"] else 0.0,
    )


def run(program: Path, load: Load, descriptors: Sequence[int], process: int) -> Outcome:
    """Run the load over two wires of the emulator `process`.

    Raises GuestError if a datagram is lost, or a wire is gone.
    """
    argv = arguments(program, load, descriptors, process)
    seconds = load.seconds + load.warm_up + load.patience + _GRACE_SECONDS
    try:
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            pass_fds=tuple(descriptors),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InfrastructureError(f"{SOURCE.stem} cannot be run: {error}") from error
    if done.returncode != 0:
        raise GuestError(f"{SOURCE.stem} ended with status {done.returncode}", done.stderr.strip())
    return outcome(json.loads(done.stdout))
