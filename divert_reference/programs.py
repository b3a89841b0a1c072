# SPDX-License-Identifier: GPL-2.0-only
"""The C programs of tests/programs as objects: the interceptor, `calls`, and /proc/net/divert."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from harness.base.errors import GuestError
from harness.guest.calls import Script
from harness.guest.process import Process, Result
from harness.guest.shell import Shell
from harness.network.packets import inet

# A packet that is queued is read and reported within milliseconds; a busy host may take longer.
REPORT_SECONDS = 5.0
# Exit status of the interceptor when its guard ended it (tests/programs/interceptor/interceptor.h).
GUARDED = 3
# The statement whose tests have that guard on, and its bound there (SPEC.md T4).
GUARDED_STATEMENT = "T4"
GUARD = 20


@dataclass(frozen=True)
class Seen:
    """One packet that a listener was given, and what it says became of it."""

    n: int
    data: bytes
    interface: str
    tag: str
    reinjected: int | None
    error: str | None

    @functools.cached_property
    def packet(self) -> Any:
        """The packet as scapy's IP."""
        return inet().IP(self.data)


def check_guard(proved: Collection[str], limit: int | None) -> None:
    """See that a test that proves T4 has the guard on. Raises ValueError if it has not."""
    if GUARDED_STATEMENT in proved and limit != GUARD:
        raise ValueError(f"a test of {GUARDED_STATEMENT} has the guard on, at {GUARD} packets")


class Interceptor:
    """The interceptor on one divert port. It reports every packet, at once and in order.

    Its guard ends it after `limit` packets, if that is not None.
    """

    def __init__(
        self, shell: Shell, port: int, flags: tuple[str, ...], limit: int | None = GUARD
    ) -> None:
        self.port = port
        guard = () if limit is None else ("--limit", str(limit))
        words = ["interceptor", "--json", *guard, *flags, str(port)]
        self.process: Process = shell.start(" ".join(words), ready=r'"event":"listening".*\n')
        self._seen: list[Seen] = []

    def next(self) -> Seen:
        """The next packet that it reports, waited for."""
        line = self.process.expect(r'^\{"event":"packet".*\n', REPORT_SECONDS)[0]
        self._seen.append(_seen(json.loads(line)))
        return self._seen[-1]

    def take(self, count: int) -> list[Seen]:
        """The next `count` packets."""
        return [self.next() for _ in range(count)]

    def release(self, count: int) -> list[dict[str, Any]]:
        """Let it send on `count` packets that it held (--hold), or begin to read (--idle)."""
        self.process.signal("USR1")
        pattern = r'^\{"event":"released".*\n'
        return [json.loads(self.process.expect(pattern, REPORT_SECONDS)[0]) for _ in range(count)]

    def stop(self, name: str = "INT") -> Result:
        """End it by a signal; what it wrote in all is in the result."""
        if not any('"event":"end"' in line for line in self.process.lines):
            self.process.signal(name)
        return self.process.wait(REPORT_SECONDS)

    def finish(self) -> list[Seen]:
        """End it, and return every packet that it ever reported."""
        lines = self.stop().stdout.splitlines()
        return [_seen(row) for row in map(json.loads, lines) if row["event"] == "packet"]


def _seen(row: dict[str, Any]) -> Seen:
    return Seen(
        n=row["n"],
        data=bytes.fromhex(row["hex"]),
        interface=row["interface"],
        tag=row["tag"],
        reinjected=row.get("reinjected"),
        error=row.get("error"),
    )


class Calls(Script):
    """System calls, made one by one by the program `calls` in the guest."""

    def ok(self, *words: str | int) -> dict[str, Any]:
        """Make a call that has to succeed."""
        row = self(*words)
        if row["result"] < 0:
            raise GuestError(f"{' '.join(map(str, words))}: {row.get('error')}")
        return row

    def error(self, *words: str | int) -> str:
        """Make a call that has to fail; its errno by name."""
        row = self(*words)
        if row["result"] >= 0:
            raise GuestError(f"{' '.join(map(str, words))} succeeded: {row}")
        return str(row["error"])

    def drain(self, name: str) -> list[bytes]:
        """Everything that waits to be read on a socket now, one datagram an element."""
        found = []
        while (row := self("recvfrom", name, 65535, "dontwait"))["result"] >= 0:
            found.append(bytes.fromhex(row["hex"]))
        if row["error"] != "EAGAIN":
            raise GuestError(f"recvfrom {name}: {row['error']}")
        return found


@dataclass(frozen=True)
class Counters:
    """One line of /proc/net/divert."""

    queued: int
    delivered: int
    dropped: int
    injected: int


@dataclass(frozen=True)
class ProcDivert:
    """/proc/net/divert: bound ports, and how many packets met no listener."""

    ports: dict[int, Counters]
    no_listener: int

    @staticmethod
    def parse(text: str) -> ProcDivert:
        """The content of the file. Raises ValueError for another."""
        header, *lines, last = text.splitlines()
        if header.split() != ["port", "queued", "delivered", "dropped", "injected"]:
            raise ValueError(f"not the header of /proc/net/divert: {header!r}")
        match = re.fullmatch(r"no-listener\s+(\d+)", last.strip())
        if match is None:
            raise ValueError(f"not the last line of /proc/net/divert: {last!r}")
        ports = {}
        for line in lines:
            port, *numbers = map(int, line.split())
            ports[port] = Counters(*numbers)
        return ProcDivert(ports, int(match[1]))
