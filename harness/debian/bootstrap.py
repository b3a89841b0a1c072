# SPDX-License-Identifier: GPL-2.0-only
"""The root of a fresh Debian: made from the host's mirrors, and kept for a day as a tar file."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import filelock

from harness.base import cause, command, diskroom, fingerprint, paths, store, terminal
from harness.base.errors import DeadlineError, HarnessError, InfrastructureError
from harness.debian import aptfailure, aptlists, namespace, packages
from harness.debian.namespace import Outcome

# Counts up when what this module makes of its inputs changes.
RECIPE = "2"

KIND = "room"
ARCHITECTURE = "amd64"

FRESH_SECONDS = 24 * 3600.0
# One that nobody has asked for since: of another release, or by lists that the host has no more.
OLD_SECONDS = 7 * FRESH_SECONDS
MAKE_SECONDS = 1800.0
UNPACK_SECONDS = 300.0
_QUERY_SECONDS = 20.0

_TOOLS = ("mmdebstrap", "debootstrap")
# What mmdebstrap is written in, with those of its modules that perl-base has not.
_PERL = ("perl", "-MEnglish", "-MTerm::ANSIColor", "-MMath::BigInt", "-MPod::Usage", "-e", "1")
_ENVIRONMENT = ("PATH", "TZ")


def tool() -> str:
    """The program that makes roots: installed, or mmdebstrap from its package, which is one file.

    Raises InfrastructureError that says what to install.
    """
    for name in _TOOLS:
        if shutil.which(name):
            return name
    try:
        if not shutil.which(_PERL[0]) or not _succeeds(_PERL):
            raise InfrastructureError("and no perl to run mmdebstrap with")
        package = packages.binary("mmdebstrap", ARCHITECTURE)
    except InfrastructureError as error:
        raise InfrastructureError(
            f"nothing here makes a root: no {', no '.join(_TOOLS)}; {error.message}",
            "install the package mmdebstrap, then run this again",
        ) from error
    log = command.log_of("mmdebstrap")
    entry = store.obtain(
        "tool", package.digest, lambda folder: packages.unpack(package, folder, log), "mmdebstrap"
    )
    return str(entry.path / "usr/bin/mmdebstrap")


def _succeeds(argv: Sequence[str]) -> bool:
    try:
        done = subprocess.run(argv, capture_output=True, timeout=_QUERY_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def lay_out(release: str, wanted: Sequence[str], root: Path) -> None:
    """Fill the folder `root` with a minimal system of `release` that has the packages `wanted`.

    Raises InfrastructureError if it cannot be made, or there is no room for it.
    """
    lists = aptlists.host_lists(packages.host_release().other(release), ARCHITECTURE)
    if not lists:
        raise InfrastructureError(
            f"{aptlists.APT_FOLDER} names no archive of Debian to make a root of {release} from",
            "run this on a Debian host",
        )
    print_ = fingerprint.of_bytes(RECIPE, release, *sorted(wanted), *lists, *lists.values())
    entry = paths.cache_dir() / KIND / print_[:32]
    with store.disk_errors(entry):
        entry.parent.mkdir(parents=True, exist_ok=True)
        with store.lock(entry.with_suffix(".lock"), f"a root of {release}"):
            _renew(entry, release, wanted, lists)
            _unpack(entry / "root.tar", root)


def remove_old() -> None:
    """Remove the tar files that are a week old and in nobody's use."""
    for record in (paths.cache_dir() / KIND).glob("*/made.json"):
        entry = record.parent
        guard = filelock.FileLock(entry.with_suffix(".lock"))
        with contextlib.suppress(filelock.Timeout), guard.acquire(timeout=0):
            if age(entry) > OLD_SECONDS:
                namespace.remove(entry)


def is_whole(entry: Path) -> bool:
    """Whether the tar file is that which was made: by its size and its SHA-256."""
    try:
        made = json.loads((entry / "made.json").read_text())
        tar = entry / "root.tar"
        return bool(
            tar.stat().st_size == made["size"] and fingerprint.of_file(tar) == made["sha256"]
        )
    except (OSError, ValueError, KeyError):
        return False


def write_record(folder: Path) -> None:
    """Write down beside the tar file what `is_whole` and `age` go by."""
    tar = folder / "root.tar"
    made = {"at": time.time(), "size": tar.stat().st_size, "sha256": fingerprint.of_file(tar)}
    (folder / "made.json").write_text(json.dumps(made))


def age(entry: Path) -> float:
    """Seconds since it was made, as far as is known."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        made = float(json.loads((entry / "made.json").read_text())["at"])
        return max(0.0, time.time() - made)
    return float("inf")


def _renew(entry: Path, release: str, wanted: Sequence[str], lists: dict[str, str]) -> None:
    """Make the entry, if it is not there, not whole, or older than a day."""
    whole = is_whole(entry)
    if whole and age(entry) < FRESH_SECONDS:
        return
    partial = entry.with_suffix(".partial")
    namespace.remove(partial)
    partial.mkdir()
    try:
        _make(partial, release, wanted, lists)
    except InfrastructureError as error:
        if not whole:
            raise
        days = age(entry) / FRESH_SECONDS
        terminal.say(f"{error.message}; that of {days:.1f} days ago is used")
    else:
        namespace.remove(entry)
        partial.rename(entry)
    finally:
        namespace.remove(partial)


def _make(folder: Path, release: str, wanted: Sequence[str], lists: dict[str, str]) -> None:
    program = tool()
    name = Path(program).name
    begin = time.monotonic()
    log = command.new_log(f"root-of-{release}")
    inputs = folder / "inputs"
    inputs.mkdir()
    for file, text in lists.items():
        (inputs / file).write_text(text)
    (inputs / "apt.conf").write_text(_acquire())
    tar = folder / "root.tar"
    if name == "mmdebstrap":
        words = shlex.join(with_mmdebstrap(program, release, wanted, inputs, tar))
    else:
        words = with_debootstrap(release, wanted, first_uri(lists.values()), folder / "root", tar)
    env = {"LC_ALL": "C.UTF-8", "TMPDIR": str(folder), "HOME": "/root"} | {
        key: value
        for key, value in os.environ.items()
        if key in _ENVIRONMENT or key.lower().endswith("_proxy")
    }
    with terminal.activity(f"making a root of {release} ({name})"):
        outcome = namespace.run(namespace.Inside(), words, log=log, seconds=MAKE_SECONDS, env=env)
    if outcome.status != 0:
        raise _unmade(
            f"no root of {release} with {', '.join(wanted) or 'nothing more'}",
            name,
            outcome,
            log,
            folder,
        )
    shutil.rmtree(inputs)
    write_record(folder)
    terminal.say(f"made a root of {release} in {time.monotonic() - begin:.0f} s")


def _unmade(what: str, program: str, outcome: Outcome, log: Path, folder: Path) -> HarnessError:
    """Why there is no root: what apt-get has said on the way, if it has."""
    said = log.read_text(errors="replace")
    if outcome.late:
        return DeadlineError(
            f"{what}: {program} was still running after {MAKE_SECONDS:g} s",
            f"see in its output which mirror is slow, then run this again: {log}",
        )
    if full := diskroom.full(what, said, folder):
        return full
    failure = aptfailure.judge(said)
    if failure.kind is not aptfailure.UNKNOWN:
        return failure.error(what, log)
    why = cause.first(said) or f"status {outcome.status}"
    return InfrastructureError(f"{what}: {why}", f"all of its output: {log}")


def with_mmdebstrap(
    program: str, release: str, wanted: Sequence[str], inputs: Path, tar: Path
) -> list[str]:
    """The command line that writes a root's tar file by the lists and apt.conf of `inputs`."""
    lists = sorted(path for path in inputs.iterdir() if path.suffix in {".list", ".sources"})
    return [
        *(program, "--quiet", "--mode=root", "--variant=minbase", "--format=tar"),
        *([f"--include={','.join(wanted)}"] if wanted else []),
        f"--aptopt={inputs / 'apt.conf'}",
        # As in images of containers: a root that is thrown away need not be synced to the disk.
        "--dpkgopt=force-unsafe-io",
        *(release, str(tar), *map(str, lists)),
    ]


def with_debootstrap(release: str, wanted: Sequence[str], uri: str, root: Path, tar: Path) -> str:
    """The same with debootstrap, from one archive, as a shell command."""
    include = [f"--include={','.join(wanted)}"] if wanted else []
    make = ["debootstrap", "--variant=minbase", *include, release, str(root), uri]
    pack = ["tar", "--numeric-owner", "--one-file-system", "-C", str(root), "-cf", str(tar), "."]
    tidy = ["rm", "-rf", "--one-file-system", str(root)]
    return " && ".join(shlex.join(words) for words in (make, pack, tidy))


def first_uri(lists: Iterable[str]) -> str:
    """The first archive that rewritten lists name; "" if none is named by an address."""
    words = (word for text in lists for word in text.split())
    return next((word for word in words if "://" in word), "")


def _acquire() -> str:
    """How the host's APT fetches: its proxies, what it believes of dates; without hooks."""
    try:
        done = subprocess.run(
            ["apt-config", "dump", "Acquire"],
            capture_output=True,
            text=True,
            timeout=_QUERY_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise InfrastructureError(
            f"apt-config does not say how this host fetches packages: {error}",
            "run this on a Debian host",
        ) from error
    return done.stdout


def _unpack(tar: Path, root: Path) -> None:
    """As root of a namespace, for owners of all kinds. Devices are the host's, and mounted."""
    log = command.new_log("root-unpacked")
    words = ["tar", "--numeric-owner", "--exclude=./dev/*", "-C", str(root), "-xpf", str(tar)]
    outcome = namespace.run(
        namespace.Inside(),
        shlex.join(words),
        log=log,
        seconds=UNPACK_SECONDS,
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
    )
    if outcome.status != 0:
        said = log.read_text(errors="replace")
        what = f"a root cannot be unpacked in {root}"
        if full := diskroom.full(what, said, root):
            raise full
        raise InfrastructureError(f"{what}: {cause.first(said)}", f"all of its output: {log}")
