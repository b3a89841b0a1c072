# SPDX-License-Identifier: GPL-2.0-only
"""P. Nobody listens."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.guest.chains import Chains
from tests.guest.conftest import Listen
from tests.guest.programs import ProcDivert
from tests.guest.traffic import PLACES, PROTOCOLS, Flow, Place, Traffic

statement = pytest.mark.statement
places = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)

PORT = 1234


def told(flows: list[Flow]) -> list[str]:
    """What the senders were told."""
    return [flow.error for flow in flows]


@statement("P1/dropped", "P1/sender", "R2/hooks")
@places
def test_dropped_exactly_as_by_deny(
    place: Place, traffic: Traffic, chains: Chains, proc_divert: Callable[[], ProcDivert]
) -> None:
    def send_all(target: str) -> list[Flow]:
        chains.flush()
        chains.append(place.rule(target))
        return [traffic.send(place.path, protocol) for protocol in PROTOCOLS]

    denied, diverted = send_all("DENY"), send_all(f"DIVERT {PORT}")
    assert traffic.arrived(denied) == []
    assert traffic.arrived(diverted) == []
    assert told(diverted) == told(denied)
    if place.path == "out":
        # A connection that is being opened is not told; the other senders are.
        assert told(diverted) == ["EPERM", "EPERM", "EINPROGRESS", "EPERM"]
    assert chains.counts(place.chain)[0] >= len(PROTOCOLS)
    assert proc_divert().no_listener >= len(PROTOCOLS)
    # The same traffic does arrive once the rule is gone: it was the rule that dropped it.
    chains.flush()
    flows = [traffic.send(place.path, protocol) for protocol in PROTOCOLS]
    assert len(traffic.arrived(flows)) == len(PROTOCOLS)


@statement("P2/passes", "P2/counts", "R2/hooks")
@places
def test_passes_as_if_the_rule_had_no_target(
    place: Place, traffic: Traffic, chains: Chains, proc_divert: Callable[[], ProcDivert]
) -> None:
    # Two rules on ports without listener, and one behind them that only counts.
    chains.append(
        place.rule(f"DIVERT {PORT}"),
        place.rule(f"DIVERT {PORT + 1}"),
        f"{place.chain} {place.match}",
    )
    flows = [traffic.send(place.path, protocol) for protocol in PROTOCOLS]
    arrived = traffic.arrived(flows)
    if place.path == "out":
        assert len(arrived) == len(PROTOCOLS)
        assert told(flows) == ["", "", "EINPROGRESS", ""]
    else:
        assert arrived == [flow.arrives_as() for flow in flows]
    counts = chains.counts(place.chain)
    assert counts[0] >= len(PROTOCOLS)
    assert counts == [counts[0]] * 3, "each rule counts each packet once"
    assert proc_divert().no_listener == 2 * counts[0]


@statement("P2/next-rule")
@places
def test_the_next_rule_is_tried(place: Place, traffic: Traffic, chains: Chains) -> None:
    chains.append(place.rule(f"DIVERT {PORT}"), place.rule("DENY"))
    flows = [traffic.send(place.path, protocol) for protocol in PROTOCOLS]
    assert traffic.arrived(flows) == []
    assert chains.counts(place.chain)[1] >= len(PROTOCOLS)


@statement("P3/comes", "P3/goes", "P1/dropped")
def test_listener_that_comes_and_goes(traffic: Traffic, listen: Listen, chains: Chains) -> None:
    """Nobody, a listener that reinjects, nobody, one that is killed, nobody: packet by packet."""
    place = PLACES[2]
    chains.append(place.rule(f"DIVERT {PORT}"))
    flows = [traffic.send(place.path, "udp")]
    for name in ("INT", "KILL"):
        listener = listen(PORT, "--reinject")
        flows.append(traffic.send(place.path, "udp"))
        assert listener.next().data == flows[-1].at(place.chain)
        listener.stop(name)
        flows.append(traffic.send(place.path, "udp"))
    assert traffic.arrived(flows) == [flows[1].arrives_as(), flows[3].arrives_as()]


@statement("P3/comes", "P3/goes", "P2/passes")
def test_listener_that_comes_and_goes_with_passthrough(
    traffic: Traffic, listen: Listen, chains: Chains
) -> None:
    place = PLACES[2]
    chains.append(place.rule(f"DIVERT {PORT}"))
    flows = [traffic.send(place.path, "udp")]
    for name in ("INT", "KILL"):
        # Without --reinject: what it takes is gone, and what passes did not meet it.
        listener = listen(PORT)
        flows.append(traffic.send(place.path, "udp"))
        assert listener.next().data == flows[-1].at(place.chain)
        listener.stop(name)
        flows.append(traffic.send(place.path, "udp"))
    assert traffic.arrived(flows) == [flows[n].arrives_as() for n in (0, 2, 4)]


@statement("P3/its-port")
@places
def test_listener_of_another_port_does_not_count(
    place: Place,
    traffic: Traffic,
    listen: Listen,
    chains: Chains,
    expected: Callable[[str], str],
) -> None:
    """What becomes of a packet for a port without listener is the variants' only difference."""
    listener = listen(PORT + 1)
    chains.append(place.rule(f"DIVERT {PORT}"))
    flows = [traffic.send(place.path, protocol) for protocol in PROTOCOLS]
    passes = {"passes": len(PROTOCOLS), "dropped": 0}[expected("no-listener")]
    assert len(traffic.arrived(flows)) == passes
    assert listener.finish() == []
