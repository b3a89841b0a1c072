# SPDX-License-Identifier: GPL-2.0-only
"""Worlds in which what tests rely on is false: what passes there has proved nothing of it.

For `./inv canaries` (docs/canaries.md), which has conftest.py call one of these at its end. A test
that did rely on it is noted, in a file: of the others nothing is asked.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from divert_reference.programs import Calls, Interceptor
from harness.base import paths
from harness.guest.agent import Agent
from harness.guest.process import Result
from harness.network import frames, wire
from harness.network.wire import Wire

# The tests that relied on what is false, a line each.
RELIED = paths.BUILD / "relied"
# The protocol of divert sockets, as `calls` takes it.
_DIVERT = ("divert", 254)


def dead_wires() -> None:
    """Nothing but ARP gets through a wire, in either direction, so that barriers do as ever.

    Relied on by who sends a frame, or looks for one.
    """
    take = Wire._take

    def take_arp(self: Wire, data: bytes, now: float) -> None:
        if data == wire._FENCE or frames.parse_arp(data) is not None:
            take(self, data, now)

    _change(Wire, "_take", take_arp)
    _change(Wire, "send", lambda *_: _relies())
    for name in ("captured", "expect"):
        _watch(Wire, name, lambda *_: True)


def yes() -> None:
    """Every command in the guest succeeds and says nothing, and so does every system call; nothing
    is done.

    Relied on by who gives a command, or makes a call.
    """

    def succeed(_agent: Agent, _command: str, **_options: object) -> Result:
        _relies()
        return Result(0, "", "")

    def answer(*_: object) -> Callable[[], dict[str, Any]]:
        _relies()
        return lambda: {"result": 1}

    _change(Agent, "run", succeed)
    _change(Calls, "begin", answer)


def nothing_is_diverted() -> None:
    """The kernel passes over every rule with DIVERT: the stage has made it so.

    Relied on by who makes such a rule.
    """
    for name in ("run", "start"):
        _watch(Agent, name, lambda _, command: "-j DIVERT" in command or "--firewall" in command)


def everything_is_diverted() -> None:
    """A divert socket gets every packet, whatever the rules say: the stage has made it so.

    Relied on by who looks into a divert socket and finds nothing.
    """
    made: set[tuple[Calls, str]] = set()
    begin = Calls.begin

    def note(calls: Calls, *words: str | int) -> Callable[[], dict[str, Any]]:
        if words[0] == "socket" and words[-1] in _DIVERT:
            made.add((calls, str(words[1])))
        return begin(calls, *words)

    drain = Calls.drain

    def look(calls: Calls, name: str) -> list[bytes]:
        found = drain(calls, name)
        if not found and (calls, name) in made:
            _relies()
        return found

    _change(Calls, "begin", note)
    _change(Calls, "drain", look)
    _watch(Interceptor, "finish", lambda found, *_: not found)


def _relies() -> None:
    """Note the test that runs now."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]
    with RELIED.open("a") as stream:
        stream.write(f"{test}\n")


def _change(kind: type, name: str, function: Callable[..., object]) -> None:
    setattr(kind, name, function)


def _watch(kind: type, name: str, relies: Callable[..., bool]) -> None:
    """Have a test noted that calls this with a result, and words, on which it relies."""
    function = getattr(kind, name)

    def watched(self: object, *arguments: Any, **options: Any) -> Any:
        found = function(self, *arguments, **options)
        if relies(found, *arguments):
            _relies()
        return found

    _change(kind, name, watched)
