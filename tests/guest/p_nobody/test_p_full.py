# SPDX-License-Identifier: GPL-2.0-only
"""P4. Pass-through concerns only ports on which nobody listens, not full queues."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from divert_reference.chains import Chains
from divert_reference.programs import Calls, Counters, ProcDivert
from divert_reference.traffic import PLACES, PROTOCOLS, Place, Traffic
from tests.guest.support.sockets import LARGEST, Filler, bound, smallest

statement = pytest.mark.statement
places = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)

PORT, NOBODYS = 1234, 1235


@statement("P4", "S9/dropped")
@places
@pytest.mark.parametrize(
    "order", [(PORT, NOBODYS), (NOBODYS, PORT)], ids=["full-first", "full-last"]
)
def test_full_queue_does_not_pass_where_nobody_does(
    order: tuple[int, int],
    place: Place,
    calls: Calls,
    chains: Chains,
    traffic: Traffic,
    proc_divert: Callable[[], ProcDivert],
) -> None:
    """A rule on a port whose queue is full, before and behind one on a port without listener."""
    filler = Filler(calls, chains, PORT)
    bound(calls, "d", PORT)
    smallest(calls, "d")
    filler.send(LARGEST)
    chains.append(*(place.rule(f"DIVERT {port}") for port in order))
    flows = [traffic.send(place.path, protocol) for protocol in PROTOCOLS]
    assert traffic.arrived(flows) == []
    if place.path == "out":
        assert [flow.error for flow in flows] == ["", "", "EINPROGRESS", ""]
    number = len(flows)
    behind = number if order[0] == NOBODYS else 0
    assert chains.counts(place.chain)[-2:] == [number, behind]
    now = proc_divert()
    assert now.ports[PORT] == Counters(LARGEST, 1, number, 0)
    assert now.no_listener == behind
    # The socket gone, its port is one on which nobody listens, and all pass.
    calls.ok("close", "d")
    flows = [traffic.send(place.path, protocol) for protocol in PROTOCOLS]
    assert len(traffic.arrived(flows)) == number
    assert proc_divert().no_listener >= behind + 2 * number
