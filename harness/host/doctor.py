# SPDX-License-Identifier: GPL-2.0-only
"""One look at everything that a run depends on: programs, archives, accelerator, disk, cache."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

from harness.base import compiler, paths, store, terminal
from harness.base.errors import InfrastructureError
from harness.debian import packages
from harness.guest import accelerator
from harness.host import host
from harness.upstream import releases, sources

# Six kernels with their sources, the image and a run take less than half of it.
WANTED_FREE = 1 << 30

_ACCELERATOR = "accelerator"
_TRY = "./inv doctor --kvm"


# Counts up when a key of the JSON goes, or means something else.
SCHEMA = 1


def doctor(*, as_json: bool = False) -> None:
    """Print what the host has and lacks, for people or `as_json`; change and download nothing.

    Raises InfrastructureError that names what is missing, or a cache in which nothing can be built,
    after all of it has been shown.
    """
    if as_json:
        terminal.show_json(_data())
    else:
        facts = terminal.Grid("fact", "value", show_header=False)
        for name, value in (*_machine(), *_archives(), *_disk()):
            facts.row(name, value)
        terminal.show(facts)
        terminal.show()
        terminal.show(host.table())
    if lacking := host.missing():
        raise InfrastructureError(
            f"this host lacks {', '.join(need.name for need in lacking)}", "run: ./inv setup"
        )
    store.root()
    compiler.identity()


def _data() -> dict[str, Any]:
    """All of it for programs: docs/commands.md has the keys, which stay."""
    cache = paths.cache_dir()
    there = _existing(cache)
    archives = {name: sources.downloaded(source) for name, source in releases.load().items()}
    return {
        "schema": SCHEMA,
        "machine": dict(_machine()),
        "archives": {name: str(path) if path else None for name, path in archives.items()},
        "cache": {"path": str(cache), "bytes": used(cache), "writable": os.access(there, os.W_OK)},
        "downloads": str(paths.downloads_dir()),
        "disk_free": shutil.disk_usage(there).free,
        "build": {"path": str(paths.BUILD), "bytes": used(paths.BUILD)},
        "needs": [
            {
                "name": need.name,
                "there": host.has(need),
                "where": host.where(need),
                "reason": need.reason,
                "package": need.package,
                "task": need.task,
            }
            for need in host.load()
        ],
        "lacking": [need.name for need in host.missing()],
    }


def _existing(folder: Path) -> Path:
    """The folder, or that above it which is there."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _machine() -> list[tuple[str, str]]:
    release = platform.freedesktop_os_release() if Path("/etc/os-release").exists() else {}
    return [
        ("system", f"{release.get('PRETTY_NAME', platform.system())}, {platform.machine()}"),
        ("packages", f"of {packages.host_release().described}"),
        ("kernel", platform.release()),
        ("processors", str(len(os.sched_getaffinity(0)))),
        ("python", f"{platform.python_version()}, {sys.executable}"),
        ("accelerator", _accelerator()),
    ]


def _accelerator() -> str:
    """What runs the guest, as far as is known without booting one."""
    if reason := accelerator.unusable():
        return f"TCG: {reason}"
    answers = sorted(
        (paths.cache_dir() / _ACCELERATOR).glob("*/answer.json"),
        key=lambda path: path.stat().st_mtime,
    )
    if not answers:
        return f"{accelerator.KVM_DEVICE} is there; the first boot probes whether it works: {_TRY}"
    answer = json.loads(answers[-1].read_text())
    return f"{answer['name']} ({answer['reason']}), probed before: {_TRY}"


def _archives() -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, source in releases.load().items():
        found = sources.downloaded(source)
        wanted = f"missing; wanted: {' or '.join(source.archives)} in {paths.downloads_dir()}"
        rows.append((name, str(found) if found else wanted))
    return rows


def _disk() -> list[tuple[str, str]]:
    cache = paths.cache_dir()
    there = _existing(cache)
    free = shutil.disk_usage(there).free
    writable = "" if os.access(there, os.W_OK) else ", NOT WRITABLE"
    scarce = "" if free >= WANTED_FREE else f", LESS THAN {size(WANTED_FREE)}"
    return [
        ("cache", f"{cache}, {size(used(cache))}{writable}"),
        ("downloads", str(paths.downloads_dir())),
        ("disk free", f"{size(free)}{scarce}"),
        ("runs and keys", f"{paths.BUILD}, {size(used(paths.BUILD))}"),
    ]


def used(folder: Path) -> int:
    """Bytes on disk below `folder`, each hard link counted; 0 if it is not there."""
    total = 0
    for root, _folders, files in os.walk(folder):
        for name in files:
            try:
                total += (Path(root) / name).lstat().st_blocks * 512
            except FileNotFoundError:
                continue  # another run removes what it no longer needs
    return total


def size(count: int) -> str:
    """A number of bytes, to be read."""
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count / (1 << 20):.0f} MiB"
