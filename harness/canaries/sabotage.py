# SPDX-License-Identifier: GPL-2.0-only
"""Parts of the harness that tests rely on, made false: what passes with them has proved nothing.

Called by the last lines of the stage's tests/guest/conftest.py, so in the session itself.
"""

from __future__ import annotations

import os
from typing import Any

from harness.base import paths
from harness.network import frames, wire
from harness.network.wire import Wire

# The tests that relied on what is false, a line each.
RELIED = paths.BUILD / "relied"


def _relies() -> None:
    """Note that the test that runs now has."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]
    with RELIED.open("a") as stream:
        stream.write(f"{test}\n")


def dead_wires() -> None:
    """Nothing but ARP gets through a wire, in either direction, so that barriers do as ever."""
    take, captured, expect = Wire._take, Wire.captured, Wire.expect

    def take_arp(self: Wire, data: bytes, now: float) -> None:
        if data == wire._FENCE or frames.parse_arp(data) is not None:
            take(self, data, now)

    def send_nothing(_wire: Wire, _packet: object) -> None:
        _relies()

    def look(self: Wire, *arguments: Any, **options: Any) -> Any:
        _relies()
        return captured(self, *arguments, **options)

    def wait(self: Wire, *arguments: Any, **options: Any) -> Any:
        _relies()
        return expect(self, *arguments, **options)

    changes = {"_take": take_arp, "send": send_nothing, "captured": look, "expect": wait}
    for name, function in changes.items():
        setattr(Wire, name, function)
