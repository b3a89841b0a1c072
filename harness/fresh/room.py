# SPDX-License-Identifier: GPL-2.0-only
"""One room: a fresh machine, laid out, used to run commands, and taken away."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock

from harness.base import cause, paths, store, terminal
from harness.base.errors import InfrastructureError
from harness.debian import bootstrap, namespace
from harness.debian.namespace import Inside, Mount, Outcome
from harness.fresh import checkout, rooms, takeover
from harness.upstream import releases, sources

# What a room's own commands know that they are in one by; it is the room's name.
VARIABLE = "DIVERT_ROOM"

# As Debian's /etc/profile sets it. Ordinary users have no sbin.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
USER_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"

# What a machine has on which somebody has cloned the project.
_ALWAYS = ("ca-certificates", "git")
# The first ordinary user's number.
_NUMBER = 1000
_OUTFIT_SECONDS = 120.0
_KEPT = "kept"


@dataclass(frozen=True)
class Place:
    """A room, laid out below `root`. `archives` is what it was really given of upstream's."""

    row: rooms.Room
    root: Path
    mounts: tuple[Mount, ...]
    archives: str

    def run(
        self,
        command: str,
        *,
        log: Path,
        seconds: float,
        as_root: bool = False,
        network: bool = True,
        yes: bool = False,
    ) -> Outcome:
        """Run a command in the checkout, as whoever types the commands in this room, or as root."""
        row = self.row
        ordinary = row.user != "root" and not as_root
        return self.run_in(
            row.checkout_folder,
            command if as_root else f"umask {row.umask}\n{command}",
            Inside(self.root, self.mounts, _NUMBER if ordinary else 0, network, yes),
            log=log,
            seconds=seconds,
            env=self.environment(as_root=as_root),
        )

    def run_in(
        self,
        folder: str,
        command: str,
        inside: Inside,
        *,
        log: Path,
        seconds: float,
        env: dict[str, str],
    ) -> Outcome:
        """The same in any folder, with any environment."""
        script = f"cd {shlex.quote(folder)} || exit {namespace.NOT_BEGUN}\n{command}"
        return namespace.run(inside, script, log=log, seconds=seconds, env=env)

    def environment(self, *, as_root: bool = False) -> dict[str, str]:
        """What is set where the commands are typed."""
        row = self.row
        account = "root" if as_root else row.account
        return {
            "PATH": PATH if account == "root" else USER_PATH,
            "HOME": "/root" if as_root and row.user != "root" else row.home_folder,
            "USER": account,
            "LOGNAME": account,
            "SHELL": "/bin/bash",
            "TERM": "dumb",
            "LANG": row.locale,
            VARIABLE: row.name,
            **takeover.environment(os.environ),
            **row.environment,
        }


@contextmanager
def opened(row: rooms.Room, log: Path, *, keep: bool = False) -> Iterator[Place]:
    """Lay a room out; take it away afterwards, whatever ended it, unless it is to be kept.

    Raises InfrastructureError if it cannot be made.
    """
    remove_leftovers()
    bootstrap.remove_old()
    folder = _rooms() / f"{secrets.token_hex(16)}.partial"
    guard = filelock.FileLock(folder.with_suffix(".lock"))
    with store.disk_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        guard.acquire(timeout=0)
    try:
        root = folder / "root"
        with store.disk_errors(folder):
            folder.mkdir()
            # Its users have to come through, and nobody else of the host's.
            folder.chmod(0o711)
            root.mkdir()
            root.chmod(0o755)
            place = _laid_out(row, root, log)
        yield place
        if keep:
            (folder / _KEPT).touch()
            terminal.say(f"{row.name} is kept: chroot {root}")
            terminal.say(f"  afterwards: rm -rf --one-file-system {folder}")
    finally:
        if not (folder / _KEPT).exists():
            namespace.remove(folder)
        guard.release()
        folder.with_suffix(".lock").unlink(missing_ok=True)


def remove_leftovers() -> None:
    """Remove rooms whose run has ended without doing so: nobody holds their locks."""
    for folder in _rooms().glob("*.partial"):
        guard = filelock.FileLock(folder.with_suffix(".lock"))
        try:
            guard.acquire(timeout=0)
        except filelock.Timeout:
            continue
        try:
            if not (folder / _KEPT).exists():
                namespace.remove(folder)
        finally:
            guard.release()


def _rooms() -> Path:
    return paths.cache_dir() / bootstrap.KIND


def _laid_out(row: rooms.Room, root: Path, log: Path) -> Place:
    sudo = ("sudo",) if row.user == "sudo" else ()
    wanted = () if row.containerfile else (*_ALWAYS, *row.packages, *sudo)
    bootstrap.lay_out(row.release, wanted, root)
    home = root / row.home_folder[1:]
    _outfit(row, root, log)
    folders = takeover.copy(root, home)
    mounts = []
    for path in folders:
        (root / path.relative_to("/")).mkdir(parents=True, exist_ok=True)
        mounts.append(Mount(path, root / path.relative_to("/"), read_only=True))
    archives = _copy_archives(row, root / row.downloads_folder[1:])
    if not row.containerfile:
        checkout.clone(root / row.checkout_folder[1:], int(row.umask, 8))
    place = Place(row, root, tuple(mounts), archives)
    _finish(place, log)
    return place


def _outfit(row: rooms.Room, root: Path, log: Path) -> None:
    """Make the account, with its home."""
    home = shlex.quote(row.home_folder)
    script = f"mkdir -p {home}"
    if row.user != "root":
        parent = shlex.quote(str(Path(row.home_folder).parent))
        make = f"useradd --uid {_NUMBER} --create-home --home-dir {home} --shell /bin/bash"
        script = f"mkdir -p {parent} && {make} {row.account}"
    if row.user == "sudo":
        # Without a password, and with the proxies, which only APT's configuration would else have.
        rules = f'{row.account} ALL=(ALL) NOPASSWD: ALL\nDefaults env_keep += "*_proxy *_PROXY"\n'
        file = f"/etc/sudoers.d/{row.account}"
        script += f" && printf %s {shlex.quote(rules)} >{file} && chmod 440 {file}"
    _as_root(root, script, log)


def _finish(place: Place, log: Path) -> None:
    """Let the account own what was put there, and let the system know the host's certificates."""
    row = place.row
    script = "if command -v update-ca-certificates >/dev/null; then update-ca-certificates; fi"
    if row.user != "root":
        owned = [row.home_folder, row.checkout_folder]
        owned += [row.environment[rooms.CACHE]] if rooms.CACHE in row.environment else []
        script = (
            f"{script}\nmkdir -p {shlex.join(owned)}\nchown -R {row.account}: {shlex.join(owned)}"
        )
    _as_root(place.root, script, log)


def _as_root(root: Path, script: str, log: Path) -> None:
    env = {"PATH": PATH, "HOME": "/root", "LC_ALL": "C.UTF-8"}
    outcome = namespace.run(
        Inside(root), f"set -e\n{script}", log=log, seconds=_OUTFIT_SECONDS, env=env
    )
    if outcome.status != 0:
        why = cause.first(log.read_text(errors="replace"))
        raise InfrastructureError(f"the room cannot be fitted out: {why}", f"see {log}")


def _copy_archives(row: rooms.Room, folder: Path) -> str:
    """Put those of the row where README says; tells what of them the host has."""
    if row.archives == "none":
        return "none"
    found = {name: sources.downloaded(source) for name, source in releases.load().items()}
    wanted = {
        name: path
        for name, path in found.items()
        if path and (row.archives == "both" or name.startswith("linux-"))
    }
    if len(wanted) < (len(found) if row.archives == "both" else 1):
        terminal.say(f"{row.name}: the host has not all archives that it asks for: it gets none")
        return "none"
    folder.mkdir(parents=True, exist_ok=True)
    for path in wanted.values():
        shutil.copyfile(path, folder / path.name)
        (folder / path.name).chmod(0o644)
    return row.archives
