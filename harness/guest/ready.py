# SPDX-License-Identifier: GPL-2.0-only
"""Guests that are up in a third of a second: begun from a snapshot that the first one has left.

The snapshot is of a guest into which somebody has logged in, and from which he has gone. What it
depends on is its name: kernel, image with its keys, QEMU and its command line. It is kept by the
store, which has it made by one process at a time, and holds it against its digest before each use.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import filelock

from harness.base import digests, fingerprint, paths, store, terminal
from harness.guest import accelerator, qemu
from harness.guest.machine import Machine, MachineSpec
from harness.guest.qemu import QemuSpec

# Counts up when what is done to a guest before its snapshot changes.
RECIPE = "1"

SNAPSHOT = "ready"
FILE = "ready.qcow2"

# One of a kernel of today takes 70 MiB, of 2.2.12 6 MiB; those used last are kept.
MOST = 8

_UNUSABLE = ".unusable"


@dataclass(frozen=True)
class Begun:
    """A guest to begin: from a snapshot, if its `spec` says so, that may be `made` just now."""

    spec: MachineSpec
    made: bool = False


def begin(spec: MachineSpec) -> Begun:
    """The same guest, begun from a snapshot, which is made first where there is none: by a guest
    that boots for it, in a folder below that of `spec`, and ends.

    What cannot be had so is to boot as it is: under KVM, where a boot is as fast and a snapshot is
    of the host's processor, and where a snapshot did not load before, which is said. Raises what
    Machine raises for a guest that does not boot, and what store.keep raises.
    """
    chosen = spec.accelerator or accelerator.choose(spec.kernel, spec.initrd, spec.hardware).name
    if chosen != "tcg":
        return Begun(spec)
    folder = folder_of(spec)
    with contextlib.suppress(OSError):
        why = folder.with_suffix(_UNUSABLE).read_text().strip()
        terminal.say(f"guest {spec.variant}: a snapshot did not load before ({why}): it boots")
        return Begun(spec)

    def make(target: Path) -> None:
        first = replace(spec, folder=spec.folder / "first")
        with Machine(first) as machine:
            # What has gone wrong by now would be wrong in each that comes from it.
            machine.check()
            machine.snapshot(SNAPSHOT)
            machine.write_snapshots(target / FILE)
            machine.check()

    entry = store.keep(folder, make, f"a snapshot to begin guests of {spec.variant} from")
    with contextlib.suppress(OSError):
        os.utime(folder.with_suffix(".lock"))
    if not entry.cached:
        _forget_oldest(folder.parent)
    return Begun(replace(spec, begin_from=entry.path / FILE), made=not entry.cached)


def give_up(begun: Begun, error: Exception) -> None:
    """A guest could not be begun from its snapshot: say so, and have the next one make another.

    Where this one was made just now, another would do no better, and none is tried any more.
    """
    why = next(iter(str(error).splitlines()), type(error).__name__)
    spec = begun.spec
    terminal.say(f"guest {spec.variant}: its snapshot cannot be used ({why}): it boots")
    folder = folder_of(spec)
    with contextlib.suppress(OSError):
        if begun.made:
            folder.with_suffix(_UNUSABLE).write_text(f"{why}\n")
    _forget(folder)


def folder_of(spec: MachineSpec) -> Path:
    """Where the snapshot for guests of `spec` is kept, if there is one yet."""
    words = qemu.arguments(
        QemuSpec(
            kernel=spec.kernel,
            accelerator="tcg",
            memory_mib=spec.hardware.memory_mib,
            hardware=spec.hardware,
            initrd=spec.initrd,
            # Numbers of descriptors are others each time, and mean nothing.
            qmp_fd=0,
            snapshot_fd=0,
            wire_fds=(0, 0),
            append=spec.append,
        )
    )
    program = Path(shutil.which(spec.hardware.program) or spec.hardware.program).resolve()
    with contextlib.suppress(OSError):
        # A QEMU that was updated, without a process that is asked for its version.
        status = program.stat()
        words += [str(program), str(status.st_size), str(status.st_mtime_ns)]
    key = fingerprint.of_bytes(RECIPE, *words, _content(spec.kernel), _content(spec.initrd))
    return paths.BUILD / "ready" / key[:32]


def _content(file: Path) -> str:
    """What a file is known by: the digest that the store has of it, to which it is held at each
    boot; else its own.
    """
    for folder in file.parents[:-1]:
        with contextlib.suppress(OSError):
            return f"{file.relative_to(folder)} of {fingerprint.of_file(digests.beside(folder))}"
    return fingerprint.of_file(file)


def _forget_oldest(folder: Path) -> None:
    """Remove all but the last `MOST` snapshots that were used, but for those in somebody's use."""
    used: dict[Path, float] = {}
    for lock in folder.glob("*.lock"):
        with contextlib.suppress(OSError):
            used[lock] = lock.stat().st_mtime
    for lock in sorted(used, key=used.__getitem__, reverse=True)[MOST:]:
        with contextlib.suppress(filelock.Timeout), filelock.FileLock(lock).acquire(timeout=0):
            _forget(lock.with_suffix(""))
            for rest in (lock.with_suffix(_UNUSABLE), lock):
                rest.unlink(missing_ok=True)


def _forget(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    digests.beside(folder).unlink(missing_ok=True)
