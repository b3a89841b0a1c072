# SPDX-License-Identifier: GPL-2.0-only
"""The rooms: fresh machines of all kinds, as harness/fresh/rooms.toml has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import msgspec

from harness.base import datafile
from harness.base.datafile import Fault, Schema, Table
from harness.base.errors import UserError
from harness.matrix import kernels

User = Literal["root", "sudo", "plain"]
Network = Literal["there", "gone"]
Archives = Literal["both", "kernel", "none"]
USERS: tuple[str, ...] = get_args(User)
NETWORKS: tuple[str, ...] = get_args(Network)
ARCHIVES: tuple[str, ...] = get_args(Archives)

# What moves the cache, as README says; and where Containerfile has it.
CACHE = "DIVERT_CACHE"
CONTAINER_CACHE = "/cache"


class _Room(Table, frozen=True, kw_only=True):
    """What the file says of a room."""

    release: str
    packages: tuple[str, ...] = ()
    user: User = "root"
    network: Network = "there"
    archives: Archives = "both"
    locale: str = "C.UTF-8"
    umask: str = "022"
    home: str = ""
    checkout: str = ""
    environment: dict[str, str] = msgspec.field(default_factory=dict)
    refused: str = ""
    then: tuple[str, ...] = ()
    commands: str = ""
    containerfile: bool = False
    check: bool = False


class _Short(Table, frozen=True, kw_only=True):
    seconds: float
    both: tuple[str, ...]
    kernel: tuple[str, ...]
    none: tuple[str, ...]


class _Full(Table, frozen=True, kw_only=True):
    seconds: float


class _Rooms(Table, frozen=True, kw_only=True):
    short: _Short
    full: _Full
    commands: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    room: dict[str, _Room]


DATA = Schema(_Rooms, "harness/fresh/rooms.toml")


@dataclass(frozen=True)
class Room:
    """One fresh machine.

    `packages` is what it has beside a minimal system; `user` who types the commands: root, a user
    with sudo, or a plain one; `network` "gone" runs each command once more without; `archives` is
    what of upstream's the user has put where README says. `then` are commands of ours that have to
    pass afterwards, and `commands` names those that are typed instead of README's. Where something
    is `refused`, the first command has to say that word and end with status 3 before `environment`
    is set, as it then asks for. A `containerfile` is what Containerfile makes of its release.
    `check` is the one that `invoke check` runs on a host of this release.
    """

    name: str
    release: str
    packages: tuple[str, ...] = ()
    user: str = "root"
    network: str = "there"
    archives: str = "both"
    locale: str = "C.UTF-8"
    umask: str = "022"
    home: str = ""
    checkout: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    refused: str = ""
    then: tuple[str, ...] = ()
    commands: str = ""
    containerfile: bool = False
    check: bool = False

    @property
    def account(self) -> str:
        """The name of who types the commands."""
        return "root" if self.user == "root" else "newcomer"

    @property
    def home_folder(self) -> str:
        """Where that account's home is."""
        return self.home or ("/root" if self.user == "root" else f"/home/{self.account}")

    @property
    def checkout_folder(self) -> str:
        """Where the clone of the project is."""
        return self.checkout or f"{self.home_folder}/divert-sockets"

    @property
    def downloads_folder(self) -> str:
        """Where a user puts upstream's archives."""
        usual = f"{self.home_folder}/.cache/divert-sockets"
        cache = CONTAINER_CACHE if self.containerfile else self.environment.get(CACHE, usual)
        return f"{cache}/downloads"

    @property
    def what(self) -> str:
        """What is not as in a fresh system with root at its console, in few words."""
        words = [", ".join(self.packages) or "nothing", self.user]
        words += ["network gone after the first run"] if self.network == "gone" else []
        words += [f"archives: {self.archives}"] if self.archives != "both" else []
        words += [self.locale] if self.locale != "C.UTF-8" else []
        words += [f"umask {self.umask}"] if self.umask != "022" else []
        words += [f"home {self.home}"] if self.home else []
        words += [f"in {self.checkout}"] if self.checkout else []
        words += [f"commands: {self.commands}"] if self.commands else []
        words += [f"refused: {self.refused}; then"] if self.refused else []
        words += [f"{name}={value}" for name, value in self.environment.items()]
        return "by Containerfile" if self.containerfile else "; ".join(words)


@dataclass(frozen=True)
class Plan:
    """All rooms by name, and how long a command may take in the full and in the short form.

    `short` has the commands of the short form, by what archives there are; `commands` has those
    that rows name.
    """

    rooms: Mapping[str, Room]
    short: Mapping[str, tuple[str, ...]]
    short_seconds: float
    full_seconds: float
    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def select(self, names: str | None) -> tuple[Room, ...]:
        """The rooms of these names, with commas between; all, without. Raises UserError."""
        if names is None:
            return tuple(self.rooms.values())
        wanted = [name.strip() for name in names.split(",") if name.strip()]
        for name in wanted:
            if name not in self.rooms:
                raise UserError(
                    f"there is no room {name}", f"see: ./inv fresh --list; known: {self._known()}"
                )
        if not wanted:
            raise UserError("--room names no room", f"known: {self._known()}")
        return tuple(self.rooms[name] for name in dict.fromkeys(wanted))

    def _known(self) -> str:
        return ", ".join(self.rooms)

    def checked(self, codename: str) -> Room | None:
        """The room that `invoke check` runs on a host of this release."""
        return next(
            (row for row in self.rooms.values() if row.check and row.release == codename), None
        )

    def short_commands(self, room: Room, archives: str) -> tuple[str, ...]:
        """What the short form runs in a room that has these archives."""
        kernel = distribution_kernel(room.release)
        return tuple(each.format(kernel=kernel) for each in self.short[archives])


def distribution_kernel(release: str) -> str:
    """The kernel without upstream's archives that is tested where none is named, in a release."""
    return next(row.name for row in kernels.usual(release) if row.package)


def load(path: Path | None = None) -> Plan:
    """All of the file. Raises UserError if it is not as it says."""
    said = DATA.read(path)
    DATA.refuse(_wrong(said), path)
    return Plan(
        {name: _made(name, row) for name, row in said.room.items()},
        {kind: getattr(said.short, kind) for kind in ARCHIVES},
        said.short.seconds,
        said.full.seconds,
        said.commands,
    )


def _wrong(said: _Rooms) -> Iterator[Fault]:
    for name, row in said.room.items():
        if row.commands:
            yield from datafile.among(("room", name, "commands"), row.commands, said.commands)


def _made(name: str, row: _Room) -> Room:
    return Room(name, **{key: getattr(row, key) for key in row.__struct_fields__})
