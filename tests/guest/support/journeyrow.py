# SPDX-License-Identifier: GPL-2.0-only
"""The rows of journeys.toml: what a packet can be, where it is taken, what is done with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from divert_reference.traffic import FAR, NEAR
from harness.base import datafile
from harness.base.datafile import Fault, Schema, Table
from tests.guest.support.stack import HERE, THERE

# Behind one of the wires' hosts, and so is the other.
BEYOND, BESIDE = "203.0.113.7", "203.0.113.9"
# Where each path begins, and goes; then where a program sends it instead.
_ENDS = {
    "out": (NEAR.guest_ip, BEYOND, BESIDE),
    "through": (NEAR.host_ip, BEYOND, BESIDE),
    "in": (NEAR.host_ip, NEAR.guest_ip, FAR.guest_ip),
    "lo": ("127.0.0.1", "127.0.0.1", "127.0.0.9"),
    "into": (HERE, THERE, "203.0.113.3"),
    "from": (THERE, FAR.host_ip, "198.51.100.3"),
    "across": (NEAR.host_ip, FAR.host_ip, "198.51.100.3"),
}
NOTHING = "-"
DOINGS = ("given-back", "kept", "payload", "kept-payload", "address")
# In front of a hook of the other network namespace.
INSIDE = "there/"


Ends = Literal["out", "through", "in", "lo", "into", "from", "across"]


class Row(Table, frozen=True, kw_only=True):
    """A row of the table; see there."""

    name: str
    statements: tuple[str, ...]
    what: str
    path: Ends
    leaves: Literal["near", "far", "here", "there"]
    elsewhere: str = ""
    steps: tuple[str, ...] = ()
    to: str = ""
    other: str = ""
    sender: tuple[str, ...] = ()
    user: int = 0
    source: str = ""
    receiver: tuple[str, ...] = ()
    match: str = "-p UDP"
    packets: int = 1
    datagrams: int = 1
    fragments: bool = False
    frame: str = ""
    answers: tuple[str, ...] = ()
    protocol: Literal["udp", "tcp"] = "udp"
    vlan: int = 0
    tunnelled: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    length: int = 0
    learned: int = 0
    dont_fragment: bool = False
    but: tuple[str, ...] = ()
    places: tuple[str, ...] = ()

    @property
    def by_program(self) -> bool:
        """Whether a program in the guest sends it."""
        return self.path in ("out", "lo", "into", "from")

    @property
    def ends(self) -> tuple[str, str, str]:
        """Where it comes from, where it goes, where a program sends it instead."""
        source, to, other = _ENDS[self.path]
        return self.source or source, self.to or to, self.other or other

    def doings(self, place: str) -> list[str]:
        """What is done with it at a place: by rules that match nothing, nothing."""
        if place == NOTHING:
            return list(DOINGS[:1])
        first = place.split(maxsplit=1)[0]
        return [each for each in DOINGS if not {each, f"{first}:{each}"} & {*self.but}]


class _Journeys(Table, frozen=True, kw_only=True):
    places: dict[Ends, tuple[str, ...]]
    row: tuple[Row, ...]


DATA = Schema(_Journeys, "tests/guest/support/journeys.toml")


def table(path: Path | None = None) -> list[Row]:
    """All rows, each with the places at which it is taken. Raises UserError if the file is not as
    its head says.
    """
    said = DATA.read(path)
    DATA.refuse(_wrong(said), path)
    return [
        row
        if row.places
        else msgspec.structs.replace(
            row, places=tuple(each for each in said.places[row.path] if each not in row.but)
        )
        for row in said.row
    ]


def _wrong(said: _Journeys) -> Iterator[Fault]:
    """Paths without places, and what is left out that would not be there."""
    for number, row in enumerate(said.row):
        if row.path not in said.places:
            yield Fault(("row", number, "path"), f"[places] lacks {row.path}")
            continue
        places = row.places or said.places[row.path]
        first = {place.split()[0] for place in places}
        there = [*places, *DOINGS, *(f"{hook}:{doing}" for hook in first for doing in DOINGS)]
        yield from datafile.each_among(("row", number, "but"), row.but, there)
